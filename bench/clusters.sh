# clusters.sh: the clusters that are measured; sourced by session.sh. Each is made when it is first needed, its server runs from then
# on, idle, and its data directory is $T/NAME:
#   main    of moderate size; it writes the segment of push and fetch
#   data    $SIZE MiB of what people keep in tables
#   tables  $TABLES small tables, each with an index
#   few     one table of $SIZE / 5 MiB in as few files as a cluster can have

cluster_create() { # NAME
    server_create "$1" --data-checksums
    cat >>"$1/postgresql.conf" <<'CONF'
shared_buffers = 256MB
max_wal_size = 8GB
wal_keep_size = 4GB
autovacuum = off
archive_command = 'true'
CONF
}
# What is loaded into a server without archiving, and into a table of the same transaction, writes hardly any WAL.
load_begin() {
    cat >"$1/postgresql.auto.conf" <<'CONF'
archive_mode = off
wal_level = minimal
max_wal_senders = 0
maintenance_work_mem = 512MB
max_locks_per_transaction = 1024
CONF
    server_start "$1"
}
load_end() {
    sql "$1" checkpoint
    server_stop "$1"
    : >"$1/postgresql.auto.conf"
    server_start "$1"
    sql "$1" checkpoint
}
declare -A systems=() # identifiers, by name
need_cluster() { # NAME
    [ ! -d "$1" ] || return 0
    say "the cluster \"$1\""
    cluster_create "$1"
    "make_$1"
    systems[$1]=$(system_identifier "$1")
    fact "cluster-$1" "$(cluster_bytes "$1" | awk '{ printf "%.0f MiB in %d files", $1 / 1048576, $2 }')"
}
cluster_bytes() { # NAME: bytes and number of the files that a backup reads
    find "$1" -type f -not -path '*/pg_wal/*' -printf '%s\n' | awk '{ sum += $1 } END { printf "%.0f %d\n", sum, NR }'
}

# ---- main

# Numbers, words that repeat, and something that nothing compresses; and pgbench's tables.
make_main() {
    local size=$((SIZE < 768 ? SIZE : 768))
    server_start main
    rows=$((size * 2300))
    sql main "create table orders (id bigserial primary key, customer int, at timestamptz, amount numeric(12,2), note text)" \
        "create function note(seed int) returns text language sql as \$\$
            select string_agg((array['paid','open','sent','back','with','from','card','cash','late','next','week','gift','blue','green',
                'large','small'])[1 + (hashint4(seed * 31 + k) & 15)], ' ') || ' ' || md5(seed::text) from generate_series(1, 24) k \$\$" \
        "insert into orders (customer, at, amount, note)
            select hashint4(i) % 100000, '2026-01-01'::timestamptz + i * interval '1.7 s', (hashint4(i + 1) % 1000000) / 100.0, note(i)
            from generate_series(1, $rows) i" \
        "create index on orders (customer)" "create index on orders (at)"
    pgbench -i -q -s $((size / 40 + 1)) -h "$T/run/main" >pgbench.log 2>&1
    sql main "vacuum analyze" "checkpoint"
    make_segment
}
# A segment full of transactions and, this soon after a checkpoint, of whole pages: sets $segment.
make_segment() {
    local current="pg_walfile_name(pg_current_wal_insert_lsn())" before lz4_bytes statistics
    cat >orders.sql <<SQL
\set id random(1, $rows)
\set n random(1, 1000000)
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
    lz4_bytes=$(lz4 -1 -c "main/pg_wal/$segment" 2>/dev/null | wc -c)
    statistics=$(pg_waldump -p main/pg_wal --stats "$segment" 2>/dev/null | awk '/^Total/ {print $2 " records"}' || true)
    fact segment "$segment of small transactions soon after a checkpoint: $statistics, lz4 -1 makes $((lz4_bytes * 100 / $(stat -c %s "main/pg_wal/$segment"))) % of it"
}

# ---- data

