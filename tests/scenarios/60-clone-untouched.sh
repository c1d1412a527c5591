#!/bin/bash
# goal: a restored and promoted clone leaves production's repository byte-identical, unless it is told to replace the server
# turns: file s3
. "$(dirname "$0")/../lib.sh"

step "production, with a base backup and some WAL"
config_write
server_create main
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t as select i from generate_series(1, 1000) i"
expect_status 0 basebackup-push --checkpoint=fast
sql main "insert into t values (0)"
instant=$(sql main "select clock_timestamp()")
sleep 0.1
sql main "insert into t values (-1)"
archived main
server_stop main
# Its archiver may have stored the shutdown's last segment until now; from here on nobody of production writes.
object_sums >before

step "a clone is restored, recovered, promoted, written to and checkpointed; it switches segments"
clone() { # NAME OPTION...
    expect_status 0 basebackup-fetch -D "$T/$1"
    expect_status 0 recovery-config -D "$T/$1" --target-time "$instant" --action promote "${@:2}"
    server_start "$1"
    wait_open "$1"
    expect_equal "rows" 1001 "$(sql "$1" "select count(*) from t")"
    sql "$1" "delete from t" "select pg_switch_wal()" "insert into t values (1)" "checkpoint" "select pg_switch_wal()" >/dev/null
}
clone clone
sleep 1
server_stop clone
object_sums >now
expect_same "production's repository" before now

step "clones of which the second sees the first's timeline in its own pg_wal: still nothing"
clone again
pg_ctl -D again -l again.log -s -w -m fast restart
server_stop again
object_sums >now
expect_same "production's repository" before now

step "the counter-proof: with --archive=keep the clone does archive"
clone heir --archive=keep
wait_until 60 "the heir's timeline in the archive" object_exists "$(wal_key 00000002.history)"
object_sums >now
expect_equal "objects of before that changed" "" "$(comm -23 before now)"

step "a second try of a recovery that was opened before: a timeline of its own, and nobody is refused" # wound: pgbackrest#584, #1399, #1753
archived heir
server_stop heir
object_sums >before
clone second --archive=keep
wait_until 60 "the second try's timeline in the archive" object_exists "$(wal_key 00000003.history)"
archived second
expect_equal "its timeline" 00000003 "$(sql second "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")"
expect_equal "refusals" 0 "$(sql second "select failed_count from pg_stat_archiver")"
object_sums >now
expect_equal "objects of before that changed" "" "$(comm -23 before now)"
