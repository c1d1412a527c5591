#!/bin/bash
# goal: too much WAL waits: nothing is let go of unless the user said so; then a gap marker is durable first, and everybody who comes there is told
# stores: file s3
# limit: 300
. "$(dirname "$0")/../lib.sh"
real=$(env | grep ^S3_ || true)
. "$here/faults.sh"
[ "$STORE" != s3 ] || while IFS= read -r line; do export "${line?}"; done <<<"$real" # the fault server is not used here

step "a cluster with 30 segments that wait"
config_write $'[wal-push]\ntimeout = 4\n'
sed -i 's|^\[repository here\]|&\nconnect_timeout = 1|' "$CONFIG"
cluster_create
mkdir main/pg_wal/archive_status
for number in {10..30}; do segment_write "$number" "main/pg_wal/$(S "$number")"; done
for number in {1..30}; do : >"main/pg_wal/archive_status/$(S "$number").ready"; done
expect_status 0 repository-init
push() { expect_status "$1" wal-push "main/pg_wal/$(S "$2")"; } # STATUS NUMBER
archive() { push 0 "$1" && mv "main/pg_wal/archive_status/$(S "$1")."{ready,done}; } # NUMBER: as PostgreSQL does
setting() { sed -i -e '/^queue_limit\|^on_full\|^ahead/d' -e "s/^\[wal-push\]/&\n$1/" "$CONFIG"; } # LINES
cp "$CONFIG" up.conf
down() { # the store can't be used
    if [ "$STORE" = file ]; then mv repository away; else sed -i "s|^endpoint = .*|endpoint = https://127.0.0.1:1|" "$CONFIG"; fi
}
up() {
    if [ "$STORE" = file ]; then mv away repository; else sed -i "s|^endpoint = .*|$(grep ^endpoint up.conf)|" "$CONFIG"; fi
}
markers() { find state -name 'gap-*' -printf '%f\n' | sed 's/^gap-[0-9]*-//' | LC_ALL=C sort | paste -sd' '; }
stored() { object_list | sed -n 's|.*/wal/[0-9A-F]*/\([^ ]*\) .*|\1|p' | paste -sd' '; }

step "without a limit, and below it: 1, nothing of a queue"
setting 'ahead = 0'
archive 1
down
push 1 2
expect_equal "messages of a queue" "" "$(grep -i "queue_limit\|let go" <<<"$output" || true)"
setting 'ahead = 0\nqueue_limit = 29MB\non_full = drop'
push 1 2
expect_equal "messages of a queue" "" "$(grep -i "queue_limit\|let go" <<<"$output" || true)"
expect_equal "markers" "" "$(markers)"

step "over it, and on_full = stop (the default): 1, and how much waits" # wound: pgbackrest#2714, #2390, #2629, #2800
setting 'ahead = 0\nqueue_limit = 28MB'
push 1 2
expect_output "29 segments \(29 MiB\) wait to be archived, more than queue_limit"
expect_output "Nothing is let go of"
expect_equal "markers" "" "$(markers)"

step "over it, and on_full = drop, but the marker can't be written: 1, nothing is let go of"
setting 'ahead = 0\nqueue_limit = 10MB\non_full = drop'
chmod 500 state
push 1 2
expect_output "not let go of"
chmod 700 state
mkdir state.away && chmod 755 state && push 1 2 && chmod 700 state # others can read it: it is not used
expect_output "state_dir"
expect_equal "markers" "" "$(markers)"

step "over it, and on_full = drop: 0, with a durable marker; then without waiting for the store each time"
archive 2
expect_output "LET GO OF"
expect_equal "markers" "$(S 2).open" "$(markers)"
expect_true "what it says" grep -q "\"first\":\"$(S 2)\",\"last\":\"$(S 2)\",\"segments\":1," state/gap-*-"$(S 2)".open
begun=$EPOCHREALTIME
for number in 3 4 5; do archive $number; done
expect_true "no time for it" test "$(awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { print int(b - a) }')" -lt 3
push 0 5 # asked for again
expect_equal "markers" "$(S 2).open" "$(markers)"
expect_true "what it says" grep -q "\"first\":\"$(S 2)\",\"last\":\"$(S 5)\",\"segments\":4," state/gap-*-"$(S 2)".open
head -c -78 state/gap-*-"$(S 2)".open | sha256sum | cut -d' ' -f1 >sum
expect_true "its seal" grep -q "\"sha256\":\"$(<sum)\"" state/gap-*-"$(S 2)".open

