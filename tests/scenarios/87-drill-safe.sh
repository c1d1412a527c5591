#!/bin/bash
# goal: a drill of a cluster that reaches out in every way reaches nothing: a subscriber beside its publisher and its living self, poisoned commands and files, libraries that are not there, pg_cron
# stores: file
# full-versions: file@13 file@17 file@19
# limit: 300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../drill.sh"

step "a publisher, and a subscriber with an archive; commands that would tell if anybody but the subscriber ran them"
mkdir scratch
drill_section
server_create publisher
printf 'wal_level = logical\narchive_mode = off\n' >>publisher/postgresql.conf
server_start publisher
sql publisher "create table t (i int primary key)" "create publication all_of_it for table t" "insert into t select generate_series(1, 100)"
server_create main
cat >>main/postgresql.conf <<CONF
archive_command = 'case "\$PWD" in */main) exec $PROGRAMS/wal-push --config $CONFIG %p;; *) touch $T/poisoned-archive;; esac'
CONF
has_cron=
if [ -e "$(pg_config --pkglibdir | sed "s|/[0-9]*/lib|/$major/lib|")/pg_cron.so" ]; then
    has_cron=1
    echo "shared_preload_libraries = 'pg_cron'" >>main/postgresql.conf
else echo "pg_cron is not installed for $major: without it"; fi
expect_status 0 repository-init
server_start main
sql main "create table t (i int primary key)" "create database other" \
    "create subscription real connection 'host=$T/run/publisher user=postgres dbname=postgres' publication all_of_it"
wait_until 60 "the first hundred rows" sql_is main 100 "select count(*) from t"
[ -z "$has_cron" ] || sql main "create extension pg_cron" "select cron.schedule('poison', '* * * * *', 'select 1')" >/dev/null

step "what would be read by a server that trusts its restored files"
sql main "alter system set archive_cleanup_command = 'touch $T/poisoned-cleanup'" "alter system set recovery_end_command = 'touch $T/poisoned-end'" \
    "alter system set external_pid_file = '$T/poisoned-pid'" "alter system set listen_addresses = '127.0.0.1'" "alter system set huge_pages = on" \
    "alter system set shared_preload_libraries = 'library_that_is_not_there'" "alter system set shared_buffers = '500GB'" \
    "alter system set log_directory = '$T/poisoned-log'" "alter system set logging_collector = on" \
    "alter system set primary_conninfo = 'host=$T/run/publisher user=postgres'"
sql main "alter database other set session_preload_libraries = 'library_that_is_not_there'" \
    "alter role postgres in database other set local_preload_libraries = 'library_that_is_not_there'"
echo "host all all 0.0.0.0/0 trust" >>main/pg_hba.conf
# A table of an access method whose library is not there any more.
sql main "create function gone(internal) returns table_am_handler language internal as 'heap_tableam_handler'" \
    "create access method lost type table handler gone" "create table stored_elsewhere (i int) using lost" \
    "update pg_proc set prolang = (select oid from pg_language where lanname = 'c'), probin = '$T/gone.so', prosrc = 'gone' where proname = 'gone'"
expect_status 0 basebackup-push --checkpoint=fast
archived main
server_stop main
slot() { sql publisher "select active, restart_lsn, confirmed_flush_lsn from pg_replication_slots"; }
wait_until 10 "the slot to be free" sql_is publisher f "select active from pg_replication_slots"
slot >slot.before
sql publisher "insert into t select generate_series(101, 200)"

step "a drill beside them"
drill_section "check.rows = SELECT count(*) FROM t => 100
check.workers = SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'logical|cron' => 0
check.libraries = SELECT current_setting('shared_preload_libraries') =>
check.other = [other] SELECT current_setting('session_preload_libraries') || current_setting('local_preload_libraries') =>
check.subscription = SELECT subenabled FROM pg_subscription => t
check.patience = SELECT pg_sleep(3) IS NOT NULL => t"
export PGHOST=$T/run/publisher PGHOSTADDR=127.0.0.1 PGOPTIONS='-c default_transaction_read_only=off' PGSERVICE=nowhere
drill 0
unset PGHOST PGHOSTADDR PGOPTIONS PGSERVICE
expect_output "checks  *6 of 6 passed"
expect_output "not read  *1 relations that need a library"
expect_output "stored_elsewhere in database postgres: could not access file"
expect_absent poisoned-*
slot >slot.now
expect_same "the slot" slot.before slot.now
expect_equal "sessions at the publisher" 0 "$(sql publisher "select count(*) from pg_stat_replication")"
expect_status 0 restore-drill --quiet --keep
expect_equal "where it listened" "" "$(grep "listening on" scratch/restore-drill/server.log | grep -Fv "Unix socket \"$T/scratch/restore-drill/.s.PGSQL.5432\"" || true)"
expect_true "where it listened is known" grep -q "listening on" scratch/restore-drill/server.log
rm -rf scratch/restore-drill

step "the real subscriber goes on and has every row"
rm main/postgresql.auto.conf
: >main/postgresql.auto.conf
server_start main
sql publisher "insert into t select generate_series(201, 300)"
wait_until 60 "all rows" sql_is main 300 "select count(*) from t"

if [ -n "$has_cron" ]; then
    step "preload: what is named there is loaded"
    drill_section "preload = pg_cron
check.workers = SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type ~ 'cron' => t"
    drill 0
fi
server_stop main
server_stop publisher
