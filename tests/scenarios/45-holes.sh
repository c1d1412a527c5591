#!/bin/bash
# goal: a missing or damaged segment, or a store that is away, stops a recovery; it never ends one early in silence
# stores:
# turns: file s3
. "$(dirname "$0")/../lib.sh"

step "a base backup and a row in each of several segments"
config_write $'[wal-fetch]\ntimeout = 3\nhole_wait = 0\nswitch_wait = 4'
server_create main --wal-segsize=1
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t (i int)"
expect_status 0 basebackup-push --checkpoint=fast
for i in 1 2 3 4 5 6 7 8 9; do
    sql main "insert into t values ($i)" "select pg_walfile_name(pg_current_wal_lsn())" >segment.$i
    sql main "select clock_timestamp()" >time.$i
    sleep 0.05
    # so that time.$i lies within the segment; the restore point is the last record before the switch
    sql main "insert into t values (0)" "select pg_create_restore_point('end of $i')" "select pg_switch_wal()" >/dev/null
done
archived main
cp -r main/pg_wal lost_wal
segment() { cat "segment.$1"; }

expect_status 0 basebackup-fetch -D "$T/base"
restore() { rm -rf copy && cp -r base copy && expect_status 0 recovery-config -D "$T/copy" "$@"; }
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
is_hole() { start_fails "\"$(segment "$1")\" is missing, but .*hole"; } # NUMBER of the first segment that is missing
rows() { # LAST [TIMELINE]: it opens with these, on a new timeline
    server_start copy
    wait_open copy
    expect_equal "the last row" "$1" "$(sql copy "select max(i) from t")"
    expect_equal "its timeline" "${2:-00000002}" "$(sql copy "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")"
    server_stop copy
}
take() { # NUMBER...: out of the repository
    local number
    for number; do
        object_get "$(wal_key "$(segment "$number")")" "saved.$number"
        object_delete "$(wal_key "$(segment "$number")")"
    done
}
bring() { # NUMBER...: back, in this order
    local number
    for number; do object_put "$(wal_key "$(segment "$number")")" "saved.$number"; done
}

step "whole: the end is the end"
restore
rows 9

step "a hole of one segment: the recovery stops and says so; it goes on where the segment comes back" # wound: pgbackrest#27
take 3
restore
is_hole 3
expect_output "recovery with \"$(segment 2)\", whose last commit is of [-0-9]+ [0-9:.]+\+00, and .*accept-end $(segment 3)"
bring 3
rows 9

step "a hole of five: it stops at the first that is missing, whatever else came back"
take 3 4 5 6 7
restore
is_hole 3
bring 7 5 3
is_hole 4
bring 6 4
rows 9

step "the lost server's pg_wal mends a hole, all of it or as far as it goes"
take 3 4 5 6 7
restore
for i in 3 4 5; do cp "lost_wal/$(segment $i)" copy/pg_wal/; done
is_hole 6
for i in 6 7; do cp "lost_wal/$(segment $i)" copy/pg_wal/; done
rows 9

step "a segment in pg_wal that was not written to its end does not end a recovery before later WAL"
bring 4 5 6 7
restore
cp "lost_wal/$(segment 3)" copy/pg_wal/
truncate -s 64 "copy/pg_wal/$(segment 3)" && truncate -s "$(stat -c %s "lost_wal/$(segment 3)")" "copy/pg_wal/$(segment 3)"
is_hole 3
expect_true "it is named" grep -q "\"$(segment 3)\" is in pg_wal, but not written to its end" copy.log
cp "lost_wal/$(segment 3)" copy/pg_wal/
rows 9
take 4 5 6 7

step "accepted as the end, for this directory alone"
restore --accept-end "$(segment 3)"
rows 2
restore
is_hole 3

step "a target before the hole is reached, though a server likes to read ahead: in the last segment, and its last record (rule 6)"
restore --target-time "$(cat time.2)" --action promote
rows 2
restore --target-name "end of 2" --action promote
rows 2

step "what is missing arrives while a recovery waits for it, the last first"
sed -i.good 's/^hole_wait.*/hole_wait = 60/' "$CONFIG"
asks_for() { pgrep -f "^[^ ]*/wal-fetch --config $CONFIG $(segment "$1")" >/dev/null; } # NUMBER
arrives() { # it is asked for when it comes
    pg_ctl -D copy -l copy.log -s -W -o "-k $T/run/copy -c listen_addresses=''" start
    wait_until 60 "a question for segment 3" asks_for 3
    bring 7 5 6
    sleep 1.5 # it looks again once a second
    expect_true "it still asks for segment 3" asks_for 3
    bring 3
    wait_until 60 "a question for segment 4" asks_for 4
    bring 4
}
restore
arrives
rows_now() { expect_equal "the last row" "$1" "$(sql copy "select max(i) from t")"; }
wait_open copy
rows_now 9
server_stop copy
mv "$CONFIG.good" "$CONFIG"

