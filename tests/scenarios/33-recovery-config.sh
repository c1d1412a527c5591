#!/bin/bash
# goal: recovery-config explains what cannot work and writes nothing then; its settings live beside a user's own, and any path works
# turns: file s3
. "$(dirname "$0")/../lib.sh"

step "two timelines: a backup before the fork, one behind it on each; programs and configuration in places with odd names"
odd="$T/it's 100% \"odd\" \$HOME; \\ (x)"
mkdir "$odd"
cp "$PROGRAMS"/* "$odd/"
config_write
cp "$CONFIG" "$odd/wal ferry.conf"
secret_place '*/wal ferry.conf'
CONFIG="$odd/wal ferry.conf" WALFERRY_CONFIG="$odd/wal ferry.conf"
PATH=$odd:$PATH
server_create main --wal-segsize=1
sed -i '/^archive_command/d' main/postgresql.conf
export WALFERRY_CONFIG # of the server's wal-push too
echo "archive_command = 'wal-push %p'" >>main/postgresql.conf
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t (i int)"
clock() { sql "$1" "select clock_timestamp()"; }
lsn() { sql "$1" "select pg_current_wal_insert_lsn()" | sed "s,/0*,/,"; } # as before 19
backup() { expect_status 0 basebackup-push --checkpoint=fast && id=$(tail -1 <<<"$output") && sleep 1.1; }
time0=$(clock main)
backup && early=$id
sql main "insert into t values (1)" && time1=$(clock main) lsn1=$(lsn main)
sleep 0.1
sql main "insert into t values (2)" && archived main
backup && late=$id # behind the fork that comes, on the old timeline
sql main "insert into t values (3)" && archived main
server_stop main
fetch() { rm -rf "${T:?}/$1" && expect_status 0 basebackup-fetch --backup "$2" -D "$T/$1"; } # NAME ID
fetch heir "$early"
sed -i "s|^pgdata.*|pgdata = $T/heir|; s|^conninfo.*|conninfo = host=$T/run/heir user=postgres|" "$WALFERRY_CONFIG"
expect_status 0 recovery-config -D "$T/heir" --target-lsn "$lsn1" --action promote --archive=keep
server_start heir
wait_open heir
expect_equal "rows of the second timeline" 1 "$(sql heir "select max(i) from t")"
sql heir "insert into t values (12)"
backup && second=$id
sql heir "insert into t values (13)" && time13=$(clock heir)
sleep 0.1
sql heir "insert into t values (14)"
archived heir
server_stop heir

