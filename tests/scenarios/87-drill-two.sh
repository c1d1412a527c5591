#!/bin/bash
# goal: with two repositories a drill takes what is whole, says what is not, and knows what earlier drills found, wherever their reports are
# full: yes
# stores: file
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../drill.sh"

two() { # [LINES]: the second repository is a directory
    drill_section "${1:-}"
    printf '[repository other]\nurl = file://%s\n[wal-fetch]\ntimeout = 3\n[basebackup]\nstore_timeout = 2\n' "$T/other" >>"$CONFIG"
}
step "a backup in both"
mkdir scratch other
two
server_create main
expect_status 0 repository-init
server_start main
sql main "create table t (i int)" "insert into t select generate_series(1, 100)"
expect_status 0 basebackup-push --checkpoint=fast
last=$(tail -1 <<<"$output")
archived main
system=$(system_identifier main)
in_repository() { find "$1/main" -path "*/reports/*-drill-$last+*" | wc -l; } # DIRECTORY

step "the first one is away: the drill uses the other, and its report is there"
two "check.rows = SELECT count(*) FROM t => within 10% of last"
mv repository away
drill 0 --repository other
expect_equal "reports" 1 "$(in_repository other)"
mv away repository
sql main "insert into t select generate_series(101, 200)" && archived main

step "both are there: the last drill's value is known, though its report is in the other; a drill that failed is none"
fails checks "check \"rows\" found \"200\", but expects within 10% of last, which was \"100\""
fails checks "check \"rows\" found \"200\", but expects within 10% of last, which was \"100\""
expect_equal "reports" 2 "$(in_repository repository)"
two
drill 0
two "check.rows = SELECT count(*) FROM t => within 10% of last"
fails checks "which was \"100\"" # one that did not make the check hides none that did

step "what one has damaged the other has: a warning, not silence"
segment=$(find repository -name '0000000100000000????????' -type f | sort | tail -1)
python3 - "$segment" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) // 2] ^= 1
open(sys.argv[1], "wb").write(data)
PY
two
drill 0
expect_output "restore-drill: warning: server: wal-fetch: .*repository \"here\" .*\"${segment##*/}\""
expect_status 0 restore-drill --log-json
expect_equal "lines that are not JSON" "" "$(grep -v '^{' <<<"$output" | grep -Ev '^(backup|target|recovered|read|not read|RTO|RPO) ' || true)"

step "a report that can't be stored; none is wanted"
reports=$(dirname "$(find repository -path '*/reports/*' | head -1)")
chmod 500 "$reports"
fails report "step report failed: could not create a file in .*/reports"
chmod 700 "$reports"
before=$(in_repository repository)
two "report = no"
drill 0
expect_equal "reports" "$before" "$(in_repository repository)"

step "checks of many rows, and one that copies"
two "check.many = SELECT repeat('x', 1000) FROM generate_series(1, 500000) => $(printf '%01000d' 0 | tr 0 x)"
(
    ulimit -v 300000 # the programs' own memory is far less than these rows take
    expect_status 0 restore-drill --quiet
)
two "check.copies = COPY t TO STDOUT => 1
check.none = SELECT 1 WHERE false => 1"
fails checks "check \"none\" found nothing"
expect_output "copies, and gives no rows"

step "not in a data directory"
sed -i "s|^scratch = .*|scratch = $T/main/base/drill|; s|^pgdata = .*|pgdata = $T/another|" "$CONFIG"
expect_status 1 restore-drill
expect_output "step scratch failed: the scratch directory .* lies in a data directory"
expect_absent main/base/drill
server_stop main
