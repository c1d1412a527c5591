# goal: a real server recovers from a base copy and the archive; "local" copies segments that lie on the same disk
# stores: s3 file
contenders=(walferry pgbackrest local)
rounds=$WAL_ROUNDS first_round=1
begin() {
    local who
    need_backlog
    backlog_set_up
    for who in "${contenders[@]}"; do need_archived "$who"; done
    fact "segments.$measure" "$waiting"
}
prepare() { recovery_prepare "$1"; }
call() { recovery_call "$1"; }
correct() { recovery_correct "$1" "$2"; }
check() { recovery_check; }
