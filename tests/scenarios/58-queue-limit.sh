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
broken='s|^endpoint = .*|endpoint = https://127.0.0.1:1|'
down() { if [ "$STORE" = file ]; then mv repository away; else sed -i "$broken" "$CONFIG"; fi; } # the store can't be used
up() {
    if [ "$STORE" = file ]; then mv away repository; else sed -i -e "s|^endpoint = .*|$(grep ^endpoint up.conf)|" -e "s|^secret_key = .*|$(grep ^secret_key up.conf)|" "$CONFIG"; fi
}
G() { echo "$(S "$1")-$(S "$2").gap"; } # FIRST LAST: a marker's name in a repository
markers() { find state -name 'gap-*' ! -name '*.json' -printf '%f\n' | sed 's/^gap-[0-9]*-//' | LC_ALL=C sort | paste -sd' '; }
sent() { find state -name "gap-*-$(S "$1").in-*.json" | wc -l; } # FIRST: how many repositories have the marker, or what it tells of
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
    mkdir -p "repository/$(wal_key "$(G 2 5)")"
    setting 'ahead = 0'
    push 1 6
    expect_equal "what is stored" "$(S 1)" "$(stored)"
    rmdir "repository/$(wal_key "$(G 2 5)")"
    expect_equal "markers" "$(S 2).closed" "$(markers)"
    expect_equal "who was told" 0 "$(sent 2)"
fi
archive 6
expect_output "told repository \"here\" that 4 segments from \"$(S 2)\" to \"$(S 5)\" are missing"
expect_equal "what is stored" "$(S 1) $(G 2 5) $(S 6)" "$(stored)"
expect_equal "markers" "$(S 2).closed" "$(markers)"
expect_equal "who was told" 1 "$(sent 2)"
archive 7
expect_equal "messages" "" "$output"

broken='s/^secret_key = .*/secret_key = wrong/' # from here on: said at once, and it stays the same repository

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
expect_equal "markers" "$(S 2).closed $(S 8).closed" "$(markers)"
expect_equal "what is stored" "$(S 1) $(G 2 5) $(S 6) $(S 7) $(G 8 9) $(for i in {10..30}; do S $i; echo; done | paste -sd' ')" "$(stored)"

step "wal-fetch: not the end, but WAL that was let go of, from where to where, and the way out"
touch target/recovery.signal
setting_fetch() { printf '[wal-fetch]\nhole_wait = 0\n' >>"$CONFIG"; }
setting_fetch
fetch() { expect_status "$1" wal-fetch "$(S "$2")" target/pg_wal/RECOVERYXLOG; } # STATUS NUMBER
fetch 0 1
fetch 200 2
expect_output "WAL from \"$(S 2)\" to \"$(S 5)\" \(4 segments\) was let go of"
expect_output "recovery-config --accept-end $(S 2)"
fetch 200 4 # in the middle, and at the end
expect_output "WAL from \"$(S 2)\" to \"$(S 5)\" \(4 segments\) was let go of"
expect_output "recovery-config --accept-end $(S 4)"
fetch 200 5
expect_output "WAL from \"$(S 2)\" to \"$(S 5)\""
object_get "$(wal_key "$(S 7)")" kept
object_delete "$(wal_key "$(S 7)")"
fetch 200 7 # between two gaps, in none of them
expect_output "a hole"
object_put "$(wal_key "$(S 7)")" kept
fetch 200 8
expect_output "WAL from \"$(S 8)\" to \"$(S 9)\" \(2 segments\) was let go of"
fetch 0 10
expect_status 1 wal-fetch --end-at "$(S 2)" "$(S 2)" target/pg_wal/RECOVERYXLOG
expect_status 1 wal-fetch --end-at "$(S 6)" "$(S 6)" target/pg_wal/RECOVERYXLOG # though it is there
expect_status 0 wal-fetch --end-at "$(S 7)" "$(S 6)" target/pg_wal/RECOVERYXLOG
for number in {10..30}; do object_delete "$(wal_key "$(S $number)")"; done
fetch 200 8 # with nothing behind it, too
expect_output "was let go of"
fetch 200 9
expect_output "was let go of"
fetch 1 10
object_get "$(wal_key "$(G 8 9)")" gap
sed 's/"segments":2/"segments":3/' gap >damaged && object_put "$(wal_key "$(G 8 9)")" damaged
fetch 200 9
expect_output "damaged"
object_get "$(wal_key "$(G 2 5)")" wrong && object_put "$(wal_key "$(G 8 9)")" wrong
fetch 200 9
expect_output "another gap than its name"
object_put "$(wal_key "$(G 8 9)")" gap

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
expect_equal "markers" "$(S 2).closed $(S 8).closed $(S 31).open" "$(markers)"
for number in 31 32 33; do expect_true "$number" object_exists "$(wal_key "$(S $number)")"; done
mv there.away there
again
archive 34
expect_output 'told repository "there" that 3 segments'
expect_equal "messages of here" "" "$(grep 'told repository "here"' <<<"$output" || true)"
expect_equal "what is there" "$(G 2 5) $(G 8 9) $(G 31 33) $(S 34)" "$(there)" # of what was before it was there, too
expect_equal "markers" "$(S 2).closed $(S 8).closed $(S 31).closed" "$(markers)"

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
expect_equal "what is there" "$(G 2 5) $(G 8 9) $(G 31 33) $(S 34) $(G 35 36) $(S 37)" "$(there)"

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
expect_equal "what is there" "$(G 2 5) $(G 8 9) $(G 31 33) $(S 34) $(G 35 36) $(S 37) $(G 38 38) $(S 41)" "$(there)"
expect_equal "who was told" 2 "$(sent 38)"

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
expect_equal "markers" "$(for number in 2 8 31 35 38; do echo "$(S $number).closed"; done | paste -sd' ')" "$(markers)"

