#!/bin/bash
# goal: recovery-window tells what a real server's WAL can bring back, to the microsecond; what it does not tell is refused before a byte is restored
# turns: file s3
# full-versions: file@13 s3@17 file@18 file@19
# limit: 480
. "$(dirname "$0")/../lib.sh"

step "one row a segment; the time of each commit is known to the server" # 1 and 2 before the second backup
config_write $'[wal-fetch]\ntimeout = 10\nhole_wait = 0'
server_create main --wal-segsize=1
printf 'track_commit_timestamp = on\nautovacuum = off\n' >>main/postgresql.conf
expect_status 0 repository-init
expect_status 0 recovery-window
expect_output "0 backups, 0 WAL segments"
server_start main
system=$(system_identifier main)
sql main "create table t (i int)"
backup() { expect_status 0 basebackup-push --checkpoint=fast && id=$(tail -1 <<<"$output"); }
insert() { # NUMBER
    sql main "insert into t values ($1) returning pg_current_xact_id()" >"xid.$1"
    sql main "select pg_walfile_name(pg_current_wal_lsn())" >"segment.$1"
    sql main "select pg_create_restore_point('after row $1')" "select pg_switch_wal()" >/dev/null
}
as_utc="'YYYY-MM-DD HH24:MI:SS.US') || '+00'"
commit_time() { # NUMBER [MICROSECONDS]: of its commit, or so much later
    sql main "select to_char((pg_xact_commit_timestamp(xmin) + interval '${2:-0} microseconds') at time zone 'UTC', $as_utc from t where i = $1"
}
backup && first=$id
for i in 1 2 3 4 5 6; do insert $i; done
archived main
last=$(commit_time 6)
segment() { cat "segment.$1"; }

step "the page and the document tell the last commit"
expect_status 0 recovery-window
expect_output "timeline 1, the latest"
expect_output "after .*, the end of backup $first"
expect_output "latest +before ${last//+/\\+}, the time of the last commit"
lsn=$(sed -n 's/.*that commit itself: .*--target-lsn \([0-9A-F/]*\)$/\1/p' <<<"$output")
recovery-window --json >window.json
window() { # EXPRESSION on the system (s), or its first window (w)
    python3 -c "import json, sys
s = json.load(open('window.json'))['repositories'][0]['systems'][0]
w = (s['timelines'][0]['windows'] or [None])[0]
print($1)"
}
expect_equal "before" "${last/ /T}" "$(window "w['before'].replace('Z', '+00')")"
expect_equal "windows, holes" "1 0 False" "$(window "len(s['timelines'][0]['windows']), s['timelines'][0]['hole_count'], w['ends_at_hole']" | tr -d '(),')"
expect_equal "the backup" "$first $first 1" "$(window "w['oldest_backup'], w['newest_backup'], w['backups']" | tr -d "(),'")"
expect_equal "behind" 0.0 "$(window "s['server']['behind_seconds']")"

step "what is behind a hole that no backup leads past would be lost with the server, too"
object_get "$(wal_key "$(segment 5)")" saved
object_delete "$(wal_key "$(segment 5)")"
expect_status 0 recovery-window
expect_output "archived +all commits up to $(commit_time 4 | sed 's/+/\\+/')"
expect_output "behind a hole +[1-9][0-9]* segments that no backup leads to, up to the commit of $(commit_time 6 | sed 's/+/\\+/')"
recovery-window --json >window.json
lost=$(sql main "select extract(epoch from (select pg_xact_commit_timestamp(xmin) from t where i = 6) - (select pg_xact_commit_timestamp(xmin) from t where i = 4))")
expect_true "$lost s are lost" python3 -c "import sys; sys.exit(abs($(window "s['server']['behind_seconds']") - $lost) > 0.001)"
expect_true "segments" test "$(window "s['server']['segments_cut_off']")" -ge 1

step "a segment that comes after the one behind it is late, not missing"
sed 's/^hole_wait = .*/hole_wait = 60/' "$CONFIG" >patient.conf
chmod 600 patient.conf
object_get "$(wal_key "$(segment 6)")" behind
object_delete "$(wal_key "$(segment 6)")"
object_put "$(wal_key "$(segment 6)")" behind
recovery-window --config "$T/patient.conf" >late.log 2>&1 & pid=$!
sleep 1
object_put "$(wal_key "$(segment 5)")" saved
wait $pid || fail "recovery-window: $(cat late.log)"
expect_true "nothing is missing: $(cat late.log)" grep -qF "before $(commit_time 6)" late.log
expect_true "no hole" test "$(grep -c "is not there" late.log)" -eq 0

step "what would be lost with the server now"
sleep 0.2
sql main "insert into t values (7)"
expect_status 0 recovery-window
expect_output "in pg_wal only +1 segments, up to the commit of $(commit_time 7 | sed 's/+/\\+/'): [0-9.]+ s of commits would be lost"
recovery-window --json >window.json
expect_true "at least 0.2 s" python3 -c "import sys; sys.exit(not 0.2 <= $(window "s['server']['behind_seconds']") < 600)"
sql main "delete from t where i = 7"

