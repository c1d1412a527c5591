#!/bin/bash
# goal: the S3 server hangs or is killed under archiving, shutdown, recovery, a standby, a promotion: nothing is lost, sent twice or opened in error
# stores: none
# limit: 300
. "$(dirname "$0")/../lib.sh"
command -v radosgw ceph-mon ceph-osd radosgw-admin >/dev/null || skip "radosgw is not installed"

# ---- a Ceph of its own, since it is stopped: it hangs (SIGSTOP) or is killed, so that connections are refused

for port in $(shuf -i 200-310 -n 20); do "$here/ceph" busy $((port * 100 + 50)) || break; done
store_start() { "$here/ceph" start "$T/ceph" $((port * 100 + 50)) walferry; }
declare -A signals=([hang]=STOP [refuse]=KILL)
away() { # WAY
    way=$1
    echo "the store: $way"
    kill "-${signals[$way]}" "$(<"$T/ceph/run/client.rgw.pid")"
}
back() {
    case $way in
    hang) kill -CONT "$(<"$T/ceph/run/client.rgw.pid")" ;;
    refuse) store_start ;;
    esac
    echo "the store is back"
}
end_store() { # the end of this scenario, whatever it is
    local status=$?
    set +e
    trap - ERR
    [ ! -s "$T/ceph/run/client.rgw.pid" ] || kill -CONT "$(<"$T/ceph/run/client.rgw.pid")" 2>/dev/null
    "$here/ceph" stop "$T/ceph"
    (exit $status)
    clean_up
}
trap end_store EXIT

processes() { pgrep -f "^[^ ]*/$1 --config $CONFIG" || true; } # PROGRAM: not the shell that started it
running() { [ "$(processes "$1" | wc -l)" -ge "${2:-1}" ]; }   # PROGRAM [NUMBER]
none_running() { ! running "$1"; }
ready() { find main/pg_wal/archive_status -name '*.ready' | wc -l; }
timeline() { sql "$1" "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"; }
timed() { # WHAT MOST COMMAND...: sets $took
    local began=$EPOCHREALTIME
    "${@:3}"
    took=$((${EPOCHREALTIME/./} - ${began/./}))
    echo "$1: $((took / 1000)) ms"
    expect_true "$1 within $2 s" test $took -le $(($2 * 1000000))
}
# watch PROGRAM SECONDS: how many of it there are at once, and how much memory one needs
watch() {
    local end=$((SECONDS + $2)) pid now
    most=0 memory=0
    while [ $SECONDS -lt "$end" ]; do
        now=$(processes "$1")
        [ "$(wc -w <<<"$now")" -le $most ] || most=$(wc -w <<<"$now")
        for pid in $now; do
            now=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status" 2>/dev/null || true)
            [ "${now:-0}" -le $memory ] || memory=$now
        done
        sleep 0.1
    done
    echo "$1 for $2 s: at most $most at once, $memory KiB"
    expect_equal "$1 at once" 1 $most
    expect_true "memory of $1" test $memory -gt 0 -a $memory -lt 65536
}

step "a server under load"
unset CEPH_ARGS
store_start
mapfile -t settings <ceph/env
export "${settings[@]}" S3_PREFIX=pg
STORE=s3 config_write $'[wal-push]\ntimeout = 1\n[wal-fetch]\ntimeout = 2\nstandby_timeout = 1\nhistory_wait = 1\nswitch_wait = 60\nhole_wait = 1\nread_ahead = 0' # what is read ahead outlives the store
server_create main --wal-segsize=1
echo "archive_command = '$PROGRAMS/wal-push --config $CONFIG %p && echo %f >>$T/left'" >>main/postgresql.conf
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
ledger_create main
ledger_start main 1
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")
archived main

# The server dies, wal-push goes on; the next server's archiver sends the same segment beside it.
step "everything of the server is killed while wal-push hangs (rule 16)"
away hang
sql main "select pg_switch_wal()" >/dev/null
wait_until 30 "a wal-push that hangs" running wal-push
server_kill main
rm main/postmaster.pid # its number may still be a zombie's
ledger_stop
orphan=$(processes wal-push)
expect_true "wal-push has outlived the server" test -n "$orphan"
server_start main
wait_until 30 "a second wal-push" running wal-push 2
back
archived main
expect_true "the orphan has ended" none_running wal-push
ledger_acknowledged 1 | LC_ALL=C sort >acknowledged
ledger main | LC_ALL=C sort >found
expect_equal "acknowledged commits that are missing" "" "$(comm -13 found acknowledged | head -3)"

step "an immediate shutdown takes a wal-push that hangs with it"
away hang
sql main "insert into ledger values (0, 0, 1, now())" "select pg_switch_wal()" >/dev/null
wait_until 30 "a wal-push that hangs" running wal-push
server_stop main immediate
wait_until 10 "the end of wal-push" none_running wal-push
server_start main

