#!/bin/bash
# goal: restore-drill restores, recovers, checks, measures and removes, and leaves nothing, also when it is ended
# stores: file
# full-encrypted: file
# full-stores: s3
# full-versions: file@13 file@17 file@18 file@19
# limit: 600
. "$(dirname "$0")/../lib.sh"

. "$(dirname "$0")/../drill.sh"

step "a live cluster: two databases, a tablespace, toast, a matview, an unlogged table"
mkdir scratch
drill_section
server_create main --data-checksums
mkdir space
expect_status 0 repository-init
server_start main
sql main "create tablespace space location '$T/space'" "create database \"second one\"" "create table t (i int, pad text)" \
    "create table elsewhere tablespace space as select i from generate_series(1, 1000) i" \
    "create table long as select string_agg(md5(i::text), '') as text from generate_series(1, 3000) i" \
    "create materialized view seen as select count(*) from elsewhere" "create materialized view never as select 1 with no data" \
    "create unlogged table forgotten (i int)" "insert into t select i, 'a' from generate_series(1, 1000) i"

step "there is nothing to drill"
expect_status 2 env WALFERRY_CONFIG=/nonexistent restore-drill
drill 2 --backup yesterday
drill 2 --target-time "2026-01-01 00:00:00"
fails choose "no complete base backup"
expect_equal "reports" 0 "$(reports '')"

step "the newest: RTO, RPO, a report"
expect_status 0 basebackup-push --checkpoint=fast
first=$(tail -1 <<<"$output")
sql main "insert into t select i, 'b' from generate_series(1001, 1500) i"
archived main
drill 0
expect_output "^backup  *$first"
expect_output "^recovered  *up to the commit of 20.*; opened on timeline 2"
expect_output "^read  *[0-9]* relations, [0-9]* pages, in 3 databases"
expect_output "^not read  *1 unlogged relations"
expect_output "^not read  *1 databases that take no sessions"
expect_output "^RTO  *[0-9]"
expect_output "^RPO  *[0-9]"
expect_equal "reports" 1 "$(reports "$first+[0-9]* ")"
find space -type f -printf '%p %s %T@\n' | sort >space.after
expect_status 0 basebackup-list
expect_output "^$first: restored in a drill at 20.* UTC, in [0-9]+:[0-9]+"
expect_status 0 basebackup-list --json
expect_equal "drill, as JSON" "True" "$(field "$output" 'd["backups"][0]["drill"]["passed"] and d["backups"][0]["drill"]["seconds"] > 0')"

step "checks: their expectations, the last drill's values, a database with a blank, read-only"
drill_section "check.rows = SELECT count(*) FROM t => 1500
check.least = SELECT count(*) FROM t => >= 1500
check.between = SELECT count(*) FROM t => 1..1500
check.text = [second one] SELECT current_database() => second one
check.arrow = SELECT make_interval(days => 1) => 1 day
check.near = SELECT count(*) FROM t => within 10% of last"
drill 0 --json
expect_equal "checks" "True 6 1500" "$(field "$(sed -n '/^{/,$p' <<<"$output")" 'str(d["passed"]) + " " + str(sum(c["passed"] for c in d["checks"])) + " " + d["checks"][0]["value"]')"
sql main "insert into t select i, 'c' from generate_series(1501, 1600) i" && archived main
drill_section "check.near = SELECT count(*) FROM t => within 10% of last"
drill 0
expect_output "checks  *1 of 1 passed"
sql main "insert into t select i, 'c' from generate_series(1601, 2000) i" && archived main
drill_section "check.near = SELECT count(*) FROM t => within 10% of last
check.writes = INSERT INTO t VALUES (0, '') RETURNING 1 => 1
check.wrong = SELECT count(*) FROM t => 7"
fails checks "check \"near\" found \"2000\", but expects within 10% of last, which was \"1600\""
expect_output "check \"wrong\" found \"2000\", but expects 7"
expect_output "cannot execute INSERT in a read-only transaction"
expect_output "The server's log is in"
expect_true "the log" grep -q "archive recovery complete" scratch/restore-drill-*Z.log
rm scratch/*.log
drill_section "check.bad = SELECT 1"
drill 2
expect_output "check.bad .* malformed: it has no"

step "an instant; the oldest; one that is chosen by chance; the backup's end where nothing was committed"
drill_section "check.rows = SELECT count(*) FROM t => 2000..2100"
instant=$(sql main "select clock_timestamp()")
sleep 0.1
sql main "insert into t select i, 'd' from generate_series(2001, 3000) i" && archived main
drill 0 --target-time "$instant"
expect_output "^target  *time ${instant%+*}0*\\+00" # PostgreSQL leaves zeros out
drill_section
expect_status 0 basebackup-push --checkpoint=fast
drill 0 --backup oldest --target-time random
expect_output "^backup  *$first"
expect_output "^target  *time 20"
[ -z "$FULL" ] || drill 0 --target-time random

step "it needs a place, its programs, and room"
drill_section "max_size = 20MB"
fails scratch "needs [0-9.]* MiB, more than max_size"
drill_section "max_size = 32MB"
fails "(fetch|replay)" "the drill has grown to [0-9.]* MiB on disk, more than max_size"
drill_section "scan = none"
sed -i "s|^pg_bin.*|pg_bin = $T/nowhere|" "$CONFIG"
fails scratch "the programs of PostgreSQL $major were not found"
sed -i "/^scratch/d" "$CONFIG"
drill 2
expect_output "names no place for drills"
rm -f scratch/*.log

step "what a drill that was killed has left is removed; pg_amcheck"
scan=amcheck
[ "$major" -ge 14 ] || scan=relations
drill_section "scan = $scan"
mkdir -p scratch/restore-drill/data/base && echo left >scratch/restore-drill/data/PG_VERSION
drill 0
expect_output "removing .*, which a drill that was killed has left"
[ "$major" -lt 14 ] || expect_output "^read  *by pg_amcheck"
drill_section

step "kept, and refused until it is removed"
expect_status 0 restore-drill --keep
expect_true "the restored cluster" test -s scratch/restore-drill/data/PG_VERSION
expect_absent scratch/restore-drill/data/postmaster.pid
expect_status 1 restore-drill
expect_output "step scratch failed: .* is what an earlier drill with --keep has left"
rm -rf scratch/restore-drill

step "ended by a signal in the middle, and by SIGKILL: nothing runs on"
for signal in TERM ${FULL:+INT} KILL; do
    drill_section "check.sleep = SELECT pg_sleep(600) => 1"
    restore-drill --verbose >signal.log 2>&1 &
    pid=$!
    wait_until 60 "the server of the drill" grep -q "is ready" scratch/restore-drill/server.log
    sleep 0.5
    kill -"$signal" "$pid"
    status=0
    wait "$pid" || status=$?
    sed 's/^/    /' signal.log
    output=$(cat signal.log)
    expect_equal "status after SIG$signal" "$((128 + $(kill -l "$signal")))" "$status"
    if [ "$signal" = KILL ]; then
        wait_until 20 "the end of the server" test ! -e scratch/restore-drill/data/postmaster.pid
        expect_true "the directory is left" test -d scratch/restore-drill
        drill_section
        drill 0
    else
        nothing_left
        grep -Eq "step checks failed: .*interrupted" signal.log || fail "the step is named"
    fi
done
rm -f scratch/*.log

if [ -n "$FULL" ]; then
    step "a drill that takes too long"
    drill_section "timeout = 1 min
check.sleep = SELECT pg_sleep(600) => 1"
    fails checks "it took longer than timeout"
fi

server_stop main