step "never .history, and never what is refused for another reason than the store"
expect_status 1 wal-push main/pg_wal/00000002.history
cp "main/pg_wal/$(S 7)" kept && cp "main/pg_wal/$(S 8)" "main/pg_wal/$(S 7)"
rm -f state/push-failed-*
push 1 7
expect_output "is not archived"
cp kept "main/pg_wal/$(S 7)"
expect_equal "markers" "$(S 2).open" "$(markers)"

step "the store is back: the marker goes there before any later segment"
up
setting 'ahead = 0\nqueue_limit = 10MB\non_full = drop'
rm -f state/push-failed-*
if [ "$STORE" = file ]; then # where it can't be put, nothing goes
    mkdir -p "repository/$(wal_key "$(S 2)").gap"
    setting 'ahead = 0'
    push 1 6
    expect_equal "what is stored" "$(S 1)" "$(stored)"
    rmdir "repository/$(wal_key "$(S 2)").gap"
    expect_equal "markers" "$(S 2).closed" "$(markers)"
fi
archive 6
expect_output "told repository \"here\" that 4 segments from \"$(S 2)\" to \"$(S 5)\" are missing"
expect_equal "what is stored" "$(S 1) $(S 2).gap $(S 6)" "$(stored)"
expect_equal "markers" "$(S 2).sent" "$(markers)"
archive 7
expect_equal "messages" "" "$output"

step "a second gap is a marker of its own; looking ahead goes on behind it"
setting 'ahead = 0\nqueue_limit = 10MB\non_full = drop'
down
archive 8
archive 9
up
setting 'queue_limit = 10MB\non_full = drop'
rm -f state/push-failed-*
archive 10
expect_output "ahead, 20 more"
expect_equal "markers" "$(S 2).sent $(S 8).sent" "$(markers)"
expect_equal "what is stored" "$(S 1) $(S 2).gap $(S 6) $(S 7) $(S 8).gap $(for i in {10..30}; do S $i; echo; done | paste -sd' ')" "$(stored)"

step "wal-fetch: not the end, but WAL that was let go of, from where to where, and the way out"
touch target/recovery.signal
setting_fetch() { printf '[wal-fetch]\nhole_wait = 0\n' >>"$CONFIG"; }
setting_fetch
fetch() { expect_status "$1" wal-fetch "$(S "$2")" target/pg_wal/RECOVERYXLOG; } # STATUS NUMBER
fetch 0 1
fetch 200 2
expect_output "WAL from \"$(S 2)\" to \"$(S 5)\" \(4 segments\) was let go of"
expect_output "recovery-config --accept-end $(S 2)"
fetch 200 3
expect_output "a hole"
fetch 200 8
expect_output "WAL from \"$(S 8)\" to \"$(S 9)\" \(2 segments\) was let go of"
fetch 0 10
expect_status 1 wal-fetch --end-at "$(S 2)" "$(S 2)" target/pg_wal/RECOVERYXLOG
expect_status 1 wal-fetch --end-at "$(S 6)" "$(S 6)" target/pg_wal/RECOVERYXLOG # though it is there
expect_status 0 wal-fetch --end-at "$(S 7)" "$(S 6)" target/pg_wal/RECOVERYXLOG
for number in {10..30}; do object_delete "$(wal_key "$(S $number)")"; done
fetch 200 8 # with nothing behind it, too
expect_output "was let go of"
object_get "$(wal_key "$(S 8)").gap" gap && sed -i 's/"segments":2/"segments":3/' gap && object_put "$(wal_key "$(S 8)").gap" gap
fetch 200 8
expect_output "damaged"

