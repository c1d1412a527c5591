# goal: the same recovery, with 30 ms each way between client and store
# stores: s3
contenders=(walferry pgbackrest local)
rounds=$WAL_ROUNDS first_round=1
begin() {
    local who
    need_backlog
    delay_start
    for who in "${contenders[@]}"; do need_archived "$who"; done
    waiting=$DELAYED_SEGMENTS delayed=$delay_port
    backlog_set_up
    fact "segments.$measure" "$waiting"
}
prepare() { recovery_prepare "$1"; }
call() { recovery_call "$1"; }
correct() { recovery_correct "$1" "$2"; }
check() { recovery_check; }
