# session.sh: what bench/run runs as an ordinary user. Makes a cluster with data, sets walferry and pgBackRest up beside
# each other, and lets them and the floor take turns at each of $MEASURES. What was found out goes to $RESULTS, a line
# each: "fact NAME VALUE", or "run MEASURE CONTENDER ROUND WALL USER SYSTEM PEAK", in microseconds and KiB; others are told
# of where they are written.
# A measure NAME.STORE is bench/measures/NN-NAME.sh, which defines
#   contenders   the names of those who take part
#   rounds       so many are counted; one more comes first, to warm up, unless first_round=1
#   begin        makes what is needed before the first round
#   prepare WHO  what comes before a run and is not measured
#   call WHO     sets the array $command and the directory $place to run it in; perhaps $factor, if it does only a part
#   correct WHO ROUND  perhaps: makes of $T/result what counts
#   check WHO    fails if the run did not do what it should
# or instead of all that
#   all          does and records everything itself
. "$(dirname "$0")/../tests/lib.sh"
. "$SOURCE/bench/contenders.sh"
. "$SOURCE/bench/backlog.sh"

say() { echo "$*" >&3; step "$*"; }
fact() { echo "fact $*" >>"$RESULTS"; } # NAME VALUE

# ---- the cluster

# Numbers, words that repeat, and something that nothing compresses; and pgbench's tables.
load() { # MIB
    rows=$(($1 * 2300))
    sql main "create table orders (id bigserial primary key, customer int, at timestamptz, amount numeric(12,2), note text)" \
        "create function note(seed int) returns text language sql as \$\$
            select string_agg((array['paid','open','sent','back','with','from','card','cash','late','next','week','gift','blue','green',
                'large','small'])[1 + (hashint4(seed * 31 + k) & 15)], ' ') || ' ' || md5(seed::text) from generate_series(1, 24) k \$\$" \
        "insert into orders (customer, at, amount, note)
            select hashint4(i) % 100000, '2026-01-01'::timestamptz + i * interval '1.7 s', (hashint4(i + 1) % 1000000) / 100.0, note(i)
            from generate_series(1, $rows) i" \
        "create index on orders (customer)" "create index on orders (at)"
    pgbench -i -q -s $(($1 / 40 + 1)) -h "$T/run/main" >pgbench.log 2>&1
    sql main "vacuum analyze" "checkpoint"
}
# A segment full of transactions and, this soon after a checkpoint, of whole pages: sets $segment.
make_segment() {
    local current="pg_walfile_name(pg_current_wal_insert_lsn())" before
    cat >orders.sql <<SQL
\\set id random(1, $rows)
\\set n random(1, 1000000)
begin;
insert into orders (customer, at, amount, note) values (:n, now(), :n / 100.0, note(:n));
update orders set amount = amount + 1, note = note(:n + 1) where id = :id;
end;
SQL
    before=$(sql main "select $current")
    while :; do
        pgbench -n -h "$T/run/main" -f orders.sql -c 4 -j 1 -t 2000 >>pgbench.log 2>&1
        segment=$(sql main "select name from pg_ls_waldir() where name > '$before' and name < $current order by name offset 3 limit 1")
        [ -z "$segment" ] || break
    done
}
need_main() {
    [ ! -d main ] || return 0
    say "a cluster of $SIZE MiB"
    server_create main --data-checksums
    cat >>main/postgresql.conf <<'CONF'
shared_buffers = 256MB
max_wal_size = 4GB
wal_keep_size = 4GB
autovacuum = off
archive_command = 'true'
CONF
    server_start main
    load "$SIZE"
    make_segment
    main_system=$(system_identifier main)
    describe_cluster
}
describe_cluster() {
    local lz4_bytes statistics
    lz4_bytes=$(lz4 -1 -c "main/pg_wal/$segment" 2>/dev/null | wc -c)
    statistics=$(pg_waldump -p main/pg_wal --stats "$segment" 2>/dev/null | awk '/^Total/ {print $2 " records"}' || true)
    fact database "$(sql main "select sum(pg_database_size(oid))::int8 >> 20 from pg_database") MiB in $(find main -type f -not -path '*/pg_wal/*' |
        wc -l) files, data checksums on"
    fact segment "$segment of small transactions soon after a checkpoint: $statistics, lz4 -1 makes $((lz4_bytes * 100 / $(stat -c %s "main/pg_wal/$segment"))) % of it"
}

# ---- one measure

# Who comes when: after six rounds each of three has been before and behind each other equally often.
order() { # ROUND NAME...
    local orders=("0 1 2" "2 1 0" "1 2 0" "0 2 1" "2 0 1" "1 0 2") i round=$1
    shift
    for i in ${orders[round % 6]}; do [ "$i" -ge $# ] || echo "${@:i+1:1}"; done
    [ $# -le 3 ] || echo "${@:4}"
}
there() { # COMMAND...: where, and for the floor with what, the contender at work runs
    [ "$store" = s3 ] || local -x FLOOR_DIRECTORY=$T
    [ -z "$delayed" ] || local -x S3_ENDPOINT=https://localhost:$delayed
    (cd "$place" && "$@")
}
one_run() { # WHO ROUND
    measure_options=() factor=1
    prepare "$1"
    call "$1"
    sync
    rm -f result
    there measure "${measure_options[@]}" "$T/result" "${command[@]}" >session.part 2>&1 || { cat session.part && fail "$1"; }
    cat session.part
    correct "$1" "$2"
    check "$1"
    [ "$factor" = 1 ] || { awk -v factor="$factor" '{ print $1 * factor, $2 * factor, $3 * factor, $4 }' result >result.new && mv result.new result; }
    echo "$measure $1 $2: $(cat result)"
    [ "$2" = 0 ] || echo "run $measure $1 $2 $(cat result)" >>"$RESULTS"
}
run_measure() { # NAME.STORE
    local round who
    measure=$1 store=${1##*.} first_round=0 delayed='' waiting=$SEGMENTS
    correct() { :; }
    all() {
        begin
        for round in $(seq "$first_round" "$rounds"); do
            for who in $(order "$round" "${contenders[@]}"); do one_run "$who" "$round"; done
        done
    }
    . "$SOURCE"/bench/measures/[0-9]*-"${1%.*}".sh
    say "$measure"
    all
}

# ---- the session

: >"$RESULTS"
fact load_before "$(cut -d' ' -f1-3 /proc/loadavg)"
for name in $MEASURES; do run_measure "$name"; done
fact load_after "$(cut -d' ' -f1-3 /proc/loadavg)"
fact pgbackrest "$(pgbackrest version)"
fact barman "$(barman-cloud-wal-archive --version 2>/dev/null | grep -o '[0-9.]*$' || true)"
fact postgresql "$(postgres --version | cut -d' ' -f3-)"
fact radosgw "$(radosgw --version 2>/dev/null | cut -d' ' -f1-3)"
fact jobs "$JOBS"
fact seconds "$SECONDS"