refused() { # PATTERN OPTION...: both programs; nothing is made or written
    expect_status 1 basebackup-fetch -D "$T/refused" "${@:2}"
    output=${output//$'\n'/ }
    expect_output "$1"
    expect_absent refused
    refused_there "$@"
}
refused_there() { # PATTERN OPTION...: by recovery-config, in the directory base
    cp base/postgresql.auto.conf auto.before
    expect_status 1 recovery-config -D "$T/base" "${@:2}"
    output=${output//$'\n'/ }
    expect_output "$1"
    expect_same "after ${*:2}" auto.before base/postgresql.auto.conf
    expect_absent base/recovery.signal
}
recovered() { # ROWS OPTION...: with them the server comes to these rows
    rm -rf copy && cp -r base copy
    expect_status 0 recovery-config -D "$T/copy" "${@:2}"
    server_start copy
    if [ -n "${paused:-}" ]; then wait_paused copy; else wait_open copy; fi
    expect_equal "rows with ${*:2}" "$1" "$(sql copy "select coalesce(max(i), 0) from t")"
    server_stop copy
}
expect_status 0 basebackup-fetch --backup "$first" -D "$T/base"

step "the edges: just before the last commit, the last commit, and later" # wound: pgbackrest#1582
archived main
last=$(sql main "select to_char(timestamp at time zone 'UTC', $as_utc from pg_last_committed_xact()")
expect_status 0 recovery-window
expect_output "latest +before ${last//+/\\+}, the time of the last commit"
lsn=$(sed -n 's/.*that commit itself: .*--target-lsn \([0-9A-F/]*\)$/\1/p' <<<"$output")
after=$(sql main "select to_char(clock_timestamp() at time zone 'UTC', $as_utc")
just_before=$(sql main "select to_char((timestamptz '$last' - interval '1 microsecond') at time zone 'UTC', $as_utc")
recovered 7 --target-time "$just_before" --action promote # 7 is still there: its deletion is the last commit
recovered 6 --target-lsn "$lsn" --action promote
recovered 6
refused "the latest recoverable instant on timeline 1 is just before ${last//+/\\+}, the time of the last commit; the WAL ends with segment .*--target-lsn $lsn" --target-time "$last"
refused "the latest recoverable instant on timeline 1 is just before ${last//+/\\+}" --target-time "$after"
refused "can't be reached on timeline 1: the WAL ends with segment" --target-lsn 0/70000000
expect_status 0 basebackup-fetch -D "$T/fetched" --target-time "$just_before"
rm -rf fetched

step "a later backup tells that nothing was committed: the time becomes the last commit's LSN, with the action at the target"
sleep 1.1 # a commit of the last second may have been waiting for its place in the WAL
backup && second=$id
object_get "main/$system/base/$second/manifest.json" manifest.json
python3 - <<'PY'
import datetime, json
manifest = json.load(open("manifest.json"))
covered, stop = (datetime.datetime.fromisoformat(manifest[name].rstrip("Z")) for name in ("covered_until", "stop_time"))
assert 1 <= (stop - covered).total_seconds() < 60, "what is committed while a backup ends may be behind its end"
PY
expect_status 0 recovery-window
expect_output "nothing was committed from then to .* at least"
paused=1 recovered 6 --target-time "$after"
expect_true "the LSN is the target" grep -q "^recovery_target_lsn = '$lsn'" copy/postgresql.auto.conf
expect_status 0 recovery-config -D "$T/base" --target-time "$after" --dry-run
expect_output "nothing was committed from .* to .* at least"
expect_output "the target becomes LSN $lsn"
refused "nothing was committed|latest recoverable instant" --target-time "$(sql main "select to_char(clock_timestamp() at time zone 'UTC', $as_utc")"

step "nobody looks when that is asked for; what the lost server's pg_wal has counts in that of the restored directory"
sql main "insert into t values (8)"
expect_status 0 basebackup-fetch -D "$T/fetched" --target-time "$(commit_time 8 -1)" --unproven
expect_output "recovery-config .*--unproven"
expect_status 0 recovery-config -D "$T/fetched" --target-time "$(commit_time 8 -1)" --unproven --dry-run
expect_output "was not looked at"
expect_status 1 recovery-config -D "$T/fetched" --target-time "$(commit_time 8 -1)" --dry-run
cp "main/pg_wal/$(sql main "select pg_walfile_name(pg_current_wal_lsn())")" fetched/pg_wal
expect_status 0 recovery-config -D "$T/fetched" --target-time "$(commit_time 8 -1)" --dry-run
rm -rf fetched
sql main "delete from t where i = 8"

step "restore points by name, and transactions by their ids"
recovered 3 --target-name "after row 3" --action promote
recovered 4 --target-xid "$(cat xid.4)" --action promote
refused_there "there is no restore point \"after row 33\" on the way to timeline 1.*The nearest names are \"after row 3\"" --target-name "after row 33"
refused_there "no transaction 4000000 ended on the way to timeline 1" --target-xid 4000000
rm -rf base.first && mv base base.first
expect_status 0 basebackup-fetch --backup "$second" -D "$T/base"
refused_there "there is no restore point \"after row 3\"" --target-name "after row 3"
refused_there "no transaction $(cat xid.4) ended" --target-xid "$(cat xid.4)"
rm -rf base && mv base.first base

step "a hole: before it, at it, behind it; a backup behind it; given up; filled from the lost server's pg_wal"
hole=$(segment 4)
object_get "$(wal_key "$hole")" saved
object_delete "$(wal_key "$hole")"
expect_status 0 recovery-window
expect_output "latest +before $(commit_time 3 | sed 's/+/\\+/'), the time of the last commit"
expect_output "$hole is missing"
expect_output "hole +$hole to $hole \(1\) is not there"
expect_output "after .*, the end of backup $second"
recovered 2 --target-time "$(commit_time 3 -1)" --action promote
recovered 3 --target-name "after row 3" --action promote
# PostgreSQL would find no later commit before the hole; the restore point tells that there was none for a moment
expect_status 0 recovery-config -D "$T/base" --dry-run --target-time "$(commit_time 3)"
expect_output "nothing was committed from .* to .* at least"
refused "is just before $(commit_time 3 | sed 's/+/\\+/'), the time of the last commit; WAL segment $hole is missing.*--accept-end $hole" --target-time "$(commit_time 4 -1)"
refused "WAL segment $hole is missing" --target-time "$(commit_time 5 -1)"
refused_there "restore point \"after row 5\"\) can't be reached on timeline 1: WAL segment $hole is missing" --target-name "after row 5"
cp "$CONFIG" one.conf # a repository that can't be asked may have it
printf '[repository away]\nurl = file://%s\n' "$T/away" >>"$CONFIG"
expect_status 0 recovery-config -D "$T/base" --dry-run --target-time "$(commit_time 5 -1)"
expect_output "it is not certain.*not all repositories could be asked, and in the others WAL segment $hole is missing"
expect_status 0 basebackup-fetch -D "$T/fetched" --target-time "$(commit_time 5 -1)"
expect_output "it is not certain.*not all repositories could be asked"
rm -rf fetched
expect_status 1 recovery-config -D "$T/base" --dry-run --repository here --target-time "$(commit_time 5 -1)"
cp one.conf "$CONFIG"
recovered 3 --accept-end "$hole"
expect_status 0 basebackup-fetch -D "$T/fetched" --accept-end "$hole"
expect_output "recovery-config .*--accept-end $hole"
expect_true "the backup before the hole was taken" grep -q "$first" <<<"$output"
expect_equal "warnings" 0 "$(grep -c warning: <<<"$output" || true)"
rm -rf fetched
lz4 -dcq saved >"base/pg_wal/$hole"
recovered 4 --target-time "$(commit_time 5 -1)" --action promote
rm "base/pg_wal/$hole"
object_put "$(wal_key "$hole")" saved

step "a fork: along the latest timeline by itself, along the old one when asked"
rm -rf copy && cp -r base copy
expect_status 0 recovery-config -D "$T/copy" --target-name "after row 2" --action promote --archive=keep
server_start copy
wait_open copy
sql copy "insert into t values (100)"
archived copy
sql copy "insert into t values (101)"
archived copy
fork=$(sed -n 's|^1\t\([0-9A-F/]*\).*|\1|p' copy/pg_wal/00000002.history)
other=$(sql copy "select to_char((pg_xact_commit_timestamp(xmin) - interval '1 microsecond') at time zone 'UTC', $as_utc from t where i = 101")
server_stop copy
rm -rf other && mv copy other
expect_status 0 recovery-window
expect_output "timeline 2, the latest"
expect_output "left +at LSN $fork by timeline 2"
recovery-window --json >window.json
expect_equal "timelines" "[(1, False), (2, True)]" "$(window "[(t['timeline'], t['is_latest']) for t in s['timelines']]")"
expect_status 0 basebackup-fetch -D "$T/fetched" --target-time "$other" # the newest backup is on timeline 1, behind the fork
expect_true "the backup before the fork was taken" grep -q "restoring backup $first" <<<"$output"
rm -rf fetched
recovered 100 --target-time "$other" --action promote
recovered 4 --target-time "$(commit_time 5 -1)" --timeline 1 --action promote
expect_status 0 basebackup-fetch -D "$T/fetched" --target-time "$(commit_time 5 -1)" --timeline 1
expect_output "recovery-config .*--timeline 1"
rm -rf fetched
expect_status 1 basebackup-fetch -D "$T/fetched" --target-time "$other" --backup "$second"
expect_output "backup $second does not lead to timeline 2"
refused_there "timeline 3 is not known" --target-time "$other" --timeline 3
server_stop main
