#!/bin/bash
# goal: under load, killed with SIGKILL and destroyed: exactly the commits up to a chosen instant come back, across timelines
# stores: file s3
# encrypted: s3
# full-encrypted: file
# versions: s3@newest
# full-versions: file@13 s3@13 file@17 s3@17 file@18 s3@18 file@19 s3@19
# limit: 300
. "$(dirname "$0")/../lib.sh"

step "a server under load, archiving"
config_write
server_create main --data-checksums
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
pgbench -i -q -s "${FULL:+2}2" -h "$T/run/main" 2>pgbench.log
ledger_create main
ledger_start main 1
sleep 1

step "a base backup under that load, and instants around it"
ledger_instant main early && early=$instant
expect_status 0 basebackup-push --checkpoint=fast --label "the first"
id=$(tail -1 <<<"$output")
expect_status 0 basebackup-list
expect_output "$id"
ledger_instant main first && first=$instant
sleep $((1 + RANDOM % 3))
ledger_instant main second && second=$instant
sleep 1
archived main
sleep 1

step "the server is killed and gone"
server_kill main
ledger_stop
rm -rf main

step "to the first instant; this one replaces the lost server, so it archives again"
expect_status 0 basebackup-fetch --target-time "$first" -D "$T/main"
expect_status 0 pg_verifybackup -n main
expect_status 0 recovery-config -D "$T/main" --target-time "$first" --action promote --archive=keep
server_start main
wait_open main
expect_ledger main first
ledger_start main 2
sleep 2
ledger_instant main third && third=$instant
sleep 1
archived main
expect_true "the new timeline is in the archive" object_exists "$(wal_key 00000002.history)"
ledger_instant main fourth
sleep 1
archived main
sleep 1

step "it is killed as well; its pg_wal survives"
server_kill main
ledger_stop
mv main lost

recover() { # NAME EXPECTED-FILE FETCH-OPTIONS -- CONFIG-OPTIONS
    local name=$1 expected=$2 fetch=()
    shift 2
    while [ "$1" != -- ]; do fetch+=("$1"); shift; done
    shift
    expect_status 0 basebackup-fetch "${fetch[@]}" -D "$T/$name"
    expect_status 0 recovery-config -D "$T/$name" "$@"
    server_start "$name"
    [ -z "$expected" ] || { wait_open "$name"; expect_ledger "$name" "$expected"; server_stop "$name"; rm -rf "${T:?}/$name"; }
}
step "to an instant on the new timeline"
recover new third --target-time "$third" -- --target-time "$third" --action promote
step "to an instant on the old timeline"
recover old second --target-time "$second" -- --target-time "$second" --timeline 1 --action promote
step "with the default action it waits at the target, to be looked at"
recover paused "" --target-time "$first" -- --target-time "$first"
wait_paused paused
expect_ledger paused first
sql paused "select pg_wal_replay_resume()"
wait_open paused
server_stop paused

step "to the newest: everything that was archived, nothing that was never sent"
recover newest "" -- 
wait_open newest
ledger newest >found
expect_equal "entries of the last archived instant that are missing" "" "$(comm -13 <(LC_ALL=C sort found) <(LC_ALL=C sort fourth) | head -3)"
sql newest "select life, client, count(*), max(n) from ledger where life = 2 group by 1, 2" >contiguous
expect_equal "gaps" "" "$(awk -F'|' '$3 != $4' contiguous)"
server_stop newest

step "to the newest with the lost server's pg_wal: every commit that a client was told of"
expect_status 0 basebackup-fetch -D "$T/rescued"
expect_status 0 recovery-config -D "$T/rescued"
cp lost/pg_wal/0000000200000000* rescued/pg_wal/
server_start rescued
wait_open rescued
ledger_acknowledged 2 >acknowledged
ledger rescued >found
expect_true "some commits were not archived" test "$(wc -l <found)" -gt "$(wc -l <fourth)"
expect_equal "acknowledged commits that are missing" "" "$(comm -13 <(LC_ALL=C sort found) <(LC_ALL=C sort acknowledged) | head -3)"

step "what cannot be reached is explained, not tried"
expect_status 1 basebackup-fetch --target-time "$early" -D "$T/never"
expect_output "not (after|behind) the end of any backup"
expect_absent never/global/pg_control
