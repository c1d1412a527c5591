# goal: one fetch of one WAL segment in archive recovery; each fetches what it pushed itself
# stores: s3 file
contenders=(walferry pgbackrest floor)
rounds=$ROUNDS
begin() {
    local who
    set_up main
    lost_make
    for who in "${contenders[@]}"; do
        segment_forget "$who"
        push_call "$who"
        there "${command[@]}"
    done
}
prepare() { rm -f lost/pg_wal/RECOVERYXLOG; }
call() { fetch_call "$1"; }
check() { cmp "main/pg_wal/$segment" lost/pg_wal/RECOVERYXLOG; }
