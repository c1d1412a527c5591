#!/bin/bash
# goal: a real server's archiver behind an outage: the backlog leaves in order, once, through stops and a crash, and a recovery ends inside it
# stores: none
# limit: 300
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"

step "a server under load; a shell stays between its archiver and wal-push"
fault_server faults
STORE=s3 config_write $'[wal-push]\ntimeout = 4'
server_create main --wal-segsize=1
echo "archive_command = 'cd $T/main && $PROGRAMS/wal-push --config $CONFIG %p && echo %f >>$T/left'" >>main/postgresql.conf
script
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
ledger_create main
expect_status 0 basebackup-push --checkpoint=fast
ledger_start main 1
archived main
stores() { find "faults/objects/$S3_BUCKET" -path '*/wal/*' -type f -printf '%f\n' | grep -E '^[0-9A-F]{24}$' | LC_ALL=C sort; }
ready() { find main/pg_wal/archive_status -name '*.ready' -printf '%f\n' | grep -cE '^[0-9A-F]{24}\.ready$' || true; }
backlog() { # SEGMENTS
    for ((i = 0; i < $1; i++)); do echo "insert into filler select repeat(md5(i::text), 20) from generate_series(1, 100) i; select pg_switch_wal();"; done |
        psql -X -q -At -h "$T/run/main" >/dev/null
}
pushers() { pgrep -f "^[^ ]*/wal-push --config $CONFIG" || true; }
no_pusher() { [ -z "$(pushers)" ]; }
in_order() { expect_equal "the order in which they left" "$(LC_ALL=C sort -u left)" "$(uniq left)"; }
expect_puts() { # MOST: requests for one segment, of those that were answered
    local found
    found=$(sed -n 's/^PUT .*\/\([0-9A-F]\{24\}\) 200.*/\1/p' faults/requests | sort | uniq -c | awk -v most="$1" '$1 > most')
    expect_equal "segments stored more than $1 times" "" "$found"
}
all_left() { [ "$(ready)" -le 1 ]; }

step "an outage under load; a fast stop and a start in the middle of it"
sql main "create table filler (t text)"
script "PUT * 1 - status=503 code=ServiceUnavailable" "GET * 1 - status=503 code=ServiceUnavailable"
backlog 25
ledger_instant main within
ledger_stop
SECONDS=0
server_stop main
expect_true "the stop was not late ($SECONDS s)" test $SECONDS -le 40
expect_true "no wal-push is left" no_pusher
server_start main
ledger_start main 2
backlog 25
expect_true "a backlog ($(ready))" test "$(ready)" -ge 50

step "the store is back: everything leaves, in order, with one request each"
script
last=$(find main/pg_wal/archive_status -name '*.ready' -printf '%f\n' | LC_ALL=C sort | tail -1)
wait_until 120 "the backlog to leave" grep -q "^${last%.ready}" left
expect_puts 1
expect_true "most of them were stored ahead" grep -q "and, ahead" main.log
in_order

step "an immediate stop while a backlog leaves: nothing is left behind, and the next server takes it up"
script "PUT * 1 - status=503 code=ServiceUnavailable" "GET * 1 - status=503 code=ServiceUnavailable"
backlog 30
script "PUT *8 1 - hang=upload"
reached() { [ "$(requests "PUT ")" -ge 4 ] && [ -n "$(pushers)" ]; }
wait_until 60 "a wal-push that hangs" reached
server_stop main immediate
ledger_stop
wait_until 10 "the end of wal-push" no_pusher
: >faults/requests.before
cp faults/requests faults/requests.before
script
server_start main
archived main
cat faults/requests.before >>faults/requests
expect_puts 2
in_order
number=$((16#$(stores | head -1 | cut -c17-)))
for name in $(stores); do
    expect_equal "no segment is missing" "$(printf '%08X' $number)" "${name:16}"
    number=$((number + 1))
done

step "a recovery that ends within what was a backlog"
expect_status 0 basebackup-fetch -D "$T/copy" --target-time "$instant"
expect_status 0 recovery-config -D "$T/copy" --target-time "$instant" --action promote
server_start copy
wait_open copy
expect_ledger copy within