fetch copy "$early"
expect_status 0 recovery-config -D "$T/copy" --show # forgotten
expect_output "warning: recovery of this directory is not over"
cp copy/postgresql.auto.conf auto.before
refused() { # STATUS PATTERN OPTION...: in the directory copy; nothing is written
    expect_status "$1" recovery-config -D "$T/copy" "${@:3}"
    output=${output//$'\n'/ }
    expect_output "$2"
    expect_same "after ${*:3}" auto.before copy/postgresql.auto.conf
    expect_absent copy/recovery.signal copy/standby.signal
}
step "a time without an offset, in the future, before the backup's end, no time at all" # wound: pgbackrest#1582, #826, #2452, CNPG#264
plain=${time1%+*}
TZ=XYZ-5:30 refused 2 "no offset from UTC.*\"$plain\+05:30\"; as UTC it is \"$plain\+00\"" --target-time "$plain"
TZ=XYZ3 refused 2 "\"$plain-03\"" --target-time "$plain"
refused 1 "in the future" --target-time "$(date -u -d '+1 hour' '+%F %T')+00"
refused 1 "in the future" --target-time "${time1%+*}-11" # an offset of the wrong sign
refused 1 "not after the end of the backup.*$early ended at .*hint: No backup .*the first to end on the way to timeline 2 is $early" --target-time "$time0"
expect_equal "errors" 1 "$(grep -o "error:" <<<"$output" | wc -l)"
refused 1 "lies before LSN|not after the end of the backup" --target-lsn 0/100
for wrong in yesterday "2026-13-01 00:00:00+00" "2026-02-30 00:00:00+00" "2026-01-01 25:00:00+00" "2026-01-01+00" now infinity "2026-01-01 00:00:00 CET" ""; do
    refused 2 "is not a time|no offset" --target-time "$wrong"
done

step "a backup that serves is named, and the command that is told works"
fetch copy "$second"
cp copy/postgresql.auto.conf auto.before
refused 1 "hint: Backup $early serves the target.*basebackup-fetch --backup $early" --target-time "$time1" --timeline 2
refused 1 "not after the end of the backup.*$second" --target-lsn "$lsn1"

step "timelines: unknown, not reachable from this backup, another than one may think"
refused 1 "timeline 7 is not known: 00000007.history is neither" --timeline 7
refused 1 "timeline 1 does not descend from timeline 2.*--timeline 2" --timeline 1
refused 2 "begins with a zero" --timeline 02
refused 2 "hexadecimal, write 0x" --timeline A
refused 2 "from 1 to" --timeline 0
fetch copy "$late"
cp copy/postgresql.auto.conf auto.before
refused 1 "timeline 2 left timeline 1 at LSN .*before the end of the backup.*--timeline 1.*backup $second serves" --target-time "$time13"
refused 1 "timeline 2 left timeline 1 at LSN" --timeline 2
refused 1 "the latest recoverable instant on timeline 1 is just before" --target-time "$time13" --timeline 1
expect_status 0 recovery-config -D "$T/copy" --timeline 1 --dry-run
fetch copy "$early"
cp copy/postgresql.auto.conf auto.before
expect_status 0 recovery-config -D "$T/copy" --target-time "$time13" --dry-run
expect_output "follows the latest timeline, 2, which left timeline 1"
expect_output "add --timeline 1"
expect_output "would be made"

step "an LSN whose segment, on the timeline to which it belongs, is not in the archive"
object_get "$(wal_key 00000002.history)" history.stored
fork=$(lz4 -dcq history.stored | sed -n 's|^1\t0/\([0-9A-F]*\)\t.*|\1|p') # the first LSN of timeline 2
printf -v forked '00000001%016X' $((16#$fork >> 20))
lacks() { # SEGMENT or "" LSN
    if [ -z "$1" ]; then
        expect_status 0 recovery-config -D "$T/copy" --dry-run --target-lsn "$2"
    else
        refused 1 "can't be reached on timeline 2: (WAL segment $1 is missing|the WAL ends with segment)" --target-lsn "$2"
    fi
}
lacks "" "0/$fork"
object_get "$(wal_key "$forked")" saved
object_delete "$(wal_key "$forked")"
lacks "" "0/$fork" # it is in the new timeline's, too
lacks "" "$(printf '0/%X' $((16#$fork - 1)))"
object_put "$(wal_key "$forked")" saved
second_forked=00000002${forked:8}
object_get "$(wal_key "$second_forked")" saved
object_delete "$(wal_key "$second_forked")"
lacks "$second_forked" "0/$fork" # not the old timeline's: it would bring what the new one never had
lacks "$second_forked" "$(printf '0/%X' $((16#$fork - 1)))"
object_put "$(wal_key "$second_forked")" saved
lacks "$(printf '00000002%016X' $(((16#$fork >> 20) + 64)))" "$(printf '0/%X' $((16#$fork + (64 << 20))))"

step "wrong usage"
refused 2 "more than one target" --immediate --standby
refused 2 "more than one target" --target-name a --target-lsn "$lsn1"
refused 2 "given more than once" --target-name a --target-name b
refused 2 "--exclusive needs" --exclusive --target-name a
refused 2 "--action needs a target" --action promote
refused 2 "--action needs a target" --action promote --standby
refused 2 "unknown action" --immediate --action stop
refused 2 "\"off\" or \"keep\"" --archive=on
refused 2 "--timeline can't be used with --standby" --standby --timeline 1
refused 2 "must not be empty" --target-name ""
refused 2 "at most 63 bytes, this one has 64" --target-name "$(printf 'x%.0s' $(seq 64))"
refused 2 "not an LSN" --target-lsn 0/0
refused 2 "ids begin at 3" --target-xid 2
refused 2 "is not a number" --target-xid 7oo
refused 2 "not the name of a WAL segment" --accept-end 00000001
refused 2 "--accept-end can't be used with --standby" --accept-end 000000010000000000000009 --standby
refused 1 "needs the WAL up to" --accept-end 000000010000000000000001
refused 1 "timeline 5 is not known|not on the way" --accept-end 000000050000000000000009
refused 1 "lies in segment .* or behind it" --accept-end 00000001000000000000004F --target-lsn 0/5000000 --timeline 1
refused 2 "only one of" --show --clear
refused 2 "takes no target" --clear --immediate
refused 2 "there is no repository \"nowhere\"" --repository nowhere
expect_status 2 recovery-config --immediate
expect_status 1 recovery-config -D "$T/nowhere"
mkdir empty && expect_status 1 recovery-config -D "$T/empty"
expect_output "not a data directory"
expect_equal "made there" "" "$(ls -A empty)"

step "a user's own settings stay, come back, and do not interfere"
cat >>copy/postgresql.auto.conf <<'CONF'
work_mem = '7MB' # mine
recovery_target_name = 'mine'
Restore_Command 'my own'
archive_mode = 'always'
CONF
echo "recovery_target_xid = '99999'" >>copy/postgresql.conf
cp copy/postgresql.auto.conf auto.before
expect_status 0 recovery-config -D "$T/copy" --target-lsn "$lsn1" --timeline 1
expect_status 0 recovery-config -D "$T/copy" --show
expect_output "recovery_target_lsn = '$lsn1'"
expect_output "put aside.*recovery_target_name = 'mine'"
expect_output "signal file: recovery.signal"
cp copy/postgresql.auto.conf auto.now
expect_status 0 recovery-config -D "$T/copy" --target-lsn "$lsn1" --timeline 1
expect_same "twice the same" auto.now copy/postgresql.auto.conf
server_start copy
wait_paused copy
expect_equal "rows at the target, and the user's setting" "1|7MB" "$(sql copy "select max(i), current_setting('work_mem') from t")"

step "beside a running server: a dry run warns, nothing is written, --clear is refused in recovery"
expect_status 0 recovery-config -D "$T/copy" --immediate --dry-run
expect_output "warning: a server runs"
expect_status 1 recovery-config -D "$T/copy" --immediate
expect_output "a server runs in"
expect_status 1 recovery-config -D "$T/copy" --clear
expect_output "still in recovery"
expect_same "settings" auto.now copy/postgresql.auto.conf
server_stop copy
: >copy/postmaster.pid
for option in --immediate --clear; do
    expect_status 1 recovery-config -D "$T/copy" $option
    expect_output "whether a server runs in .* can't be told"
done
expect_status 0 recovery-config -D "$T/copy" --show
expect_output "server: unknown"
rm copy/postmaster.pid
expect_same "settings" auto.now copy/postgresql.auto.conf
expect_status 1 recovery-config -D "$T/copy" --clear
expect_output "has begun and is not over"
expect_same "settings" auto.now copy/postgresql.auto.conf
server_start copy
wait_paused copy
sql copy "select pg_wal_replay_resume()"
wait_open copy
expect_status 0 recovery-config -D "$T/copy" --show
expect_output "warning: settings of a recovery that is over"
expect_output "warning: archive_mode = off"
server_stop copy
expect_status 0 recovery-config -D "$T/copy" --clear
expect_same "after --clear" auto.before copy/postgresql.auto.conf
expect_status 0 recovery-config -D "$T/copy" --clear
expect_output "no settings of recovery-config"

step "shut down at a target, and on to a later one; a target behind the end of the WAL is refused, by PostgreSQL at its end too; without one it opens"
fetch copy "$early"
expect_status 0 recovery-config -D "$T/copy" --target-lsn "$lsn1" --timeline 1 --action shutdown
pg_ctl -D copy -l copy.log -s -w -o "-k $T/run/copy -c listen_addresses=''" start || true
wait_until 60 "the end of the server at its target" server_is_gone copy
mv copy/recovery.signal lost.signal # or removed by hand
expect_status 0 recovery-config -D "$T/copy" --show
expect_output "warning: recovery of this directory is not over"
mv lost.signal copy/recovery.signal
expect_status 1 recovery-config -D "$T/copy" --target-time "$(date -u '+%F %T')+00" --timeline 1
expect_output "the latest recoverable instant on timeline 1 is just before"
expect_status 0 recovery-config -D "$T/copy" --target-lsn "$lsn1" --timeline 1
sed -i "s/^recovery_target_lsn = '.\+/recovery_target_time = '$(date -u '+%F %T')+00'/" copy/postgresql.auto.conf
server_fails copy "recovery ended before configured recovery target was reached"
expect_status 0 recovery-config -D "$T/copy" --timeline 1
expect_output "was started since"
server_start copy
wait_open copy
expect_equal "rows" "1 2 3" "$(sql copy "select i from t order by 1" | paste -sd' ')"
server_stop copy
