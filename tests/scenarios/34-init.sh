#!/bin/bash
# goal: only repository-init makes a repository, and says what is there; a cluster's next generation; --log-json, --quiet, postgresql.conf.sample
# stores: file s3
# encrypted: file
. "$(dirname "$0")/../lib.sh"

step "made once; then it says what is there, and touches nothing"
config_write
server_create main --wal-segsize=1
system=$(system_identifier main)
echo "wal_keep_size = 200MB" >>main/postgresql.conf # segments stay to be pushed again
[ "$STORE" = s3 ] || rmdir repository # it may make the directory, too
expect_status 0 repository-init
expect_output "^here: made "
expect_output "cluster main, system $system, PostgreSQL $major, segments of 1 MiB, accepted 20"
[ "$STORE" = s3 ] || expect_equal "mode of the directory" 700 "$(stat -c %a repository)"
object_sums >before
for again in 1 2; do
    expect_status 0 repository-init
    expect_output "^here: there already"
    expect_output "system $system"
done
object_sums >now
expect_same "the repository" before now
expect_equal "objects" main/cluster.json "$(object_list | cut -d' ' -f1)"

step "--probe asks the store again, and what is stored stays right"
expect_status 0 repository-init --probe
expect_output "^here: probed again"
expect_status 0 repository-init
expect_output "there already"
expect_equal "objects" main/cluster.json "$(object_list | cut -d' ' -f1)"

step "which cluster? pgdata is needed, and must be one"
sed '/^pgdata/d' "$CONFIG" >other.conf && chmod 600 other.conf
expect_status 2 repository-init --config "$T/other.conf"
expect_output "no \[cluster\] pgdata"
sed "s|^pgdata.*|pgdata = $T/run|" "$CONFIG" >other.conf
expect_status 2 repository-init --config "$T/other.conf"
expect_output "is no data directory"

step "one of two cannot be made: 1, the other is"
{ cat "$CONFIG" && printf '[repository broken]\nurl = file:///proc/nowhere\n[repository third]\nurl = file://%s\n' "$T/third"; } >other.conf
expect_status 1 repository-init --config "$T/other.conf"
expect_output "^here: there already"
expect_output "^third: made"
expect_true "the third" test -s third/main/cluster.json

step "a mistyped prefix or name is never a new home, for nobody"
server_start main
sql main "create table t (i int)" "insert into t values (1)"
expect_status 0 basebackup-push --checkpoint=fast
first=$(tail -1 <<<"$output")
sql main "insert into t values (2)"
archived main
expect_status 0 basebackup-fetch -D "$T/copy"
segment=$(basename "$(find main/pg_wal -maxdepth 1 -name '0*' | sort | head -1)")
mkdir -p target/pg_wal target/global repositoryx
cp main/global/pg_control target/global/ && cp main/PG_VERSION target/ && touch target/recovery.signal
everywhere() { if [ "$STORE" = file ]; then find repository* | sort; else s3 list "$S3_PREFIX"; s3 list "${S3_PREFIX}x"; fi; }
everywhere >before
mistyped() { # SED-SCRIPT
    sed "$1" "$CONFIG" >other.conf
    export WALFERRY_CONFIG=$T/other.conf
    expect_status 1 wal-push "main/pg_wal/$segment"
    expect_output "no walferry repository here"
    expect_output "repository-init"
    expect_status 1 basebackup-push --checkpoint=fast
    expect_output "no walferry repository here"
    expect_status 1 basebackup-list
    expect_status 1 basebackup-fetch -D "$T/never"
    expect_status 200 wal-fetch "$segment" "$T/target/pg_wal/RECOVERYXLOG"
    expect_status 200 wal-fetch 00000009.history "$T/target/pg_wal/RECOVERYHISTORY"
    expect_status 1 recovery-config -D "$T/copy" --target-time "$(date -u '+%F %T')+00"
    expect_status 1 repository-check
    export WALFERRY_CONFIG=$CONFIG
    everywhere >now
    expect_same "all that is stored" before now
    expect_absent never copy/recovery.signal
}
mistyped 's|^url = .*|&x|'
mistyped 's|^name = main|name = mian|'