step "archiving is away for long: all that waits stays, and it is asked for with measure"
waiting=${FULL:+500} waiting=${waiting:-40}
: >left
sql main "select pg_stat_reset_shared('archiver')" >/dev/null
ledger_start main 2
before=$(ready)
for ((i = 0; i < waiting; i++)); do echo "insert into ledger values (0, 1, $i, now()); select pg_switch_wal();"; done >switches.sql
sql main "\\i switches.sql" >/dev/null
expect_true "at least $waiting segments wait, not $(ready)" test "$(ready)" -ge $((before + waiting))
watch wal-push 3

step "its shutdown: bounded by wal-push's timeout (rule 13)"
ledger_stop
# PostgreSQL ends its series of three tries and makes a last one; a try takes the timeout of 1 s, and there is a second between.
timed "fast shutdown, the store hangs" 16 server_stop main fast
expect_true "no wal-push is left" none_running wal-push
back
away refuse
server_start main
expect_true "nothing was lost meanwhile: $(ready)" test "$(ready)" -ge $((before + waiting))
wait_until 30 "a wal-push" running wal-push
timed "smart shutdown, the store is dead" 16 server_stop main smart
if [ -n "$FULL" ]; then
    sed -i.short '/^\[wal-push\]/,/^timeout/d' "$CONFIG"
    server_start main
    wait_until 30 "a wal-push" running wal-push
    timed "fast shutdown with wal-push's default timeout of 15 s, the store is dead" 110 pg_ctl -D main -s -w -t 120 -m fast stop
    mv "$CONFIG.short" "$CONFIG"
fi
expect_equal "archived meanwhile" "" "$(<left)"