step "two required repositories, one away: the other gets all; the marker goes to each, once, before later segments"
printf '[repository there]\nurl = file://%s\n' "$T/there" >>up.conf
cp up.conf "$CONFIG"
mkdir there
expect_status 0 repository-init
setting 'ahead = 0\nqueue_limit = 3MB\non_full = drop'
for number in {31..46}; do segment_write "$number" "main/pg_wal/$(S "$number")" && : >"main/pg_wal/archive_status/$(S "$number").ready"; done
there() { find "${1:-there}" -path '*/wal/*' -type f -printf '%f\n' | LC_ALL=C sort | paste -sd' '; }
again() { rm -f state/push-failed-*; } # as after half a minute
mv there there.away
archive 31
expect_output "LET GO OF"
archive 32
expect_equal "tries where it failed a moment ago" "" "$(grep '"there"' <<<"$output" || true)"
again
archive 33
expect_equal "messages of here, which has all" "" "$(grep 'told repository' <<<"$output" || true)"
expect_equal "markers" "$(S 31).open" "$(markers | tr ' ' '\n' | grep -v 'sent$\|json$' | paste -sd' ')"
for number in 31 32 33; do expect_true "$number" object_exists "$(wal_key "$(S $number)")"; done
mv there.away there
again
archive 34
expect_output 'told repository "there" that 3 segments'
expect_equal "messages of here" "" "$(grep 'told repository "here"' <<<"$output" || true)"
expect_equal "what is there" "$(S 31).gap $(S 34)" "$(there)"
expect_equal "markers" "$(S 2).sent $(S 8).sent $(S 31).sent" "$(markers)"

step "what was let go of is asked for again, since the server ended before it had marked that; or its power went"
mv there there.away
again
archive 35 # here has it
down
again
archive 36 # and not this one
up
setting 'ahead = 0\nqueue_limit = 3MB\non_full = drop'
again
push 0 36
expect_output 'told repository "here" that 2 segments'
for number in 35 36; do mv "main/pg_wal/archive_status/$(S $number)."{done,ready}; done
for i in 1 2; do # each time the marker goes to here, but the segment not to there
    again
    rm -f state/gap-*.in-*
    push 0 35
    expect_equal "collisions" "" "$(grep -i "other content" <<<"$output" || true)"
done
mv there.away there
again
archive 37
expect_equal "what is there" "$(S 31).gap $(S 34) $(S 35).gap $(S 37)" "$(there)"

step "a repository that is not required gets the marker, too"
echo "required = no" >>up.conf
cp up.conf "$CONFIG"
setting 'ahead = 0\nqueue_limit = 3MB\non_full = drop'
mv there there.away
down
archive 38
up
again
setting 'ahead = 0\nqueue_limit = 3MB\non_full = drop'
archive 39
expect_output 'told repository "here"'
archive 40
expect_equal "messages of here" "" "$(grep 'told repository "here"' <<<"$output" || true)"
mv there.away there
archive 41
expect_output 'told repository "there"'
expect_equal "what is there" "$(S 31).gap $(S 34) $(S 35).gap $(S 37) $(S 38).gap $(S 41)" "$(there)"
expect_true "no more to send" test -e state/gap-*-"$(S 38)".sent

step "a .backup file keeps nobody who waits behind it, and is no gap"
: >"main/pg_wal/archive_status/$(S 41).00000028.backup.ready"
printf 'START WAL LOCATION: 0/2900028 (file %s)\n' "$(S 41)" >"main/pg_wal/$(S 41).00000028.backup"
mv there there.away
down
expect_status 0 wal-push "main/pg_wal/$(S 41).00000028.backup"
expect_output "backup\" is LET GO OF"
setting 'ahead = 0\nqueue_limit = 3MB'
expect_status 1 wal-push "main/pg_wal/$(S 41).00000028.backup"
expect_output "5 segments \(5 MiB\) wait to be archived"
expect_equal "markers" "$(S 2).sent $(S 8).sent $(S 31).sent $(S 35).sent $(S 38).sent" "$(markers)"
