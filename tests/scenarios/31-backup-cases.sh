#!/bin/bash
# goal: base backups of odd clusters, with every option; what basebackup-list says of them; what makes one fail, and that it is said
# stores: file
# full-stores: s3
# full-versions: s3@13 file@17 file@18 s3@19
. "$(dirname "$0")/../lib.sh"

step "an empty repository: that is said, with status 0"
config_write $'[basebackup]\njobs = 3\nwal_timeout = 2'
server_create main --data-checksums
echo "autovacuum = off" >>main/postgresql.conf # it would write over damaged pages
expect_status 0 repository-init
expect_status 0 basebackup-list
expect_output "There is no complete base backup of cluster \"main\""
expect_status 0 basebackup-list --json
python3 -c 'import json, sys; assert json.loads(sys.argv[1]) == {"cluster": "main", "backups": [], "damaged": 0}' "$output"
expect_status 1 basebackup-fetch -D "$T/copy"
expect_output "no complete backup"
expect_absent copy

step "a server with many small files, empty, sparse and long ones"
[ "$major" -lt 17 ] || echo "summarize_wal = on" >>main/postgresql.conf # writes into pg_wal/summaries
server_start main
system=$(system_identifier main)
sql main "create table t as select i, repeat('x', 500) as pad from generate_series(1, 5000) i" "create table u as select i from generate_series(1, 5000) i" \
    "create table v as select i from generate_series(1, 100000) i" "delete from v" "vacuum v" "checkpoint"
python3 -c 'import os
for i in range(1500):
    os.makedirs(f"main/many/{i % 20}", exist_ok=True)
    open(f"main/many/{i % 20}/{i}", "w").write(f"{i}\n")'
