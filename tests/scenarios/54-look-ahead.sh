#!/bin/bash
# goal: the call for one segment also stores those that wait behind it; what it remembers is true, and is believed only where it is
# stores: none
# limit: 300
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"

step "a cluster with 40 segments that wait, at a fault server"
fault_server faults
STORE=s3 config_write
cluster_create
mkdir main/pg_wal/archive_status
for number in {1..40}; do [ -e "main/pg_wal/$(S "$number")" ] || segment_write "$number" "main/pg_wal/$(S "$number")"; done
waits() { local number; for number; do : >"main/pg_wal/archive_status/$(S "$number").ready"; done; } # NUMBER...
script
expect_status 0 repository-init
object() { echo "faults/objects/$S3_BUCKET/$S3_PREFIX/$(wal_key "$(S "$1")")"; }
expect_stored() { # NUMBER...: these, whole, and no other
    local number
    expect_equal "segments in the repository" "$(for number; do S "$number"; echo; done)" \
        "$(find faults/objects -path '*/wal/*' -type f -printf '%f\n' | grep -v history | LC_ALL=C sort)"
    for number; do lz4 -dcq "$(object "$number")" | cmp - "main/pg_wal/$(S "$number")" || fail "segment $number is not as it was"; done
}
push() { expect_status "$1" wal-push "${@:3}" "main/pg_wal/$(S "$2")"; } # STATUS NUMBER [OPTION...]
afresh() { # NUMBER...: nothing is stored or remembered, these wait
    rm -f main/pg_wal/archive_status/* state/stored-ahead
    rm -rf "faults/objects/$S3_BUCKET/$S3_PREFIX/main/$system"
    waits "$@"
    script
}

step "one call stores all that wait; the calls for them send nothing"
afresh 1
push 0 1 # from here on cluster.json is remembered
afresh {1..40}
push 0 1
expect_output "stored .*01\" and, ahead, 39 more, up to .*28\""
expect_stored {1..40}
expect_requests 40 "PUT .*/wal/"
expect_requests 40 ""
script
for number in {1..40}; do
    push 0 "$number" --verbose
    [ "$number" = 1 ] || expect_output "has been stored ahead"
    mv "main/pg_wal/archive_status/$(S "$number")."{ready,done} # as PostgreSQL does
done
expect_requests 1 "PUT" # of the one that was asked for: it is there, identical
expect_requests 1 "GET"
expect_requests 2 ""

step "as many as [wal-push] ahead says, none past one that does not wait, none of another timeline, none behind other files"
sed -i '1i [wal-push]\nahead = 5\n' "$CONFIG"
afresh {1..9} {11..20}
push 0 1
expect_stored {1..6}
push 0 6
expect_stored {1..6}
push 0 7
expect_stored {1..9}
afresh {1..9}
: >"main/pg_wal/archive_status/00000002.history.ready"
expect_status 0 wal-push main/pg_wal/00000002.history
expect_stored
sed -i 's/^ahead = .*/ahead = 0/' "$CONFIG"
push 0 1
expect_stored 1
expect_absent state/stored-ahead
sed -i 's/^ahead = .*/ahead = 64/' "$CONFIG"
afresh {1..9}
push 0 1 --repository here
expect_stored 1

step "a segment ahead that fails is no failure of the call, is not remembered, and is told of when it is asked for" # wound: wal-g#2259, #2449
afresh {1..9}
script "PUT *$(S 5) 1 - status=403 code=AccessDenied"
push 0 1
expect_equal "what is said of errors" "" "$(grep -i "error\|denied" <<<"$output" || true)"
expect_true "the others" test -e "$(object 4)"
expect_absent "$(object 5)"
push 1 5
expect_output "AccessDenied"
script
push 0 5
expect_true "the one" test -e "$(object 5)"

step "a segment ahead that is gone, or is not what its name says, stops nothing and is not stored"
afresh {1..9}
mv "main/pg_wal/$(S 4)" away
cp "main/pg_wal/$(S 9)" "main/pg_wal/$(S 6)"
push 0 1
expect_absent "$(object 4)" "$(object 6)"
push 1 6
expect_output "is not archived"
mv away "main/pg_wal/$(S 4)"
segment_write 6 "main/pg_wal/$(S 6)"

step "the memory is believed only for that very file, those very repositories, and not for long"
afresh {1..3}
push 0 1
cp state/stored-ahead kept
asks() { # WHAT: the push of 2 asks the store
    script
    push 0 2
    expect_true "requests after: $1" test "$(requests "")" -ge 1
    rm -f state/stored-ahead && cp kept state/stored-ahead
}
silent() { # WHAT
    script
    push 0 2
    expect_equal "requests after: $1" 0 "$(requests "")"
}
remember_anew() { rm -f state/stored-ahead && push 0 1 && cp kept kept.before && cp state/stored-ahead kept && silent "all anew"; }
silent "nothing"
touch "main/pg_wal/$(S 2)"
asks "its times are others"
remember_anew
cp "main/pg_wal/$(S 2)" copy && touch -r "main/pg_wal/$(S 2)" copy && mv copy "main/pg_wal/$(S 2)"
asks "it is another file (a restored data directory)"
remember_anew
mv "main/pg_wal/$(S 2)" away && mv away "main/pg_wal/$(S 2)"
asks "it was renamed meanwhile (recycled)"
remember_anew
sed -i 's|^url = .*|&/other|' "$CONFIG" && script
push 1 2
expect_output "repository-init"
sed -i 's|/other$||' "$CONFIG" && rm -f state/stored-ahead && cp kept state/stored-ahead
silent "the repository again"
sed -i 's/^endpoint = \(.*\)127.0.0.1/endpoint = \1localhost/' "$CONFIG"
asks "another endpoint"
sed -i 's/^endpoint = \(.*\)localhost/endpoint = \1127.0.0.1/' "$CONFIG"
sed -i "s/^name = main/name = other/" "$CONFIG"
push 1 2
sed -i "s/^name = other/name = main/" "$CONFIG" && rm -f state/stored-ahead && cp kept state/stored-ahead
silent "the cluster again"
for place in 3 30 60 110 140 180 200 260; do # a digit of its line is another
    awk -v name="$(S 2)" -v place=$place 'index($0, name) == 1 { c = substr($0, place, 1); c = c == "7" ? "8" : "7"; $0 = substr($0, 1, place - 1) c substr($0, place + 1) } 1' kept >state/stored-ahead
    cmp -s kept state/stored-ahead && fail "place $place is not changed"
    asks "place $place of its line is another"
done
grep -v "^$(S 3)" kept | head -c -20 >state/stored-ahead
asks "its line is torn"
: >state/stored-ahead
asks "an empty memory"
head -c 100000 /dev/urandom >state/stored-ahead
asks "rubbish"
mkdir gone && mv state/stored-ahead gone && mkdir state/stored-ahead
script
push 0 1
expect_requests 1+ "PUT"
rmdir state/stored-ahead && mv gone/stored-ahead state/
seconds=$(awk -v name="$(S 2)" '$1 == name { print $2 }' kept)
expect_true "the second it was written" test "$seconds" -gt $(($(date +%s) - 300))
if command -v faketime >/dev/null; then
    script
    expect_status 0 faketime -f "+2h" wal-push "main/pg_wal/$(S 2)"
    expect_requests 1+ ""
fi
chmod 755 state
asks "a directory that others can read"
chmod 700 state

step "no segment is further ahead of one that hangs than there are workers"
sed -i 's/^ahead = .*/&\nparallel = 4\ntimeout = 8/' "$CONFIG"
afresh {1..30}
script "PUT *$(S 5) 1 - hang=upload"
push 0 1
expect_stored {1..4} {6..9}
script
push 0 5
expect_true "those that were known are not stored again" test "$(requests "PUT .*(06|07|08|09) ")" = 0
expect_stored {1..30}

step "SlowDown: fewer at once, and later more again"
afresh {1..40}
script "PUT *$(S 6) 1 2 status=503 code=SlowDown" "PUT *$(S 7) 1 2 status=503 code=SlowDown"
push 0 1 --verbose
expect_output "slow down: 2 at once"
expect_output "no \"slow down\" for a while: 3 at once"
expect_stored {1..40}

step "a store that dies in the middle: 0 for what was asked, true for what is remembered"
afresh {1..20}
script "PUT * 7 - reset=start"
SECONDS=0
push 0 1
expect_true "an end in time ($SECONDS s)" test $SECONDS -le "$(slowly 10)"
expect_equal "what is stored" 6 "$(find faults/objects -path '*/wal/*' -type f | wc -l)"
for name in $(grep -o '^0[0-9A-F]* ' state/stored-ahead); do expect_true "$name" test -e "$(object $((16#${name: -8})))"; done

step "killed in the middle: what is remembered is stored"
for signal in KILL TERM; do
    afresh {1..40}
    script "PUT *$(S 9) 1 - hang=upload"
    wal-push "main/pg_wal/$(S 1)" &
    pid=$!
    reached() { [ "$(requests "PUT .*$(S 9) ")" -ge 1 ] && [ -e "$(object 8)" ]; }
    wait_until 20 "the hanging request" reached
    kill -$signal $pid
    wait $pid || true
    script
    for number in {1..40}; do
        : >faults/requests
        push 0 "$number" --verbose
        ! grep -q "has been stored ahead" <<<"$output" || [ -e "$(object "$number")" ] || fail "segment $number is remembered, but not stored"
    done
    expect_stored {1..40}
done

step "it ends with the one that called it"
afresh {1..40}
script "PUT *$(S 9) 1 - hang=upload"
bash -c 'wal-push "$1" & echo $! >child; wait' - "main/pg_wal/$(S 1)" &
parent=$!
wait_until 20 "the hanging request" reached
child=$(<child)
kill -KILL $parent
wait $parent || true
ended() { ! kill -0 "$child" 2>/dev/null; }
wait_until 5 "the end of wal-push" ended

step "two at once: one looks ahead, the other ships its own file only"
afresh {1..30}
script "PUT *$(S 3) 1 - hang=upload"
wal-push "main/pg_wal/$(S 1)" &
pid=$!
reached() { [ "$(requests "PUT .*$(S 3) ")" -ge 1 ]; }
wait_until 20 "the first one" reached
push 0 20
expect_equal "what the second says of looking ahead" "" "$(grep ahead <<<"$output" || true)"
expect_absent "$(object 21)"
status=0
wait $pid || status=$?
expect_equal "status of the first" 0 $status

step "on a narrow way nothing competes with what is asked for"
sed -i 's/^timeout = .*/timeout = 4/' "$CONFIG"
afresh {1..9}
script "PUT *$(S 1) 1 1 hang=upload"
push 1 1
expect_stored

step "without state_dir, and where it cannot be written, one at a time"
sed -i 's/^timeout = .*/timeout = 15/' "$CONFIG"
afresh {1..9}
chmod 500 state && rm -rf away
if [ "$(id -u)" != 0 ]; then
    push 0 1
    expect_stored 1
fi
chmod 700 state
