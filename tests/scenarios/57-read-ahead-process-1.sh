#!/bin/bash
# goal: where the server is process 1, as in a container, and collects its log, neither the helper that reads ahead nor a wal-push that looks ahead delays a stop or crashes a session
# stores: file
. "$(dirname "$0")/../lib.sh"
inside=(unshare --user --map-current-user --pid --fork --kill-child)
"${inside[@]}" true 2>/dev/null || skip "user and process namespaces are not to be had here"
! "${inside[@]}" --mount-proc true 2>/dev/null || inside+=(--mount-proc)

step "a base backup, and a row in each of 30 segments"
config_write $'[wal-fetch]\nhole_wait = 0\nread_ahead = 8MB'
server_create main --wal-segsize=1
expect_status 0 repository-init
server_start main
sql main "create table t (i int)"
expect_status 0 basebackup-push --checkpoint=fast
for i in $(seq 30); do echo "insert into t values ($i); select pg_create_restore_point('$i'); select pg_switch_wal();"; done |
    psql -X -q -At -h "$T/run/main" >/dev/null
archived main
server_stop main
expect_status 0 basebackup-fetch -D "$T/base"

restore() { # OPTION...
    rm -rf copy && cp -r base copy
    expect_status 0 recovery-config -D "$T/copy" "$@"
    collect_log copy
}
collect_log() { # NAME
    printf '%s\n' "logging_collector = on" "log_directory = '$T'" "log_filename = 'collected.log'" "wal_retrieve_retry_interval = 200ms" >>"$1/postgresql.auto.conf"
}
server_begins() { # [NAME]: sets $namespace, and $postmaster as it is seen from outside
    server=${1:-copy}
    mkdir -p "run/$server"
    rm -f collected.log
    "${inside[@]}" postgres -D "$T/$server" -k "$T/run/$server" -c listen_addresses='' >"$server.log" 2>&1 &
    namespace=$!
    wait_until 60 "the server" sql "$server" "select 1"
    expect_equal "the server's own process id" 1 "$(head -1 "$server/postmaster.pid")"
    postmaster=$(pgrep -P "$namespace" postgres)
}
server_ends() { # SIGNAL: within five seconds, with everything
    local began=$SECONDS
    kill "-$1" "$postmaster"
    wait "$namespace" || true
    expect_true "the stop by SIG$1 was not late" test $((SECONDS - began)) -le 5
    expect_true "no helper" no_helper
    expect_equal "processes with the server's directory" "" "$(pgrep -f "$T/$server" || true)"
}
named() { # NAME: process ids
    local pid
    for pid in $(pgrep -x "$1"); do ! grep -qsF "$CONFIG" "/proc/$pid/cmdline" || echo "$pid"; done
}
helpers() { named wal-fetch-ahead; }
no_helper() { [ -z "$(helpers)" ]; }
no_guard() { [ -z "$(named wal-fetch-guard)" ]; }
is_ahead() { [ "$(find state -path '*ahead-*/0*-*' | wc -l)" -ge 4 ]; }
crashes() { grep -Ec "terminating any other active server processes|was terminated by signal|crash" collected.log || true; }

step "a standby, with a session while helpers come and go"
restore --standby
server_begins
sql copy "select pg_backend_pid()" "select pg_sleep(3600)" >session.out 2>&1 &
session=$!
wait_until 60 "the last row" sql_is copy 30 "select max(i) from t"
wait_until 10 "the end of the helper" no_helper
wait_until 10 "questions that find nothing" sql_is copy t "select pg_is_in_recovery()"
expect_true "the session lives" kill -0 $session
expect_equal "crashes" 0 "$(crashes)"
kill $session
server_ends INT
expect_equal "left in state_dir" "" "$(ls -d state/ahead-* 2>/dev/null || true)"

step "stopped while a helper has read ahead: at once, and it goes, too"
for signal in INT TERM QUIT; do
    restore --target-name 12 --action pause
    server_begins
    wait_paused copy
    wait_until 20 "some that are read ahead" is_ahead
    expect_equal "helpers" 1 "$(helpers | wc -w)"
    server_ends $signal
    expect_equal "crashes" 0 "$(crashes)"
done

step "a helper that is told to end, or killed as when memory runs out: no session is touched, recovery goes on"
for signal in TERM KILL; do
    server_begins
    wait_paused copy
    wait_until 20 "some that are read ahead" is_ahead
    sql copy "select pg_sleep(3600)" >session.out 2>&1 &
    session=$!
    wait_until 10 "the session" sql_is copy 1 "select count(*) from pg_stat_activity where query = 'select pg_sleep(3600)'"
    kill -$signal "$(helpers)"
    wait_until 5 "its end" no_helper
    wait_until 5 "the end of its guard" no_guard
    sql copy "select 1"
    expect_true "the session lives" kill -0 $session
    expect_equal "crashes by SIG$signal" 0 "$(crashes)"
    [ $signal = KILL ] || { kill $session && server_ends INT; }
done
sql copy "select pg_wal_replay_resume()"
wait_until 60 "the end of recovery" is_open copy # pg_ctl does not believe in process 1
expect_equal "rows" "$(seq -s' ' 1 12)" "$(sql copy "select i from t order by 1" | paste -sd' ')"
kill $session
server_ends INT

step "a backlog leaves: stopped in its middle at once, and the next server takes it up; no session is touched"
waiting() { find main/pg_wal/archive_status -name '*.ready' | wc -l; }
at_most() { [ "$(waiting)" -le "$1" ]; }
collect_log main
for signal in INT QUIT; do
    mv repository away
    server_begins main
    for i in $(seq 200); do echo "select pg_create_restore_point('$i'); select pg_switch_wal();"; done | psql -X -q -At -h "$T/run/main" >/dev/null
    expect_true "a backlog ($(waiting))" test "$(waiting)" -ge 200
    sql main "select pg_sleep(3600)" >session.out 2>&1 &
    session=$!
    wait_until 10 "the session" sql_is main 1 "select count(*) from pg_stat_activity where query = 'select pg_sleep(3600)'"
    mv away repository
    sql main "select pg_create_restore_point('back'), pg_switch_wal()" >switch.out # wakes the archiver, which rests after three failures
    wait_until 70 "some to leave" at_most 190
    expect_true "the session lives" kill -0 $session
    expect_equal "crashes" 0 "$(crashes)"
    server_ends $signal
    wait $session || true
done
server_begins main
wait_until 60 "the backlog to leave" at_most 0
expect_equal "crashes" 0 "$(crashes)"
server_ends INT
