#!/bin/bash
# goal: each allocation, and each call of the kernel, that a program's own code makes is refused once: no false success, nothing half visible, an error that says so
# stores: file s3
# limit: 600
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"
. "$here/cases.sh"
ulimit -c 0
nm -D "$PROGRAMS/wal-push" | grep __asan_init >/dev/null && skip "AddressSanitizer has the allocations for itself"

step "a server with a tablespace, a backup of it, and a segment"
keys=repository new=new
[ "$STORE" = file ] || { fault_server faults && script && keys=faults/objects/$S3_BUCKET/$S3_PREFIX new=faults/objects/$S3_BUCKET/new; }
config_write $'[basebackup]\njobs = 2\nwal_timeout = 30\n[wal-fetch]\nhole_wait = 0'
cp "$CONFIG" archive.conf
main=main place=$T/place
mkdir place
server_create main --wal-segsize=1
system=$(system_identifier main)
expect_status 0 repository-init
server_start main
sql main "create tablespace elsewhere location '$place'" "create table t tablespace elsewhere as select generate_series(1, 1000) i"
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")
archived main
segment=$(cd main/pg_wal/archive_status && ls -- 0*.done | grep -v backup | tail -1)
segment=${segment%.done}
stored() { [ -e "$keys/$(wal_key "$segment")" ]; }
cases_prepare "$([ "$STORE" = file ] || echo "s3://$S3_BUCKET/new")"

cc -shared -fPIC -o refuse.so "$here/refuse.c" -ldl
strike() { # NUMBER ERRNO: the case with this call refused; 0: none. refused says which they were.
    rm -f refused
    "${name}_reset"
    status=0
    output=$(REFUSE=${command[0]}:$1:$2 REFUSE_LOG=$T/refused LD_PRELOAD=$T/refuse.so exec timeout -k 5 60 "${command[@]}" 2>&1) || status=$?
}
judge() { # what strike did
    case $status,$what in
    0,*sync\ *) [ $name = check ] || fail "success, but who knows whether it is on disk" ;;
    0,*) "${name}_whole" || fail "success, but it is not done: $output" ;;
    $failing,* | 2,*) grep -Eq 'error: |  FAILS  ' <<<"$output" || fail "no error: $output" ;;
    *) fail "status $status: $output" ;;
    esac
    "${name}_check"
}
# Threads take turns, so by its number a call may be another one in another run: that is no matter, the row says which it was.
every_call() { # NAME: the first two and the last of those that come from one place
    local number failures=0 before=$rows
    choose "$1"
    what=none
    strike 0 0
    expect_equal "status of $1 ($output)" 0 "$status"
    judge
    awk '{ if (++seen[$0] <= 2) print NR, $0; last[$0] = NR } END { for (what in last) if (seen[what] > 2) print last[what], what }' refused | sort -n >plan
    while read -r number what <&4; do
        taken || continue
        strike "$number" $((number % 3 ? 5 : 28)) # EIO, ENOSPC
        failures=$((failures + (status != 0)))
        [ ! -e refused ] || what=$(<refused)
        row "$name: call $number, $what, status $status" judge
    done 4<plan
    echo "$name: $((rows - before)) of $(wc -l <plan) calls refused, $failures times it failed (${SECONDS} s)"
}
considered=0
taken() { # all; of a backup and its restore, which take so long, one in three without --full
    considered=$((considered + 1))
    [[ -n $FULL || $name != @(backup|restore) || $(((considered + SEED) % 3)) = 0 ]]
}
for program in push fetch init check list config restore backup; do
    step "$program"
    rm -f copy/*.signal && touch copy/recovery.signal
    every_call $program
done
expect_true "the server is well" sql_is main 1 "select 1"
server_stop main
expect_rows 300+
