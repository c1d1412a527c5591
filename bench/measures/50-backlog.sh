# goal: many segments that wait are archived, by a loop that calls as PostgreSQL's archiver does
# stores: s3 file
contenders=(walferry pgbackrest floor)
[ "$store" = file ] || contenders+=(barman)
rounds=$WAL_ROUNDS first_round=1
begin() {
    need_backlog
    backlog_set_up
    fact "segments.$measure" "$waiting"
}
prepare() { backlog_prepare "$1"; }
call() { backlog_call "$1"; }
check() {
    backlog_check "$1"
    : >"$T/archived.$store.$1"
}