: >main/many/empty && truncate -s "${FULL:+2}50M" main/many/sparse && mkdir main/many/nothing
name=$(printf 'n%.0s' $(seq 250)) && mkdir -p "main/many/$name" && echo deep >"main/many/$name/$name"
[ -z "$FULL" ] || head -c 1500M /dev/urandom >main/many/long
backups() { basebackup-list --json 2>/dev/null | python3 -c 'import json, sys
for backup in json.load(sys.stdin)["backups"]: print(backup["id"])'; }
sessions() { sql_is main 0 "select count(*) from pg_stat_activity where application_name = 'basebackup-push'"; }
count=0
backup() { # OPTION...
    expect_status 0 basebackup-push "$@"
    id=$(tail -1 <<<"$output")
    count=$((count + 1))
    expect_equal "backups" $count "$(backups | wc -l)"
    expect_equal "the newest" "$id" "$(backups | tail -1)"
    wait_until 10 "the end of the session" sessions
}
restored() { # OPTION...
    rm -rf copy
    expect_status 0 basebackup-fetch -D "$T/copy" "$@"
    expect_status 0 pg_verifybackup -n copy
    expect_equal "files that differ" "" "$(diff -rq main/many copy/many)"
    expect_equal "files in pg_wal" "" "$(find copy/pg_wal -type f)"
    [ "$major" -lt 17 ] || expect_true "pg_wal/summaries" test -d copy/pg_wal/summaries
}

step "one worker and four; labels"
label="a \"label\" with 'quotes', \\ back\\slashes, %p, \$(id), <b>, ümläute 日本 and a tab:	"
backup --checkpoint=fast --jobs 1 --label "$label"
first=$id
restored --jobs 4
expect_equal "LABEL in backup_label" "LABEL: $label" "$(grep ^LABEL copy/backup_label)"
backup --checkpoint=fast --jobs 4
restored --jobs 1
expect_equal "LABEL in backup_label" "LABEL: walferry" "$(grep ^LABEL copy/backup_label)"
expect_status 2 basebackup-push --label $'two\nlines'
expect_status 2 basebackup-push --label "$(printf 'x%.0s' $(seq 1001))"
expect_status 2 basebackup-push --jobs 0
expect_status 2 basebackup-push --jobs 65
expect_status 2 basebackup-push --checkpoint=soon

step "a spread checkpoint is the default, and does not hurry"
sql main "alter system set checkpoint_timeout = '30s'" "alter system set checkpoint_completion_target = 0.1" \
    "alter system set log_checkpoints = on" "select pg_reload_conf()" >/dev/null
sql main "insert into v select i from generate_series(1, 100000) i"
backup
expect_output "waiting for the server's checkpoint \(spread\)"
expect_true "the server was not hurried" grep -q "checkpoint starting: force wait$" main.log
backup --checkpoint=fast
expect_true "with fast it was" grep -Eq "checkpoint starting: (immediate|fast) force wait$" main.log

step "on a terminal it shows how far it is"
cat >terminal.py <<'PY'
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
text = b""
while True:
    try:
        chunk = os.read(terminal, 4096)
    except OSError:
        break
    if not chunk:
        break
    text += chunk
sys.stdout.write(text.decode().replace("\r", "\n"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
PY
{ cat "$CONFIG" && printf '[compression]\nlevel = 10\n'; } >slow.conf && chmod 600 slow.conf
expect_status 0 python3 terminal.py basebackup-push --config "$T/slow.conf" --checkpoint=fast --jobs 1
count=$((count + 1))
expect_output '^[0-9.]+ [KMG]iB of [0-9.]+ [KMG]iB \([0-9]+ %\), [0-9.]+ ([KMG]iB|bytes)/s, [0-9]+:[0-5][0-9] left'
expect_status 0 python3 terminal.py basebackup-push --checkpoint=fast --quiet
count=$((count + 1))
expect_equal "lines of a quiet one: the id" 1 "$(wc -l <<<"$output")"
if [ -n "$FULL" ]; then
    parts() { grep -c "/main-" <<<"$(object_list)"; }
    before=$(parts)
    basebackup-push --checkpoint=fast --progress >progress.log 2>&1 &
    push=$!
    part_came() { [ "$(parts)" -gt "$before" ]; }
    wait_until 120 "its first part" part_came
    kill -STOP $push && sleep 31 && kill -CONT $push
    wait $push
    count=$((count + 1))
    expect_true "a line in a log" grep -Eq "info: [0-9.]+ .*iB of .* left" progress.log
fi

step "the table, and the JSON document as basebackup-list(1) has it"
expect_status 0 basebackup-list
expect_equal "rows" $count "$(grep -c "^20.*Z-00000001-" <<<"$output")"
expect_output "^id +ended \(UTC\) .*label"
expect_output "^$first .*a \"label\" with 'quotes', .*ümläute 日本"
expect_equal "control characters" 0 "$(grep -c $'[\t\e]' <<<"$output" || true)"
basebackup-list --json >list.json
sed -n '/^\.SH JSON/,/^\.SH EXIT/p' "$SOURCE/man/basebackup-list.1" | grep -E '^\.B' | grep -oE '\b[a-z]+(_[a-z]+)*\b' >members
python3 - "$first" "$label" "$system" <<'PY'
import json, re, sys
first, label, system = sys.argv[1:]
document = json.load(open("list.json"))
names = open("members").read().split()
assert names[:3] == ["cluster", "backups", "damaged"] and len(names) > 25, names
assert sorted(document) == sorted(names[:3]), document.keys()
backup = next(backup for backup in document["backups"] if backup["id"] == first)
inner = {"oid", "name", "location", "file", "block", "found", "expected", "drill"} # the last: only where there was one (87-drill)
missing = [name for name in names[3:] if name not in backup and name not in inner]
assert not missing, f"documented, but not there: {missing}"
assert not set(backup) - set(names), f"there, but not documented: {set(backup) - set(names)}"
assert backup["label"] == label, backup["label"]
assert backup["system_identifier"] == system and backup["repository"] == "here" and document["cluster"] == "main"
assert backup["data_checksums"] is True and backup["page_errors"] == 0 and backup["zero_pages"] >= 0
assert all(re.fullmatch(r"[0-9A-F]+/[0-9A-F]+", backup[name]) for name in ("start_lsn", "stop_lsn"))
assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", backup[name]) for name in ("start_time", "stop_time"))
assert backup["postgresql_version"] == backup["server_version"] // 10000 and backup["timeline"] == 1
assert backup["file_count"] > 1500 and backup["plain_bytes"] > backup["stored_bytes"] > 0 and backup["part_count"] > 0
assert backup["segment_bytes"] == 16 << 20 and backup["block_bytes"] == 8192 and backup["duration_seconds"] >= 0
assert backup["tablespaces"] == [] and backup["external"] == []
assert [b["id"] for b in document["backups"]] == sorted(b["id"] for b in document["backups"])
PY

step "a damaged manifest: status 1, the others are listed, none is restored from it by default"
newest=$(backups | tail -1)
key=main/$system/base/$newest/manifest.json
object_get "$key" manifest
damaged() { # WHAT: the manifest is now what the file "wrong" holds
    echo "-- $1"
    object_put "$key" wrong
    expect_status 1 basebackup-list
    expect_output "error: .*damaged"
    expect_output "^$first "
    expect_equal "rows" $((count - 1)) "$(grep -c "^20.*Z-00000001-" <<<"$output")"
    output=$(basebackup-list --json 2>/dev/null) || true
    python3 -c 'import json, sys; assert json.loads(sys.argv[1])["damaged"] == 1' "$output"
    expect_status 1 basebackup-fetch --backup "$newest" -D "$T/never"
    expect_absent never
}
sed 's/"timeline": *1/"timeline":2/' manifest >wrong && damaged "another number"
head -c 200 manifest >wrong && damaged "cut"
: >wrong && damaged "empty"
object_put "$key" manifest
expect_status 0 basebackup-list
rm -rf copy

if [ "$STORE" = file ] && [ "$(id -u)" != 0 ]; then
    step "nor does one that can't be read keep others from being found" # as in an archive tier
    unread=repository/main/$system/base/$first/manifest.json
    chmod 000 "$unread"
    expect_status 1 basebackup-list
    expect_output "warning: backup $first in repository \"here\" is passed over"
    expect_output "^$newest "
    expect_equal "rows" $((count - 1)) "$(grep -c "^20.*Z-00000001-" <<<"$output")"
    expect_status 1 basebackup-fetch --backup "$first" -D "$T/never"
    expect_output "hint: Backups whose manifest is damaged or can't be read are passed over; it has 1"
    expect_absent never
    expect_status 0 basebackup-fetch --backup "$newest" -D "$T/copy"
    rm -rf copy
    expect_status 0 basebackup-fetch -D "$T/copy"
    expect_status 0 recovery-config -D "$T/copy"
    expect_status 1 recovery-window
    expect_output "the newest is $newest"
    chmod 600 "$unread"
    expect_status 0 basebackup-list
    rm -rf copy
fi

step "damaged pages: each file and block is named, nothing becomes visible"
sql main "alter system set autovacuum = off" "select pg_reload_conf()" >/dev/null # it would write over the damage
failed() { # PATTERN OPTION...: the backup fails and says this
    expect_status 1 basebackup-push --checkpoint=fast "${@:2}"
    expect_output "$1"
    expect_equal "backups" $count "$(backups | wc -l)"
    expect_equal "manifests" $count "$(object_list | grep -c 'manifest.json')"
    wait_until 10 "the end of the session" sessions
}
t=$(sql main "select pg_relation_filepath('t')") u=$(sql main "select pg_relation_filepath('u')") v=$(sql main "select pg_relation_filepath('v')")
sql main "checkpoint"
cp "main/$t" whole.t && cp "main/$u" whole.u && cp "main/$v" whole.v
printf 'damage' | dd of="main/$t" bs=1 seek=$((3 * 8192 + 4000)) conv=notrunc status=none
printf 'damage' | dd of="main/$t" bs=1 seek=$((100 * 8192 + 8000)) conv=notrunc status=none
printf '\1' | dd of="main/$u" bs=1 seek=$((8192 + 20)) conv=notrunc status=none
head -c 8192 /dev/zero | dd of="main/$v" bs=8192 seek=5 conv=notrunc status=none # legal: all zero
failed "$t.*block 3[^0-9]"
expect_output "$t.*block 100[^0-9]"
expect_output "$u.*block 1[^0-9]"
expect_output "3 invalid pages"
expect_equal "the page that is all zero" "" "$(grep "$v" <<<"$output" || true)"
# Shifted, wound: wal-g#1140: a whole page in another's place, and the same bytes a little further on.
cp whole.t "main/$t" && cp whole.u "main/$u"
dd if=whole.t of="main/$t" bs=8192 skip=7 seek=5 count=1 conv=notrunc status=none
dd if=whole.t of="main/$t" bs=8 skip=$((9 * 1024)) seek=$((9 * 1024 + 1)) count=1023 conv=notrunc status=none
failed "$t.*block 5[^0-9]"
expect_output "$t.*block 9[^0-9]"
expect_output "2 invalid pages"
# A page that looks new (pd_upper = 0) but is not empty; pd_upper is at 14.
cp whole.t "main/$t"
printf '\0\0' | dd of="main/$u" bs=1 seek=$((2 * 8192 + 14)) conv=notrunc status=none
failed "$u.*block 2[^0-9].*empty page"
cp whole.u "main/$u"
expect_status 0 basebackup-push --checkpoint=fast
count=$((count + 1))
python3 -c 'import json, sys; assert json.loads(sys.argv[1])["backups"][-1]["zero_pages"] >= 1' "$(basebackup-list --json)"
cp whole.v "main/$v"

step "archiving does not work: the segment that is missing is named, and where to look"
sql main "alter system set archive_command = 'false'" "select pg_reload_conf()" >/dev/null
failed "WAL segment [0-9A-F]{24}, which the backup needs, did not arrive in repository \"here\" within 2 seconds"
expect_output "pg_stat_archiver \(last archived: [0-9A-F]{24}.*failures: [0-9]+"
sql main "alter system reset archive_command" "select pg_reload_conf()" >/dev/null

step "another data directory than the server's: an old copy, another cluster"
mkdir -p stale/global && cp main/PG_VERSION stale/ && cp main/global/pg_control stale/global/
sed "s|^pgdata.*|pgdata = $T/stale|" "$CONFIG" >stale.conf && chmod 600 stale.conf
failed "not the one of the server that conninfo leads to" --config "$T/stale.conf"
printf '\1\1\1' | dd of=stale/global/pg_control bs=1 conv=notrunc status=none
failed "pg_control" --config "$T/stale.conf"
sed "s|^conninfo.*|conninfo = host=$T/nowhere|" "$CONFIG" >nowhere.conf && chmod 600 nowhere.conf
failed "could not connect to the server" --config "$T/nowhere.conf"

step "files that come and go while they are read"
mkdir main/churn
while [ ! -e stop ]; do
    for i in 1 2 3 4 5 6 7 8; do head -c $((RANDOM * 20)) /dev/zero >main/churn/$i; done
    rm -f main/churn/[1-4]
    truncate -s 100 main/churn/5
    mkdir -p main/churn/deep/deeper && : >main/churn/deep/deeper/$RANDOM && rm -rf main/churn/deep
done &
churn=$!
backup --checkpoint=fast --jobs 4
: >stop
wait $churn
rm -rf main/churn copy
expect_status 0 basebackup-fetch -D "$T/copy"
expect_status 0 pg_verifybackup -n copy

step "backup mode is over each time: the server's own backup works, and it stops at once"
backup_by_hand main
began=$SECONDS
server_stop main
expect_true "at once, not after $((SECONDS - began)) s" test $((SECONDS - began)) -le "$(slowly 10)"