step "the same on a standby: it asks again, and replays nothing from behind the hole"
take 3 4 5 6 7
restore --standby
echo "wal_retrieve_retry_interval = 200ms" >>copy/postgresql.conf
server_start copy
has() { [ "$(sql copy "select max(i) from t")" = "$1" ]; }
wait_until 60 "row 2 on the standby" has 2
bring 7 6 5 4
sleep 1
rows_now 2
bring 3
wait_until 60 "row 9 on the standby" has 9

step "it is promoted, and archives a second timeline; the base backup leads there"
sql main "insert into t values (10)" "select pg_walfile_name(pg_current_wal_lsn())" >segment.10
archived main
cp "main/pg_wal/$(segment 10)" lost_wal/
wait_until 60 "row 10 on the standby" has 10
server_stop main
pg_ctl -D copy -s -w -t 60 promote
wait_open copy
for i in 11 12; do sql copy "insert into t values ($i)" "select pg_walfile_name(pg_current_wal_lsn())" >segment.$i && archived copy; done
server_stop copy
fork=$(sed -n 's|^1\t\([0-9A-F/]*\).*|\1|p' copy/pg_wal/00000002.history)
echo "timeline 2 left timeline 1 at $fork"
mv copy promoted
restore
rows 12 00000003
restore --timeline 1
rows 10 00000003

step "a timeline by number, in a directory where an earlier attempt left the history of another one"
expect_status 0 basebackup-fetch -D "$T/other"
expect_status 0 recovery-config -D "$T/other" --timeline 1 --target-name "end of 4" --action promote --archive=keep
server_start other
wait_open other
sql other "insert into t values (300)"
archived other
server_stop other
attempted() { # to the latest timeline, 3, which left timeline 1 before timeline 2 did
    restore --target-name "end of 1"
    sed -i "s/end of 1/nowhere/" copy/postgresql.auto.conf
    start_fails "recovery ended before configured recovery target"
    expect_true "the history of timeline 3 is in pg_wal" test -e copy/pg_wal/00000003.history
}
attempted
expect_status 0 recovery-config -D "$T/copy" --timeline 2
rows 12 00000004
attempted
expect_status 0 recovery-config -D "$T/copy" --timeline 1
rows 10 00000004
take 11 # the first of timeline 2
attempted
expect_status 0 recovery-config -D "$T/copy" --timeline 2
start_fails "\"$(segment 11)\" is missing, but"
bring 11
rows 12 00000004
object_delete "$(wal_key 00000003.history)"
rm -rf other

step "a hole before the fork that only the new timeline's history shows (rule 3 b): of one segment, of five"
is_hole_before_fork() { start_fails "\"$(segment "$1")\" is missing, but timeline 2 left timeline 1 only at $fork: a hole"; }
take 10
restore
is_hole_before_fork 10
expect_absent copy/pg_wal/00000003.history
cp "lost_wal/$(segment 10)" copy/pg_wal/
rows 12 00000003
take 6 7 8 9
restore
bring 10 9 8 7
is_hole_before_fork 6
bring 6
rows 12 00000003

step "a hole right behind the fork; accepted as the end, the first timeline's end is reached, and no timeline is taken twice"
take 11
restore
is_hole 11
restore --accept-end "$(segment 11)"
rows 10 00000003
bring 11

step "a damaged segment stops the recovery; mended it goes on"
third=$(segment 3)
object_get "$(wal_key "$third")" saved
cp saved damaged
printf 'damage' | dd of=damaged bs=1 seek=$(($(stat -c %s saved) / 2)) conv=notrunc status=none
object_put "$(wal_key "$third")" damaged
restore
start_fails "damaged"
object_put "$(wal_key "$third")" saved
rows 12 00000003

step "a store that goes away stops the recovery; when it is back it goes on" # wound: wal-g#1126, #1195, barman#1193, #438, cnpg-plugin-pgbackrest#105, CNPG#11540
restore
if [ "$STORE" = file ]; then mv repository away
else sed -i.good 's|^endpoint.*|endpoint = https://127.0.0.1:9|' "$CONFIG"; fi
start_fails "wal-fetch: error"
if [ "$STORE" = file ]; then mv away repository
else mv "$CONFIG.good" "$CONFIG"; fi
rows 12 00000003

step "a server that took a new timeline at an earlier point is lost before its first segment is archived (rule 3 c)"
restore --target-name "end of 5" --action promote --archive=keep
server_start copy
wait_open copy
sql copy "insert into t values (13)"
wait_until 30 "the history of timeline 3" object_exists "$(wal_key 00000003.history)"
server_kill copy
mv copy lost
restore
start_fails "\"$(segment 5)\" is not handed over: timeline 3 left timeline 1 at" # else all that it undid would be back
expect_output "accept-end $(segment 5)"
expect_absent copy/pg_wal/00000004.history
cp "lost/pg_wal/$(segment 5 | sed 's/^......../00000003/')" copy/pg_wal/
rows 13 00000004
restore --accept-end "$(segment 5)"
rows 4 00000004
restore --timeline 1
rows 10 00000004
