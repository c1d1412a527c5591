#!/bin/bash
# goal: a drill of a cluster that is odd in every way passes, reaches nobody, and is not kept from seeing damage by what a role or a database has set
# stores: file
# full-versions: file@13 file@17 file@18 file@19
# limit: 300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../drill.sh"

step "large segments, a tablespace with an equals sign, many replication origins"
mkdir -p scratch space=1
drill_section
server_create main --wal-segsize=64 --data-checksums
printf 'max_replication_slots = 30\nmax_prepared_transactions = 5\nmin_wal_size = 128MB\n' >>main/postgresql.conf
[ "$major" -lt 18 ] || echo "max_active_replication_origins = 30" >>main/postgresql.conf
expect_status 0 repository-init
server_start main
sql main "create tablespace odd location '$T/space=1'" "create table elsewhere tablespace odd as select generate_series(1, 100) i" \
    "select count(pg_replication_origin_create('o' || i)) from generate_series(1, 15) i" \
    "select count(pg_replication_origin_advance('o' || i, '0/1000')) from generate_series(1, 15) i" >origins

step "databases that take no sessions, one that was half dropped; a child that lies elsewhere; a lock that nobody ends"
sql main "create database other" "create database broken" "update pg_database set datconnlimit = -2 where datname = 'broken'" \
    "create table parent (i int)" "insert into parent values (1)" "create extension postgres_fdw" \
    "create server away foreign data wrapper postgres_fdw options (host '$T/nowhere')" "create user mapping for postgres server away" \
    "create foreign table child () inherits (parent) server away" \
    "create table locked as select 1 as i" "begin" "alter table locked add j int" "prepare transaction 'it''s forgotten'"
psql -X -q -h "$T/run/main" other -c "create table victim as select i, repeat('x', 400) from generate_series(1, 1000) i"
victim=$(psql -X -q -A -t -h "$T/run/main" other -c "select pg_relation_filepath('victim')")
sql main "create role nobody" "alter role postgres in database other set role = 'nobody'" "alter database other set statement_timeout = '50ms'" \
    "alter database other set zero_damaged_pages = on" "alter database other set ignore_checksum_failure = on"
sql main "alter database template1 allow_connections false"
expect_status 0 basebackup-push --checkpoint=fast
first=$(tail -1 <<<"$output")
archived main
drill_section "check.patience = [other] SELECT pg_sleep(0.2) IS NOT NULL => t
check.who = [other] SELECT current_user => postgres
check.until = SELECT current_setting('drill.until')::timestamptz BETWEEN now() - interval '1 minute' AND now() => t
check.locked = SELECT count(*) FROM locked => 1"
drill 0
expect_output "^not read  *3 databases that take no sessions"
expect_output "1 prepared transactions were rolled back"
expect_output "checks  *4 of 4 passed"

step "pg_amcheck, where an event trigger forbids what it makes"
if [ "$major" -ge 14 ]; then
    sql main "create function forbid() returns event_trigger language plpgsql as 'begin raise exception ''forbidden''; end'" \
        "create event trigger forbid on ddl_command_start execute function forbid()" "alter event trigger forbid enable always"
    archived main
    drill_section "scan = amcheck"
    drill 0
    sql main "drop event trigger forbid"
else
    drill_section "scan = amcheck"
    fails scratch "there is no pg_amcheck"
fi

step "a tablespace that was made behind the backup: the drill does not write where it lies"
mkdir made
sql main "create tablespace made location '$T/made'" "create table inside tablespace made as select generate_series(1, 100) i"
archived main
sql main "truncate inside" checkpoint
find made -printf '%p %m %T@ %C@ %s\n' | grep -v "^made 700" | sort >made.before
drill_section
fails replay "could not create symbolic link \"pg_tblspc/"
expect_output "hint: .*tablespace .*behind the beginning of the backup"
find made -printf '%p %m %T@ %C@ %s\n' | grep -v "^made 700" | sort >made.now
expect_same "the tablespace" made.before made.now
expect_true "it has files" grep -q "^made/PG_.*/[0-9]*/[0-9]" made.now
expect_status 0 basebackup-push --checkpoint=fast
drill 0

step "damage in a database that is told to overlook it"
server_stop main
printf damage | dd of="main/$victim" bs=1 seek=$((8192 + 4000)) conv=notrunc status=none
server_start main
expect_status 0 basebackup-push --checkpoint=fast --page-errors warn
archived main
fails checks "victim in database \"other\" can't be read: invalid page in block 1"
server_stop main
