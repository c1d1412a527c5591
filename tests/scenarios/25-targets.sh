#!/bin/bash
# goal: every kind of recovery target of recovery-config stops where it says
# turns: file s3
# full-versions: file@13 file@17 file@18 s3@19
. "$(dirname "$0")/../lib.sh"

step "one row a transaction; xid, LSN, time and name of each are known"
config_write
server_create main
expect_status 0 repository-init
server_start main
sql main "create table t (i int)"
expect_status 0 basebackup-push --checkpoint=fast
for i in 1 2 3 4 5; do
    sql main "insert into t values ($i) returning pg_current_xact_id()" >xid.$i
    sql main "select clock_timestamp()" >time.$i
    sql main "select pg_current_wal_insert_lsn()" >lsn.$i
    sql main "select pg_create_restore_point('after $i')" >/dev/null
    sleep 0.05
done
archived main
server_stop main

# target ROWS OPTION...: recovered with these options there are rows 1 to ROWS
target() {
    local rows=$1
    shift
    rm -rf copy
    expect_status 0 basebackup-fetch -D "$T/copy"
    expect_status 0 recovery-config -D "$T/copy" "$@"
    server_start copy
    wait_open copy
    expect_equal "rows with $*" "$rows" "$(sql copy "select coalesce(max(i), 0) from t")"
    expect_equal "archive_mode of a copy" off "$(sql copy "show archive_mode")"
    server_stop copy
}
step "the targets" # wound: wal-g#1244
target 2 --target-xid "$(cat xid.2)" --action promote
target 1 --target-xid "$(cat xid.2)" --exclusive --action promote
target 3 --target-lsn "$(cat lsn.3)" --action promote
target 4 --target-name "after 4" --action promote
target 2 --target-time "$(cat time.2)" --action promote
target 0 --immediate --action promote
target 5

step "--dry-run writes nothing, --show tells, --clear takes all back, a second target replaces the first"
rm -rf copy
expect_status 0 basebackup-fetch -D "$T/copy"
cp copy/postgresql.auto.conf auto.before
expect_status 0 recovery-config -D "$T/copy" --target-name "after 4" --dry-run
expect_output "after 4"
expect_same "after a dry run" auto.before copy/postgresql.auto.conf
expect_absent copy/recovery.signal copy/standby.signal
expect_status 0 recovery-config -D "$T/copy" --target-name "after 4"
expect_status 0 recovery-config -D "$T/copy" --show
expect_output "after 4"
expect_status 0 recovery-config -D "$T/copy" --clear
expect_same "after --clear" auto.before copy/postgresql.auto.conf
expect_absent copy/recovery.signal copy/standby.signal
expect_status 0 recovery-config -D "$T/copy" --standby
expect_status 0 recovery-config -D "$T/copy" --target-name "after 4"
expect_status 0 recovery-config -D "$T/copy" --target-xid "$(cat xid.2)" --action promote
expect_absent copy/standby.signal
server_start copy
wait_open copy
expect_equal "rows" 2 "$(sql copy "select max(i) from t")"
server_stop copy

step "what cannot work is said and not written"
rm -rf copy
expect_status 0 basebackup-fetch -D "$T/copy"
refused() { # PATTERN OPTION...
    local status=0
    output=$(recovery-config -D "$T/copy" "${@:2}" 2>&1) || status=$?
    echo "${*:2} -> $status: $output"
    expect_true "status 1 or 2 for ${*:2}" test $status = 1 -o $status = 2
    expect_output "$1"
    expect_same "after ${*:2}" auto.before copy/postgresql.auto.conf
    expect_absent copy/recovery.signal copy/standby.signal
}
refused "not (after|behind) the end of" --target-time "2020-01-01 00:00:00+00"
refused "future" --target-time "2099-01-01 00:00:00+00"
refused "one|together|both" --target-name a --target-xid 700
refused "time|date" --target-time "yesterday afternoon"
refused "" --target-lsn "nonsense"
refused "" --timeline 7 --target-name a