step "a gap over more than one listing: a marker for each"
for number in {42..46} {254..262}; do segment_write "$number" "main/pg_wal/$(S "$number")" && : >"main/pg_wal/archive_status/$(S "$number").ready"; done
sed -i '/^\[repository there\]/,$d' up.conf
use() { cp "$1" "$CONFIG" && setting "$2" && again; } # CONFIGURATION LINES
back() { # LINES
    [ "$STORE" = s3 ] || mv away repository
    use up.conf "$1"
}
drop='queue_limit = 3MB\non_full = drop'
back "ahead = 0\n$drop"
down
for number in 254 255 256 257 258; do archive $number; done
back "ahead = 0\n$drop"
archive 259
expect_output "2 segments from \"$(S 254)\" to \"$(S 255)\""
expect_output "3 segments from \"$(S 256)\" to \"$(S 258)\""
setting_fetch
for number in 254 255; do fetch 200 $number && expect_output "WAL from \"$(S 254)\" to \"$(S 255)\" \(2 segments\) was let go of"; done
for number in 256 257 258; do fetch 200 $number && expect_output "WAL from \"$(S 256)\" to \"$(S 258)\" \(3 segments\) was let go of"; done
fetch 0 259

step "another configuration with this state_dir, and a repository of this name: it is told, too, whatever the first one knows"
{ sed '/^\[repository/,$d' up.conf && printf '[repository here]\nurl = file://%s\n[wal-push]\n' "$T/other"; } >other.conf
mkdir other
use other.conf 'ahead = 0'
expect_status 0 repository-init
use up.conf "ahead = 0\n$drop"
down
archive 42
back "ahead = 0\n$drop"
archive 43
expect_output "told .* from \"$(S 42)\" to \"$(S 42)\""
use other.conf 'ahead = 0'
mkdir -p "other/$(dirname "$(wal_key "$(G 42 42)")")"
echo "of a standby that archives, too" >"other/$(wal_key "$(G 42 42)")"
archive 44
expect_output "told .* from \"$(S 256)\" to \"$(S 258)\""
expect_equal "what is in the other" "$(G 2 5) $(G 8 9) $(G 31 33) $(G 35 36) $(G 38 38) $(G 42 42) $(S 44) $(G 254 255) $(G 256 258)" "$(there other)"
archive 45
expect_equal "messages" "" "$output"

step "what was stored ahead waits for PostgreSQL only"
for number in {47..60}; do segment_write "$number" "main/pg_wal/$(S "$number")" && : >"main/pg_wal/archive_status/$(S "$number").ready"; done
use up.conf "$drop"
archive 46
expect_output "ahead, 14 more"
: >"main/pg_wal/archive_status/$(S 46).00000028.backup.ready"
printf 'START WAL LOCATION: 0/2E00028 (file %s)\n' "$(S 46)" >"main/pg_wal/$(S 46).00000028.backup"
down
expect_status 1 wal-push "main/pg_wal/$(S 46).00000028.backup"
forgotten() { local number; for number; do sed -i "/^$(S "$number")/d" state/stored-ahead; done; } # NUMBER...: they were not stored
forgotten 47
push 1 47
expect_equal "messages of a queue" "" "$(grep -i "queue_limit\|let go" <<<"$output" || true)"

step "nothing is let go of while another call, whose archiver has ended, may be storing what lies behind it"
forgotten 50 51 52
again
(flock 9 && echo >locked && exec sleep 60) 9>>state/wal-push.lock &
other=$!
wait_until 10 "the lock" test -e locked
push 1 47
expect_output "not let go of"
kill $other
wait $other || true
push 0 47
expect_output "4 segments \(4 MiB\) wait, .*on_full = drop"

if [ "$STORE" = file ]; then
    step "what it costs: the request that tells a hole from the end also shows the marker, which is read to tell of it"
    fault_server faults
    STORE=s3 config_write $'[wal-push]\nahead = 0\n[wal-fetch]\nhole_wait = 0'
    script
    expect_status 0 repository-init
    push 0 45
    script
    fetch 200 257
    expect_output "WAL from \"$(S 256)\" to \"$(S 258)\" \(3 segments\) was let go of"
    expect_equal "requests" "GET $(G 256 258),GET $(S 257),GET cluster.json,LIST" "$(sed -E 's|^GET .*/([^ ]*) .*|GET \1|; s/^LIST.*/LIST/' faults/requests | LC_ALL=C sort | paste -sd,)"
    script
    fetch 1 259
    expect_equal "requests for a marker" 0 "$(requests '.*gap')"
    expect_requests 1 LIST
fi

step "base backups: one that needs WAL from the middle of a gap ends at once, and says why"
mv main cluster
CONFIG_NAME=second config_write $'[basebackup]\nwal_timeout = 60'
server_create main --wal-segsize=1
echo "archive_command = true" >>main/postgresql.conf # it is let go of, and has gone
server_start main
expect_status 0 repository-init
current=$(sql main "select pg_walfile_name(pg_current_wal_lsn())")
number=$((16#${current:16}))
echo >marker
object_put "second/$(system_identifier main)/wal/${current:0:16}/$(G $((number - 1)) $((number + 50)))" marker
SECONDS=0
expect_status 1 basebackup-push --checkpoint=fast
expect_output "WAL segment .* was let go of"
expect_true "at once" test $SECONDS -lt "$(slowly 40)"
