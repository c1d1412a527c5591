# goal: reading a segment's records costs at most 5 % of wal-push's CPU time
# stores: file
# A segment with nothing in it but transactions of one row.
make_small_segment() {
    local current="pg_walfile_name(pg_current_wal_insert_lsn())" before
    sql main "create table if not exists small (i int)" checkpoint
    echo "insert into small values (1)" >small.sql
    before=$(sql main "select $current")
    while :; do
        PGOPTIONS='-c synchronous_commit=off' pgbench -n -h "$T/run/main" -M prepared -f small.sql -c 4 -j 1 -t 20000 >>pgbench.log 2>&1
        segment=$(sql main "select name from pg_ls_waldir() where name > '$before' and name < $current order by name offset 1 limit 1")
        [ -z "$segment" ] || break
    done
}
# records KIND SCAN ALL SCAN-INSTRUCTIONS ALL-INSTRUCTIONS PUSH: nanoseconds, PUSH of all of wal-push
measure_records() { # KIND: of $segment
    local wall user system peak round
    push_call walferry
    for round in $(seq 0 "$rounds"); do
        segment_forget walferry
        rm -f result
        there measure "$T/result" "${command[@]}"
        read -r wall user system peak <result
        [ "$round" = 0 ] || echo "records $1 $(records "main/pg_wal/$segment" 1) $(((user + system) * 1000))" >>"$RESULTS"
    done
    segment_forget walferry
}
all() {
    local rounds=$ROUNDS command place was
    set_up main
    was=$segment
    measure_records usual
    make_small_segment
    measure_records small
    segment=$was
}
