#!/bin/bash
# goal: a drill that is told to end, or killed, at any moment leaves nothing that the next one, right behind it, does not clear away
# full: yes
# stores: file
# limit: 240
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../drill.sh"

step "a cluster, and how long its drill takes"
mkdir scratch
drill_section
server_create main
expect_status 0 repository-init
server_start main
sql main "create table t as select i, repeat('x', 500) pad from generate_series(1, 20000) i"
expect_status 0 basebackup-push --checkpoint=fast
archived main
began=$(date +%s%N)
drill 0
took=$((($(date +%s%N) - began) / 1000000))
echo "a drill takes $took ms"

signals=(TERM INT KILL KILL)
for round in $(seq "${ROUNDS:-30}"); do
    signal=${signals[RANDOM % 4]} after=$((RANDOM % took))
    step "round $round: SIG$signal after $after ms"
    # with its own signals: of a background job SIGINT is ignored
    env --default-signal=INT restore-drill --verbose >signal.log 2>&1 &
    pid=$!
    sleep "$(printf '%d.%03d' $((after / 1000)) $((after % 1000)))"
    kill -"$signal" "$pid" || true
    status=0
    wait "$pid" || status=$?
    output=$(cat signal.log)
    sed 's/^/    /' signal.log
    [ "$status" = 0 ] || expect_equal "status after SIG$signal" "$((128 + $(kill -l "$signal")))" "$status"
    if [ "$signal" != KILL ]; then
        nothing_left
        [ "$status" = 0 ] || expect_output "step [a-z]* failed: it was interrupted by signal"
    else
        wait_until 20 "the end of its server" test ! -e scratch/restore-drill/data/postmaster.pid
        drill 0
    fi
    rm -f scratch/*.log
done
expect_equal "of temporary files" "" "$(find tmp -mindepth 1)"
server_stop main
