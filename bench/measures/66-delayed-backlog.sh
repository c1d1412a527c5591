# goal: the same backlog, with 30 ms each way between client and store
# stores: s3
contenders=(walferry pgbackrest floor)
rounds=$WAL_ROUNDS first_round=1
waiting=$DELAYED_SEGMENTS
begin() {
    need_backlog
    delay_start
    delayed=$delay_port
    backlog_set_up
    fact "segments.$measure" "$waiting"
}
prepare() { backlog_prepare "$1"; }
call() { backlog_call "$1"; }
check() { backlog_check "$1"; }
