#!/bin/bash
# goal: a missing or damaged segment, or a store that is away, stops a recovery; it never ends one early in silence
# stores: file s3
. "$(dirname "$0")/../lib.sh"

step "a base backup and a row in each of several segments"
config_write $'[wal-fetch]\ntimeout = 3\nhole_wait = 1\nswitch_wait = 4'
server_create main
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t (i int)"
expect_status 0 basebackup-push --checkpoint=fast
for i in 1 2 3 4; do
    sql main "insert into t values ($i)" "select pg_walfile_name(pg_current_wal_lsn())" >segment.$i
    sql main "select clock_timestamp()" >time.$i
    sleep 0.05
    sql main "insert into t values (0)" "select pg_switch_wal()" >/dev/null # so that time.$i lies within the segment
done
archived main
cp -r main/pg_wal lost_wal
server_stop main
third=$(cat segment.3)

restore() { rm -rf copy && expect_status 0 basebackup-fetch -D "$T/copy" && expect_status 0 recovery-config -D "$T/copy" "$@"; }
start_fails() { # PATTERN, in the server's log
    rm -f copy.log
    mkdir -p run/copy
    # It may be up, read-only, for a moment: it is consistent long before the end.
    pg_ctl -D copy -l copy.log -s -w -t 60 -o "-k $T/run/copy -c listen_addresses=''" start || true
    wait_until 60 "the end of the server, or of its recovery" is_open_or_gone copy
    if is_open copy 2>/dev/null; then fail "the server opened, with rows up to $(sql copy "select max(i) from t")"; fi
    grep -E "wal-fetch|FATAL" copy.log
    output=$(cat copy.log)
    expect_output "$1"
}
rows() { # LAST
    server_start copy
    wait_open copy
    expect_equal "the last row" "$1" "$(sql copy "select max(i) from t")"
    server_stop copy
}

step "whole"
restore
rows 4

step "a hole: the recovery stops and says so; it goes on where the segment comes back"
object_get "$(wal_key "$third")" saved
object_delete "$(wal_key "$third")"
restore
start_fails "hole"
object_put "$(wal_key "$third")" saved
rows 4

step "a hole: the lost server's pg_wal mends it"
object_delete "$(wal_key "$third")"
restore
start_fails "hole"
cp "lost_wal/$third" copy/pg_wal/
rows 4

step "a hole: accepted as the end, for this directory alone"
restore --accept-end "$third"
rows 2
restore
start_fails "hole"

step "a target in the segment before the hole is reached, though a server likes to read ahead"
restore --target-time "$(cat time.2)" --action promote
rows 2
object_put "$(wal_key "$third")" saved

step "a damaged segment stops the recovery; mended it goes on"
cp saved damaged
printf 'damage' | dd of=damaged bs=1 seek=$(($(stat -c %s saved) / 2)) conv=notrunc status=none
object_put "$(wal_key "$third")" damaged
restore
start_fails "damaged"
object_put "$(wal_key "$third")" saved
rows 4

step "a store that goes away stops the recovery; when it is back it goes on"
restore
if [ "$STORE" = file ]; then mv repository away
else sed -i.good 's|^endpoint.*|endpoint = https://127.0.0.1:9|' "$CONFIG"; fi
start_fails "wal-fetch: error"
if [ "$STORE" = file ]; then mv away repository
else mv "$CONFIG.good" "$CONFIG"; fi
rows 4