# Of each MiB: orders with text as people write it (half), events as JSON (a fifth), samples of sensors (a tenth), sessions in pages
# that are mostly empty, scanned documents that nothing compresses, and pgbench's accounts. A quarter of the orders' part is indexes.
make_data() {
    local pids=() pid statements
    load_begin data
    sql data "create table notes as select i, (select string_agg((array['paid','open','sent','back','with','from','card','cash','late','next',
            'week','gift','blue','green','large','small','please','call','before','delivery','customer','returned','invoice','twice','address',
            'changed','see','order','confirmed','by','phone','refund'])[1 + (hashint4(i * 31 + k) & 31)], ' ') from generate_series(1, 8 + i % 17) k) note
            from generate_series(0, 65535) i" "create index on notes (i)" "analyze notes"
    while read -r statements; do
        sql data "begin; $statements commit" &
        pids+=($!)
    done <<SQL
create table orders (id bigint, customer int, at timestamptz, amount numeric(12,2), note text); insert into orders select n, hashint4(n) % 100000, '2026-01-01'::timestamptz + n * interval '1.7 s', (hashint4(n + 1) % 1000000) / 100.0, note || ' ' || to_hex(hashint8(n)) from generate_series(1, $SIZE * 1900) n join notes on i = hashint4(n) & 65535; alter table orders add primary key (id); create index on orders (customer); create index on orders (at);
create table events (id bigint, user_id int, event jsonb); insert into events select n, hashint4(n) % 50000, jsonb_build_object('kind', (array['view','click','basket','order','search'])[1 + n % 5], 'path', '/shop/' || hashint4(n) % 3000, 'at', 1767225600 + n, 'session', md5((n / 20)::text), 'note', left(note, 60), 'price', (n % 9999) / 100.0) from generate_series(1, $SIZE * 640) n join notes on i = hashint4(n) & 65535; alter table events add primary key (id); create index on events (user_id);
create table samples as select (n % 500)::int2 as sensor, '2026-01-01'::timestamptz + n * interval '0.2 s' as at, 20 + 5 * sin(n / 1000.0) + random() as value, (n % 7)::int2 as quality from generate_series(1, $SIZE * 2000) n; create table sessions (id int, token text) with (fillfactor = 30); insert into sessions select n, md5(n::text) from generate_series(1, $SIZE * 280) n; create table documents (id int, scan bytea); alter table documents alter scan set storage external; insert into documents select n, (select string_agg(sha512((n * 1000 + k)::text::bytea), '') from generate_series(1, 320) k) from generate_series(1, $SIZE * 4) n;
SQL
    for pid in "${pids[@]}"; do wait "$pid" || fail "loading"; done
    pgbench -i -q -s $((SIZE / 200 + 1)) -h "$T/run/data" >>pgbench.log 2>&1
    sql data "vacuum analyze"
    load_end data
    fact data "$(floor read 1 data | awk '{ printf "LZ4 makes %d %% of it", $2 * 100 / $1 }')"
}

# ---- tables

make_tables() {
    local half first last pids=()
    load_begin tables
    for half in 0 1; do
        # A session forgets a table's descriptions only when it ends.
        for first in $(seq $((half * TABLES / 2 + 1)) 2000 $(((half + 1) * TABLES / 2))); do
            last=$((first + 1999 < (half + 1) * TABLES / 2 ? first + 1999 : (half + 1) * TABLES / 2))
            sql tables "do \$\$ begin
                for i in $first..$last loop
                    execute format('create table t%s (id int primary key, customer int, at timestamptz, amount float8)', i);
                    execute format('insert into t%s select n, hashint4(n + %s) %% 1000, timestamptz ''2026-01-01'' + n * interval ''7 s'',
                        random() from generate_series(1, 5 + %s %% 90) n', i, i, i);
                    if i % 100 = 0 then commit; end if;
                end loop;
            end \$\$"
        done &
        pids+=($!)
    done
    for half in "${pids[@]}"; do wait "$half" || fail "loading"; done
    load_end tables
}

# ---- few

make_few() {
    load_begin few
    sql few "update pg_database set datistemplate = false" "drop database template0" "drop database template1" \
        "begin; create table t as select i, md5(i::text) || md5((i / 3)::text) as note, i % 100 as n
            from generate_series(1, $SIZE / 5 * 9500) i; commit"
    load_end few
}
