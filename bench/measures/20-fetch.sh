# goal: one fetch of one WAL segment in archive recovery; each fetches what it pushed itself
# stores: s3 file
contenders=(walferry pgbackrest floor)
rounds=$ROUNDS
begin() {
    local who
    set_up main
    # a data directory in recovery, as far as both look at it
    rm -rf lost
    mkdir -p -m 700 lost lost/global lost/pg_wal
    cp main/PG_VERSION lost
    cp main/global/pg_control lost/global
    : >lost/recovery.signal
    for who in "${contenders[@]}"; do
        segment_forget "$who"
        push_call "$who"
        there "${command[@]}"
    done
}
prepare() { rm -f lost/pg_wal/RECOVERYXLOG; }
call() { fetch_call "$1"; }
check() { cmp "main/pg_wal/$segment" lost/pg_wal/RECOVERYXLOG; }
