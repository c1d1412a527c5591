#!/bin/bash
# goal: a signal stays a signal, never an exit status, and leaves nothing behind; a server whose restore_command is killed is not opened
# stores: none
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"

# strike SIGNAL SECONDS COMMAND...: so long after its first request reached the store (or, without a store, after its start);
# sets $result to "signal N" or "status N"
cat >strike.py <<'PY'
import os, signal, subprocess, sys, time
number, seconds, requests = getattr(signal, "SIG" + sys.argv[1]), float(sys.argv[2]), sys.argv[3]
child = subprocess.Popen(sys.argv[4:])
end = time.monotonic() + 20
while requests and not os.path.getsize(requests) and time.monotonic() < end:
    time.sleep(0.01)
time.sleep(seconds)
began = time.monotonic()
child.send_signal(number)
status = child.wait()
print(f"signal {-status}" if status < 0 else f"status {status}", f"after {time.monotonic() - began:.2f} s", file=sys.stderr)
print(f"signal {-status}" if status < 0 else f"status {status}")
sys.exit(time.monotonic() - began > 2)
PY
strike() {
    result=$(python3 strike.py "$1" "$2" "$requests" "${@:3}" 2>strike.err) || { cat strike.err; fail "not at once: $*"; }
    echo "SIG$1 to ${*:3}: $(tail -1 strike.err)"
}

