# goal: one synchronous push of one WAL segment that is not there yet
# stores: s3 file
contenders=(walferry pgbackrest floor)
rounds=$ROUNDS
begin() { set_up main; }
prepare() { segment_forget "$1"; }
call() { push_call "$1"; }
check() { [ -n "$(segment_keys "$1")" ]; }
