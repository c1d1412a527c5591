#!/bin/bash
# goal: what a segment's trailer and its restore points say of the records in it is what pg_waldump says, record by record, also where an edge cuts one
# turns: file s3
# full-versions: file@13 file@17 file@18 file@19
. "$(dirname "$0")/../lib.sh"

rounds=2
[ -z "$FULL" ] || rounds=12

mkdir wal
config_write
server_create main --wal-segsize=1
cat >>main/postgresql.conf <<CONF
wal_level = logical
max_prepared_transactions = 10
min_wal_size = 2MB
archive_command = 'cp %p $T/wal/%f.part && mv $T/wal/%f.part $T/wal/%f && $PROGRAMS/wal-push --config $CONFIG %p'
CONF
expect_status 0 repository-init
server_start main

step "what transactions there are"
sql main "select pg_replication_origin_create('elsewhere')" "create table t (i int primary key, n int)" \
    "insert into t select i, 0 from generate_series(1, 1000) i" >/dev/null
# The next record begins so many bytes before the segment's end, if nobody else writes: a message takes 51 bytes and its own.
sql main "create function near_edge(bytes int) returns void language plpgsql as \$\$
declare
    rest int;
begin
    loop
        rest := 1048576 - (pg_current_wal_insert_lsn() - '0/0')::bigint % 1048576 - bytes;
        exit when rest = 0;
        perform pg_logical_emit_message(false, '', repeat('x',
            case when rest > 300 then least(rest - 250, 7000) when rest >= 56 then rest - 51 else 0 end));
    end loop;
end \$\$"
sql main "create function point_in_subtransaction(name text) returns void language plpgsql as \$\$
begin
    create temp table if not exists only_here (i int); -- its rows are not in the WAL
    begin
        insert into only_here values (1);
        perform pg_create_restore_point(name);
        raise exception 'back';
    exception when others then
        null;
    end;
end \$\$"
for number in $(seq 200); do
    echo "begin; update t set n = n + 1 where i = $number; savepoint a; update t set n = 0 where i = $number + 200; rollback to a;"
    echo "savepoint b; delete from t where i = 1000 - $number; release b; $([ $((number % 3)) = 0 ] && echo rollback || echo commit);"
done >ends.sql
prepared() { # NUMBER: transactions prepared, then committed and aborted, some with many subtransactions
    printf "begin; update t set n = %s where i = %s; %s prepare transaction 'p%s';\n" "$1" "$1" \
        "$(for i in $(seq "$((RANDOM % 80))"); do echo "savepoint s$i; insert into t values (10000 + $1 * 100 + $i);"; done)" "$1"
    echo "begin; create table d$1 (i int); insert into d$1 values (1); prepare transaction 'q$1';"
    echo "commit prepared 'p$1'; $([ $((RANDOM % 2)) = 0 ] && echo "rollback prepared 'q$1';" || echo "commit prepared 'q$1';")"
}
on_edge() { # BYTES STATEMENT...
    sql main "begin" "update t set n = n + 1 where i = 3" "select near_edge($1)" "${@:2}" "commit" >/dev/null
}
for round in $(seq "$rounds"); do
    psql -X -q -h "$T/run/main" -f ends.sql >/dev/null
    { echo "set session synchronous_commit = off;" && for number in $(seq 8); do prepared $((round * 10 + number)); done; } >prepared.sql
    psql -X -q -v ON_ERROR_STOP=1 -h "$T/run/main" -f prepared.sql >/dev/null
    sql main "select pg_replication_origin_session_setup('elsewhere')" "begin" "update t set n = 5 where i = 5" "commit" \
        "begin" "select pg_replication_origin_xact_setup('0/1', now() - interval '1 day')" "update t set n = 6 where i = 6" "commit" >/dev/null
    sql main "select pg_create_restore_point('round $round')" "select point_in_subtransaction('inside $round')" >/dev/null
    # a commit of some kB, and, dropping what that has made, one over several pages
    sql main "do \$\$ begin for i in 1..300 loop execute 'create table many' || i || ' (i int primary key)'; end loop; end \$\$" \
        "do \$\$ begin for i in 1..300 loop execute 'drop table many' || i; end loop; end \$\$" >/dev/null
    for bytes in 8 16 24 32 48; do on_edge $bytes; done
    for bytes in 16 40 96; do
        sql main "select near_edge($bytes), pg_create_restore_point('edge $round $bytes')" >/dev/null
        sql main "begin" "update t set n = 0 where i = 4" "select near_edge($bytes), point_in_subtransaction('edge $round $bytes in')" "commit" >/dev/null
    done
done

step "the server ends in a record that goes over a segment's edge" # as PostgreSQL's own 026_overwrite_contrecord.pl does it
archived main
sql main "select near_edge(4000)" >/dev/null
last=$(sql main "select pg_logical_emit_message(true, '', repeat('x', 100000))" "select pg_walfile_name(pg_current_wal_insert_lsn())" | tail -1)
server_stop main immediate
rm "main/pg_wal/$last"
server_start main
psql -X -q -h "$T/run/main" -f ends.sql >/dev/null
archived main

step "each trailer, and each document"
fetch_objects() { # all that is stored, as wal-records wants it
    mkdir -p trailers restore-points
    object_list | while read -r key _; do
        name=${key##*/}
        [ ! -e "trailers/$name" ] || [[ $key != */wal/* ]] || continue
        case $key in
        */wal/*) object_get "$key" object && tail -c 1016 object >"trailers/$name" ;;
        */restore-points/*) object_get "$key" "restore-points/${name%.*}" ;;
        esac
    done
}
compare() { # TIMELINE PATTERN...: what has been compared must have been there
    local pattern
    expect_status 0 "$SOURCE/tests/wal-records" wal trailers restore-points "$1"
    for pattern in "${@:2}"; do expect_output "$pattern"; done
}
fetch_objects
expect_equal "stored segments" "$(ls wal | grep -c '^[0-9A-F]*$')" "$(ls trailers | grep -c '^[0-9A-F]*$')"
compare 1 "overwritten=1" "prepared=[1-9]" "cut-transactions=[1-9]" "cut-restore-points=[1-9]" "[^-]restore-points=[1-9]" \
    "longest=[0-9]{5,}" "transactions=[0-9]{3}"
[ "$major" = 13 ] || expect_output "in-subtransactions=[1-9]" # before 14 their records do not name the transaction

step "a timeline that begins in the middle of a segment"
server_stop main
printf "restore_command = '/bin/false'\n" >>main/postgresql.conf
touch main/standby.signal
server_start main
pg_ctl -D main -s -w promote
psql -X -q -h "$T/run/main" -f ends.sql >/dev/null
sql main "select pg_create_restore_point('on the second')" >/dev/null
archived main
fetch_objects
compare 2 "[^-]restore-points=1" "transactions=[0-9]{3}"
for name in trailers/*.partial trailers/*.history; do
    expect_equal "what $name says of records" 0 "$(grep -c '"records"' "$name")"
done