step "wal-fetch, busy with a store that drips or hangs: it dies of the signal, and nothing is under PATH"
cluster_create
fault_server faults
config_write
requests=$T/faults/requests
script
expect_status 0 repository-init
expect_status 0 wal-push "main/pg_wal/$(S 2)"
for mode in recovery standby; do
    rm -f target/*.signal
    touch target/$mode.signal
    for signal in TERM INT HUP QUIT; do
        for fault in drip=100000 hang=answer hang=middle; do
            script "GET *$(S 2) 1 - $fault"
            strike $signal 0.1 wal-fetch "$(S 2)" "$T/target/pg_wal/RECOVERYXLOG"
            expect_equal "the end of wal-fetch by SIG$signal at $fault" "signal $(kill -l $signal)" "$result"
            expect_equal "left in pg_wal" "" "$(ls -A target/pg_wal)"
            [ $mode$signal = recoveryTERM ] || break # the other places: once
        done
    done
done
script "GET *$(S 2) 1 - hang=middle"
strike KILL 0.1 wal-fetch "$(S 2)" "$T/target/pg_wal/RECOVERYXLOG"
expect_equal "the end of wal-fetch by SIGKILL" "signal 9" "$result"
expect_absent target/pg_wal/RECOVERYXLOG

step "wal-push, the same: nothing is stored, the next call stores it"
for signal in TERM INT HUP QUIT KILL; do
    for fault in hang=upload hang=start; do
        script "PUT *$(S 3) 1 - $fault"
        strike $signal 0.1 wal-push "main/pg_wal/$(S 3)"
        expect_equal "the end of wal-push by SIG$signal at $fault" "signal $(kill -l $signal)" "$result"
        [ $signal = TERM ] || break
    done
done
expect_equal "left in TMPDIR and the state directory" "" "$(find tmp state -name '*.tmp*' -o -newer strike.err -type f)"
expect_absent "faults/objects/$S3_BUCKET/$S3_PREFIX/$(wal_key "$(S 3)")"
script
expect_status 0 wal-push "main/pg_wal/$(S 3)"
script "PUT *$(S 4) 1 - hang=answer" # stored, but nobody was told
strike TERM 0.1 wal-push "main/pg_wal/$(S 4)"
script
expect_status 0 wal-push "main/pg_wal/$(S 4)"
rm -rf main target state

step "a directory: struck at any moment, an object is whole or not there"
requests=''
cp "$CONFIG" s3.conf
STORE=file config_write
server_create main --wal-segsize=64
system=$(system_identifier main)
rmdir main/pg_wal/archive_status # which would say that the segment is not finished
segment=$(basename main/pg_wal/0*)
expect_status 0 repository-init
object=repository/$(wal_key "$segment")
mkdir -p target/pg_wal target/global
cp main/global/pg_control target/global/ && cp main/PG_VERSION target/ && touch target/recovery.signal
for signal in TERM KILL INT TERM KILL HUP TERM KILL QUIT TERM; do
    strike $signal 0.0$((RANDOM % 10)) wal-push "main/pg_wal/$segment"
    [ "$result" = "status 0" ] || expect_equal "the end by SIG$signal" "signal $(kill -l $signal)" "$result"
    [ ! -e "$object" ] || lz4 -dcq "$object" | cmp - "main/pg_wal/$segment" || fail "half an object"
    expect_equal "other files" "" "$(find repository -type f ! -name "$segment" ! -name cluster.json)"
    [ ! -e "$object" ] || expect_status 0 wal-push "main/pg_wal/$segment"
    rm -f "$object"
done
expect_status 0 wal-push "main/pg_wal/$segment"
for signal in TERM KILL INT TERM KILL HUP TERM KILL QUIT TERM; do
    strike $signal 0.0$((RANDOM % 10)) wal-fetch "$segment" "$T/target/pg_wal/RECOVERYXLOG"
    if [ "$result" != "status 0" ]; then
        expect_equal "the end by SIG$signal" "signal $(kill -l $signal)" "$result"
        [ ! -e target/pg_wal/RECOVERYXLOG ] || expect_same "what has the name" "main/pg_wal/$segment" target/pg_wal/RECOVERYXLOG
    fi
    rm -f target/pg_wal/RECOVERYXLOG
    [ $signal = KILL ] || expect_equal "left in pg_wal" "" "$(ls -A target/pg_wal)"
done
rm -rf main target state repository

step "a server in recovery"
cp s3.conf "$CONFIG"
bucket_empty
script
server_create main --wal-segsize=1
expect_status 0 repository-init
server_start main
sql main "create table t (i int)"
expect_status 0 basebackup-push --checkpoint=fast
for i in 1 2 3 4; do sql main "insert into t values ($i)" "select pg_switch_wal()" >/dev/null; done
needed=$(sql main "select pg_walfile_name(pg_current_wal_lsn() - 1)")
archived main
server_stop main
expect_status 0 basebackup-fetch -D "$T/copy"
expect_status 0 recovery-config -D "$T/copy"
script "GET *$needed 1 - hang=middle"

recovering() { # starts it, and waits until it asks for what does not come; sets $fetch to the process
    : >faults/requests
    mkdir -p run/copy
    pg_ctl -D copy -l copy.log -s -W -o "-k $T/run/copy -c listen_addresses=''" start
    wait_until 60 "a wal-fetch that hangs" asked
    fetch=$(hanging)
}
hanging() { pgrep -f "^[^ ]*/wal-fetch --config $CONFIG $needed"; } # not the shell that started it, if there is one
asked() { grep -q "GET .*$needed" faults/requests && hanging; }
no_fetch() { ! hanging; }
still_in_recovery() { # WHAT
    wait_until 30 "the end of the server after $1" server_is_gone copy
    wait_until 10 "the end of wal-fetch after $1" no_fetch
    expect_true "after $1 recovery can go on" test -e copy/recovery.signal
    state=$(pg_controldata copy | sed -n 's/^Database cluster state: *//p')
    echo "after $1: $state"
    expect_true "the state after $1, not \"$state\"" grep -Eq "in archive recovery|shut down in recovery" <<<"$state"
    expect_equal "a second timeline after $1" "" "$(find copy/pg_wal -name '00000002*')"
    expect_equal "left in pg_wal after $1" "" "$(find copy/pg_wal -name 'RECOVERY*')"
}
step "stopped while its restore_command hangs: recovery is not over"
for mode in fast immediate smart; do
    recovering
    pg_ctl -D copy -s -w -t 30 -m $mode stop
    still_in_recovery "pg_ctl stop -m $mode"
done
step "its restore_command alone is killed: recovery is not over"
for signal in TERM HUP QUIT KILL; do # SIGINT is ignored by what PostgreSQL's startup process starts
    recovering
    kill -$signal "$fetch"
    still_in_recovery "SIG$signal to wal-fetch"
done
step "the store answers again: all rows are there"
script
server_start copy
wait_open copy
expect_equal "rows" "1 2 3 4" "$(sql copy "select i from t order by 1" | paste -sd' ')"