step "the store is back: all leave, in order, none twice, none lost"
server_start main
ready_names() { (cd main/pg_wal/archive_status && printf '%s\n' *.ready | sed 's/\.ready$//'); }
ready_names >expected
back
timed "archiving of $(wc -l <expected) files" 120 archived main
LC_ALL=C sort -c left || fail "they did not leave in order"
expect_equal "files that left twice" "" "$(uniq -d left)"
head -n "$(wc -l <expected)" left >found
expect_same "what left first" expected found
expect_equal "pg_stat_archiver" "$(wc -l <left)|$(tail -1 left)" "$(sql main "select archived_count, last_archived_wal from pg_stat_archiver")"
STORE=s3 object_list | sed -n "s|^main/$system/wal/[0-9A-F]*/\([0-9A-F]*\) .*|\1|p" >stored
expect_equal "files that left and are not stored" "" "$(comm -23 left stored | head -3)"
first=$(head -1 stored) last=$(tail -1 stored)
expect_equal "segments from $first to $last" $((16#${last:16} - 16#${first:16} + 1)) "$(wc -l <stored)"
ledger_acknowledged 2 | LC_ALL=C sort >acknowledged
ledger main | LC_ALL=C sort >found
expect_equal "acknowledged commits that are missing" "" "$(comm -13 found acknowledged | head -3)"
ledger main >all

# ---- recovery: the store goes away at the request that the file "moment" names

cat >moment.sh <<END
#!/bin/sh
# moment.sh NAME: what PostgreSQL is about to ask for, and in which mode
mode=switch
for file in recovery standby; do [ ! -e \$file.signal ] || mode=\$file; done
echo "\$mode \$1" >>$T/asked
[ "\$mode \$1 \$(grep -cx "\$mode \$1" $T/asked)" != "\$(cat $T/moment)" ] || kill -\$(cat $T/signal) \$(cat $T/ceph/run/client.rgw.pid)
END
chmod 755 moment.sh
moment() { # WAY "MODE NAME TIME": the TIME-th request for NAME in this mode; "never"
    way=$1
    echo "${signals[$way]}" >signal
    : >asked
    echo "$2" >moment
}
expect_status 0 basebackup-fetch -D "$T/base" --backup "$id"
restore() { # OPTION...
    rm -rf copy
    cp -r base copy
    expect_status 0 recovery-config -D "$T/copy" "$@"
    sed -i "s|^restore_command = '|&$T/moment.sh %f; |" copy/postgresql.auto.conf
}
stops_and_goes_on() { # WAY MOMENT TIMELINE
    step "the store: $1 at \"$2\": recovery stops, and the same start completes it"
    restore
    moment "$1" "$2"
    server_fails copy "wal-fetch: error: could not (get|list)"
    expect_equal "the last thing asked for" "${2% *}" "$(tail -1 asked)"
    expect_absent "copy/pg_wal/$3.history"
    expect_true "recovery is not over" test -e copy/recovery.signal
    back
    moment hang never
    server_start copy
    wait_open copy
    expect_ledger copy all
    expect_equal "timeline" "$3" "$(timeline copy)"
    server_stop copy
}
name_of() { sed -n "${1}p" stored; }
count=$(wc -l <stored)
behind=$(sql main "select pg_walfile_name(pg_current_wal_insert_lsn())") # not archived: the end
expect_true "$behind is not stored" test "$behind" '>' "$last"
ways=(hang refuse)
middle() { echo "recovery $(name_of $((count / 4 + RANDOM % (count / 2)))) 1"; }
probe="recovery 00000002.history 2" # for a free timeline, at the end; the first one is at the beginning
stops_and_goes_on hang "$(middle)" 00000002
stops_and_goes_on refuse "recovery $behind 1" 00000002
if [ -n "$FULL" ]; then
    for i in 1 2 3 4 5 6; do stops_and_goes_on "${ways[i % 2]}" "$(middle)" 00000002; done
    stops_and_goes_on hang "recovery $behind 1" 00000002
    stops_and_goes_on refuse "${probe%2}1" 00000002
    stops_and_goes_on refuse "$probe" 00000002
fi
stops_and_goes_on hang "$probe" 00000002

step "the first timeline's history is asked for behind the point of no return: it needs no store (rule 2)"
restore
moment hang "switch 00000001.history 1"
server_start copy
wait_open copy
expect_equal "the last thing asked for" "switch 00000001.history" "$(tail -1 asked)"
expect_ledger copy all
server_stop copy
back

# ---- a standby

step "a standby: the store goes away twice; it asks again, with measure, and follows on"
cp -r base second
expect_status 0 recovery-config -D "$T/second" --standby
echo "wal_retrieve_retry_interval = 200ms" >>second/postgresql.conf
server_start second
same() { ledger "$1" >same.now && cmp -s same.now "$2"; } # NAME FILE
wait_until 60 "the standby to have everything" same second all
ledger_start main 3
for way in "${ways[@]}"; do
    away "$way"
    : >second.log
    find "$T/tmp" "$T/state" -type f | sort >files.before
    watch wal-fetch 4
    questions=$(grep -c "the standby will ask again" second.log)
    expect_true "one to six questions in 4 s, not $questions" test "$questions" -ge 1 -a "$questions" -le 6
    find "$T/tmp" "$T/state" -type f | sort >files.now
    expect_same "files in TMPDIR and the state directory" files.before files.now
    if [ "$way" = hang ]; then
        timed "shutdown of the standby, the store hangs" 10 server_stop second fast
        expect_equal "left in its pg_wal" "" "$(find second/pg_wal -name 'RECOVERY*')"
        pg_ctl -D second -l second.log -s -W -o "-k $T/run/second -c listen_addresses=''" start
        wait_until 30 "questions of a standby that starts while the store is away" grep -q "the standby will ask again" second.log
    fi
    back
    archived main
    expect_equal "FATAL messages" "" "$(grep FATAL second.log | grep -v "starting up" || true)"
done
ledger_stop
ledger main >all
archived main
wait_until 60 "the standby to have everything" same second all

step "a failover while the store is away: not held up for long; when it is back all of the new timeline leaves"
away hang
server_kill main
timed "promotion, the store hangs" 15 pg_ctl -D second -s -w -t 60 promote
wait_open second
expect_true "it was said that it might reuse a timeline" grep -q "a promotion now may reuse a timeline" second.log
expect_ledger second all
expect_equal "timeline" 00000002 "$(timeline second)"
ledger_start second 4
: >left
sql second "select pg_switch_wal()" >/dev/null
back
archived second
expect_equal "what left first" 00000002.history "$(head -1 left)"
ledger_stop
ledger second >all
sql second "select pg_create_restore_point('later')" >/dev/null
archived second
sql second "insert into ledger values (0, 2, 0, now())" >/dev/null
archived second
server_stop second

paused() { # WAY: at the restore point; the store goes away at the first request behind the point of no return
    restore --target-name later
    moment "$1" "switch 00000002.history 1"
    server_start copy
    wait_paused copy
}
opened() {
    wait_open copy
    expect_ledger copy all
    expect_equal "timeline" 00000003 "$(timeline copy)"
    server_stop copy
}
with_file() { # WAY
    step "the store: $1 at the request behind the point of no return; pg_wal has the file (rule 2)"
    paused "$1"
    sql copy "select pg_wal_replay_resume()"
    opened
    expect_true "said" grep -q "could not ask for \"00000002.history\", but pg_wal has it" copy.log
    back
}
without_file() { # WAY
    step "the store: $1; pg_wal does not have it: the server waits for the store, and takes its own timeline"
    paused "$1"
    rm copy/pg_wal/00000002.history
    sql copy "select pg_wal_replay_resume()"
    wait_until 30 "the request" grep -qx "switch 00000002.history" asked
    sleep 1
    expect_true "it is waiting" running wal-fetch
    back
    opened
}
with_file hang
without_file refuse
[ -z "$FULL" ] || { with_file refuse; without_file hang; }
