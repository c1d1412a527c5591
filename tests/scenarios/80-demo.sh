#!/bin/bash
# goal: make demo tells its story and succeeds; interrupted in any of its steps it leaves nothing behind
# stores: none
# as: caller
# limit: 400
. "$(dirname "$0")/../lib.sh"
set -m # background jobs in process groups of their own that react to SIGINT, as on a terminal

clusters() { if command -v pg_lsclusters >/dev/null; then pg_lsclusters -h; fi; }
clusters >clusters.before
leftovers() { # what a demo under $T/tmp left
    ls -A "$T/tmp"
    processes_of "$T"
}
clean() { # WHAT
    expect_equal "left behind after $1" "" "$(leftovers)"
    clusters >clusters.now
    expect_same "pg_lsclusters after $1" clusters.before clusters.now
}

step "the story to its end"
expect_status 0 "$SOURCE/tests/demo"
expect_output "accident"
expect_output "That is what was there at"
expect_output "in all"
steps=$(grep -Ec '^[0-9]+\. ' <<<"$output")
expect_true "at least eight steps, not $steps" test "$steps" -ge 8
clean "the whole demo"

# interrupt SIGNAL STEP group|process: as Ctrl-C does it, or a service manager
interrupt() {
    local status=0 demo
    "$SOURCE/tests/demo" >demo.log 2>&1 &
    demo=$!
    wait_until 60 "step $2" grep -q "^$2\. " demo.log
    sleep 0.0$((RANDOM % 10))
    if [ "$3" = group ]; then kill -"$1" -- -$demo; else kill -"$1" $demo; fi 2>/dev/null || true
    wait $demo || status=$?
    echo "SIG$1 in step $2 to the $3: exit status $status"
    if [ $status = 0 ]; then # the short last steps may be over before the signal comes
        expect_true "step $2 of $steps is one of the last" test "$2" -ge $((steps - 1))
        expect_true "the story was told to its end" grep -q "in all" demo.log
    else
        expect_true "a status above 128, not $status" test $status -gt 128
    fi
    clean "SIG$1 in step $2"
}
step "interrupted in each step"
for ((i = 1; i <= steps; i++)); do
    case $(((i + SEED) % 3)) in
    0) interrupt INT $i group ;;
    1) interrupt TERM $i process ;;
    2) interrupt HUP $i group ;;
    esac
    if [ -n "$FULL" ]; then for signal in INT TERM HUP; do interrupt $signal $i group; interrupt $signal $i process; done; fi
done

step "a step that fails: said, and nothing left"
mkdir broken
cp "$PROGRAMS"/* broken/
printf '#!/bin/sh\nexit 1\n' >broken/basebackup-fetch
PROGRAMS=$T/broken expect_status 1 "$SOURCE/tests/demo"
expect_output "demo failed"
clean "a failed demo"

step "a recovery that replays the accident as well: found out"
printf '#!/bin/sh\nexec %s -D "$2"\n' "$PROGRAMS/recovery-config" >broken/recovery-config # no target: to the newest
cp "$PROGRAMS/basebackup-fetch" broken/
PROGRAMS=$T/broken expect_status 1 "$SOURCE/tests/demo"
expect_output "That is wrong"
clean "a demo without a target"