step "--log-json: every line of every program is one JSON object"
json() { # STATUS COMMAND...
    local status=0
    "$2" --log-json "${@:3}" >out 2>messages || status=$?
    expect_equal "status of ${*:2}" "$1" $status
    expect_true "${*:2} says something" test -s messages
    python3 - "$2" <<'PY' || fail "not JSON: $(cat messages)"
import datetime, json, sys
for line in open("messages", encoding="utf-8"):
    message = json.loads(line)
    assert list(message) == ["time", "program", "level", "message"] and message["program"] == sys.argv[1], message
    assert message["level"] in ("debug", "info", "warning", "error", "hint") and message["message"], message
    datetime.datetime.strptime(message["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
PY
}
json 1 wal-push --verbose $'no/such "place"\\ \t\xff\n/'"$segment"
json 0 wal-push --verbose "main/pg_wal/$segment"
json 2 wal-push --nonsense
json 1 wal-fetch 00000009.history "$T/target/pg_wal/RECOVERYHISTORY" --verbose
json 200 wal-fetch nonsense pg_wal/RECOVERYXLOG
json 1 basebackup-push --checkpoint=fast --label $'"\\\xfe' # the server refuses what is not in its encoding
json 0 basebackup-push --checkpoint=fast --label '"\ ü'
json 1 basebackup-list --repository here --config "$T/other.conf"
json 0 basebackup-fetch -D "$T/json"
json 0 recovery-config -D "$T/json"
json 1 recovery-config -D "$T/main"
sed "s|^pgdata.*|pgdata = $T/run|" "$CONFIG" >other.conf
json 2 repository-init --config "$T/other.conf"

step "--quiet: nothing on standard error but errors"
quiet() { # LINES-ON-STANDARD-OUTPUT COMMAND...
    "${@:2}" --quiet >out 2>err || fail "$* failed: $(cat err)"
    expect_equal "standard error of ${*:2}" "" "$(cat err)"
    expect_equal "lines on standard output of ${*:2}" "$1" "$(wc -l <out)"
}
quiet 0 wal-push "main/pg_wal/$segment"
quiet 0 wal-fetch "$segment" "$T/target/pg_wal/RECOVERYXLOG"
quiet 1 basebackup-push --checkpoint=fast
rm -rf json
quiet 0 basebackup-fetch -D "$T/json"
quiet 0 recovery-config -D "$T/json"
expect_status 2 wal-push --quiet main/pg_wal/nonsense
expect_output "wal-push: error:"
server_stop main

step "a new initdb in place of the old cluster: refused until it is accepted as the next generation"
mv main former
rm -rf copy json
server_create main # with segments of another size
next=$(system_identifier main)
rmdir main/pg_wal/archive_status # which would say that the segment is not finished
object_sums >before
expect_status 1 wal-push "main/pg_wal/000000010000000000000001"
expect_output "home of another cluster: system $next is not accepted.*"
expect_output "add-generation"
expect_status 1 repository-init
expect_output "there already, for another system"
expect_output "give it another \[cluster\] name"
object_sums >now
expect_same "the repository" before now
expect_status 0 repository-init --add-generation
expect_output "a new generation was added"
expect_output "system $system, PostgreSQL $major, segments of 1 MiB"
expect_output "system $next, PostgreSQL $major, segments of 16 MiB"
expect_status 0 repository-init --add-generation # once more: there already
expect_output "there already"
object_sums | grep -v cluster.json >now
expect_same "all but cluster.json" <(grep -v cluster.json before) now

step "the new generation archives and is backed up; the old one's backup is still restored and recovered"
server_start main
sql main "create table t (i int)" "insert into t values (100)"
expect_status 0 basebackup-push --checkpoint=fast
second=$(tail -1 <<<"$output")
sql main "insert into t values (200)"
archived main
basebackup-list --json | python3 -c 'import json, sys
systems = {b["id"]: b["system_identifier"] for b in json.load(sys.stdin)["backups"]}
assert systems[sys.argv[1]] == sys.argv[3] and systems[sys.argv[2]] == sys.argv[4], systems' "$first" "$second" "$system" "$next"
recovered() { # ID ROWS
    rm -rf copy
    expect_status 0 basebackup-fetch --backup "$1" -D "$T/copy"
    expect_status 0 recovery-config -D "$T/copy" --target-lsn "$(backup_end copy)" --dry-run
    expect_status 0 recovery-config -D "$T/copy"
    server_start copy
    wait_open copy
    expect_equal "rows" "$2" "$(sql copy "select i from t order by 1" | paste -sd' ')"
    server_stop copy
}
recovered "$second" "100 200"
recovered "$first" "1 2"
rm -rf copy
expect_status 0 basebackup-fetch -D "$T/copy"
expect_output "backup $second, "
server_stop main

step "postgresql.conf.sample: a server takes every line, also those that are commented out"
sed 's/^#\([a-z_]* = \)/\1/; s,/usr/local/bin/,,' "$SOURCE/postgresql.conf.sample" >sample.conf # nothing is installed here
[ "$major" -ge 15 ] || sed -i '/^archive_library/d; s/lz4/on/' sample.conf
settings=$(grep -c '^[a-z_]* = ' sample.conf)
expect_true "at least 20 settings, not $settings" test "$settings" -ge 20
expect_equal "other lines" "" "$(grep -v '^#' sample.conf | grep -v '^[a-z_]* = ' | grep . || true)"
echo "include '$T/sample.conf'" >>main/postgresql.conf
: >main.log
server_start main
expect_equal "settings in force" "$settings|0" "$(sql main "select count(*), count(*) filter (where error is not null or not applied)
    from pg_file_settings where sourcefile = '$T/sample.conf'")"
expect_equal "unknown settings" 0 "$(grep -c 'unrecognized\|invalid' main.log || true)"
sql main "insert into t values (300)"
archived main # archive_command as it stands there
