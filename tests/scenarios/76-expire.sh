#!/bin/bash
# goal: basebackup-expire and basebackup-pin with a real server: nothing without a policy, a plan first, what stays is restored and recovered; a failover, versions and locks of a real store
# turns: file s3
# full-encrypted: file
. "$(dirname "$0")/../lib.sh"

use() { config_write "$1"; } # LINES of [repository here]
ids() { basebackup-list --json | grep -o '"id": *"[^"]*"' | grep -oE '[0-9]{8}T[^"]*' | paste -sd' '; }
stored() { object_list | sed -n "s|^main/$system/$1\([^ ]*\) .*|\1|p"; } # PREFIX
push() { # rows, WAL and a backup: $id
    sql main "insert into t select generate_series(1, 1000), $1" checkpoint
    archived main
    expect_status 0 basebackup-push --checkpoint=fast
    id=$(tail -1 <<<"$output")
    sql main "insert into t values (0, $1)"
    archived main
}
restored() { # ID ROUNDS [OPTION-OF-RECOVERY-CONFIG]: which rounds are in it
    rm -rf copy
    expect_status 0 basebackup-fetch --backup "$1" -D "$T/copy"
    expect_status 0 recovery-config -D "$T/copy" ${3:+"$3"}
    server_start copy
    [ -z "${3:-}" ] || { wait_paused copy && sql copy "select pg_wal_replay_resume()" >/dev/null; }
    wait_open copy
    expect_equal "rounds" "$2" "$(sql copy "select distinct round from t order by 1" | paste -sd' ')"
    server_stop copy
}

step "policies that contradict themselves"
server_create main --wal-segsize=1
for lines in 'keep_wal = 0' 'keep_wal = 7' 'keep_wal = 30 minutes' 'keep_wal = 7 days and more' 'keep_last = 0' 'keep_daily = -1' \
    'orphan_age = 7 days' $'keep_wal = 7 days\nkeep_for = 6 days'; do
    use "$lines"
    expect_status 2 basebackup-expire
    expect_output "keep_|orphan_age"
done

step "without a policy nothing goes"
use ""
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t (i int, round int)"
for round in 1 2 3 4; do push $round && all[round]=$id; done
object_sums >before
expect_status 0 basebackup-expire
expect_output "has no retention policy: all of it stays"
object_sums >now
expect_same "the repository" before now

step "uploads, or a directory's temporary files, that nobody will finish"
if [ "$STORE" = file ]; then
    unfinished=("main/$system/base/${all[4]}/.0123456789abcdef.walferry-tmp" "main/$system/wal/.0123456789abcdef.walferry-tmp"
        main/.cluster.json.0123456789abcdef.walferry)
    for key in "${unfinished[@]}"; do echo half >"repository/$key"; done
else
    unfinished=("main/$system/base/${all[4]}/main-00000001" "main/$system/wal/0000000100000000/000000010000000000000001" main/probe-0123456789abcdef)
    for key in "${unfinished[@]}"; do s3 request POST "$S3_PREFIX/$key?uploads" >/dev/null; done
fi
left() { # of them
    if [ "$STORE" = file ]; then (cd repository && ls -d -- "${unfinished[@]}" 2>/dev/null | sort | paste -sd' ') || true
    else s3 uploads "$S3_PREFIX/main/" | cut -d' ' -f1 | sed "s|^$S3_PREFIX/||" | grep -xF "$(printf '%s\n' "${unfinished[@]}")" | sort | paste -sd' ' || true; fi
}
object_sums >before

step "a plan, which changes nothing"
use "keep_last = 2"
expect_status 0 basebackup-expire --dry-run
expect_output "goes   backup ${all[1]}"
expect_output "goes   backup ${all[2]}"
expect_output "stays  backup ${all[3]}.*: keep_last"
expect_output "stays  backup ${all[4]}.*: newest, keep_last"
expect_status 0 basebackup-expire --dry-run --json
python3 - "${all[@]}" <<PY
import json, sys
here = json.loads("""$output""")["repositories"][0]
assert here["has_policy"] and here["dry_run"] and here["done"] and here["damaged"] == 0, here
assert [backup["stays"] for backup in here["backups"]] == [False, False, True, True], here
assert [backup["id"] for backup in here["backups"]] == sys.argv[1:], here
assert [one["stays"] for one in here["wal"]] == [False, True] and here["wal"][1]["last"] is None, here
PY
object_sums >now
expect_same "the repository" before now

step "a pin keeps one, with what makes it consistent; the others are recovered on from"
expect_status 0 basebackup-pin "${all[1]}" --reason 'before the "migration"'
expect_output "here: backup ${all[1]} is pinned"
expect_status 0 basebackup-pin "${all[1]}"
expect_output "was pinned already"
expect_status 1 basebackup-pin 20200101T000000Z-00000001-0000000001000028
expect_output "no complete backup"
expect_status 2 basebackup-pin latest
expect_status 0 basebackup-list
expect_output "${all[1]}: pinned on .*: before the \"migration\""
expect_equal "pinned in --json" 1 "$(basebackup-list --json | grep -c '"pinned": true')"
use $'keep_last = 2\nkeep_wal = 1 hour' # the window holds all of them: nothing goes but the WAL before the first
expect_status 0 basebackup-expire
expect_equal "backups" "${all[*]}" "$(ids)"
use "keep_last = 2"
expect_status 0 basebackup-expire
expect_output "stays  backup ${all[1]}.*: pinned"
expect_equal "backups" "${all[1]} ${all[3]} ${all[4]}" "$(ids)"
expect_equal "files of the one that is gone" "" "$(stored "base/${all[2]}")"
restored "${all[1]}" "1" --immediate
restored "${all[3]}" "1 2 3 4"
expect_status 0 basebackup-pin --remove "${all[1]}"
expect_status 0 basebackup-pin --remove "${all[1]}"
expect_output "was not pinned already"
expect_status 0 basebackup-expire
expect_equal "backups" "${all[3]} ${all[4]}" "$(ids)"
expect_equal "notes" "" "$(stored notes/)"
[ "$STORE" = s3 ] || expect_equal "empty directories" "" "$(find "repository/main/$system" -mindepth 2 -type d -empty)"
restored "${all[3]}" "1 2 3 4"
restored "${all[4]}" "1 2 3 4"

step "a backup that verification has found damaged takes no other's place"
part=main/$system/base/${all[4]}/main-00000001
object_get "$part" right
python3 -c 'import sys; text = bytearray(open("right", "rb").read()); text[len(text) // 2] ^= 90; open("wrong", "wb").write(text)'
object_put "$part" wrong
expect_status 1 basebackup-verify --full --backup "${all[4]}"
use "keep_last = 1"
expect_status 0 basebackup-expire
expect_output "stays  backup ${all[3]}.*: newest, keep_last"
expect_output "stays  backup ${all[4]}.*, it was found damaged: keep_last"
expect_equal "backups" "${all[3]} ${all[4]}" "$(ids)"
object_put "$part" right
expect_status 0 basebackup-verify --full --backup "${all[4]}"
expect_status 0 basebackup-expire --dry-run
expect_output "goes   backup ${all[3]}"

step "after a failover: the former timeline goes with its last backup, but for its history"
server_stop main
touch main/standby.signal
server_start main
sql main "select pg_promote()" >/dev/null
wait_open main
push 5
use $'keep_last = 1\norphan_age = 1 hour'
expect_status 0 basebackup-expire
expect_equal "backups" "$id" "$(ids)"
expect_equal "WAL of timeline 1" "" "$(stored wal/00000001)"
expect_equal "the history" ".history" "$(stored wal/00000002 | grep history)"
restored "$id" "1 2 3 4 5"

step "a backup is being taken, by another server's wal-push even: it and its WAL stay"
sql main "insert into t select generate_series(1, 30000), 6"
basebackup-push --checkpoint=spread --max-rate=1MB >push.log 2>&1 &
push=$!
wait_until 60 "its beginning" grep -q " begins at" push.log
running=$(grep -o 'backup [0-9A-Z-]* begins' push.log | cut -d' ' -f2)
expect_status 0 basebackup-expire
expect_output "stays  backup $running, unfinished.*: unfinished"
kill -KILL $push && wait $push || true
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")
expect_status 0 basebackup-expire
restored "$id" "1 2 3 4 5 6"

step "what was never finished goes when it is orphan_age old"
expect_equal "left, without what was in the folder of a backup that went" "$(printf '%s\n' "${unfinished[@]:1}" | sort | paste -sd' ')" "$(left)"
expect_status 0 basebackup-expire --dry-run
expect_output "stays  .*main/$system/wal/.*: younger than orphan_age"
if [ "$STORE" = file ]; then touch -d '2 hours ago' "repository/${unfinished[1]}"
else # through a proxy that makes the store's clock two hours ahead
    python3 - "$S3_ENDPOINT" "$S3_CA" port >proxy.log 2>&1 <<'PY' &
import email.utils, http.client, http.server, os, ssl, sys, time, urllib.parse
class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_request(self):
        store = http.client.HTTPSConnection(urllib.parse.urlsplit(sys.argv[1]).netloc, context=ssl.create_default_context(cafile=sys.argv[2]))
        store.request(self.command, self.path, self.rfile.read(int(self.headers.get("content-length") or 0)), dict(self.headers))
        answer = store.getresponse()
        body = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("date", "content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Date", email.utils.formatdate(time.time() + 7200, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_PUT = do_POST = do_DELETE = do_request
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
open("port.new", "w").write(str(server.server_port))
os.rename("port.new", sys.argv[3])
server.serve_forever()
PY
    proxy=$!
    wait_until 20 "the proxy" test -s port
    sed -i "s|^endpoint = .*|endpoint = http://127.0.0.1:$(<port)|" "$CONFIG"
fi
expect_status 0 basebackup-expire --dry-run
expect_output "goes   .*${unfinished[1]}, .*: never finished"
expect_status 0 basebackup-expire --json
expect_output "\"object\": \"${unfinished[1]}\""
expect_equal "left" "$([ "$STORE" = s3 ] || echo "${unfinished[2]}")" "$(left)"
[ "$STORE" = file ] || { kill $proxy && wait $proxy || true; }
use $'keep_last = 1\norphan_age = 1 hour'

step "a damaged manifest: told, and kept with what it may need"
object_get "main/$system/base/$id/manifest.json" right
sed 's/"timeline":2/"timeline":3/' right >wrong
object_put "main/$system/base/$id/manifest.json" wrong
former=$id
push 7
expect_status 1 basebackup-expire
expect_output "$former.* is damaged"
expect_output "stays  backup $former, damaged"
object_put "main/$system/base/$former/manifest.json" right
restored "$former" "1 2 3 4 5 6 7"
expect_status 0 basebackup-expire
expect_equal "backups" "$id" "$(ids)"

[ "$STORE" = s3 ] || exit 0

step "a bucket that keeps versions: their room is free, too"
bucket=$S3_BUCKET
other() { # BUCKET [lock]
    s3 make-bucket "$1" ${2:+"$2"} || true
    use "$3"
    sed -i "s|^url = s3://[^/]*|url = s3://$1|" "$CONFIG"
    S3_BUCKET=$1
}
other versioned "" $'keep_last = 1\norphan_age = 1 hour'
s3 versioning on
rm -rf state
expect_status 0 repository-init
for round in 8 9; do push $round && all[round]=$id; done
expect_status 0 basebackup-expire
expect_equal "backups" "${all[9]}" "$(ids)"
expect_equal "versions of the one that is gone" "" "$(s3 versions "$S3_PREFIX/main/$system/base/${all[8]}")"
expect_equal "WAL with versions but without a key" "$(s3 list "$S3_PREFIX/main/$system/wal/" | wc -l)" "$(s3 versions "$S3_PREFIX/main/$system/wal/" | wc -l)"
restored "${all[9]}" "1 2 3 4 5 6 7 8 9"

[ "$S3_SERVER" != swift ] || exit 0 # it has no locks

step "object lock: a retention and a legal hold are told and passed over"
other locked-$RANDOM lock $'keep_last = 1\norphan_age = 1 hour'
rm -rf state
expect_status 0 repository-init
for round in 10 11 12; do push $round && all[round]=$id; done
lock() { # KEY KIND DOCUMENT
    local version
    version=$(s3 versions "$S3_PREFIX/main/$system/$1" | head -1 | cut -d' ' -f1)
    printf '%s' "$3" >document
    expect_equal "the answer" 200 "$(s3 request PUT "$S3_PREFIX/main/$system/$1?$2&versionId=$version" document | head -1)"
}
until=$(date -u -d '+60 seconds' +%FT%TZ)
lock "base/${all[10]}/manifest.json" retention "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>$until</RetainUntilDate></Retention>"
lock "base/${all[11]}/main-00000001" legal-hold "<LegalHold><Status>ON</Status></LegalHold>"
expect_status 0 basebackup-expire --dry-run
expect_output "stays  backup ${all[10]}, .*: locked until $until"
expect_output "goes   backup ${all[11]}"
expect_status 0 basebackup-expire
expect_output "backup ${all[10]} is locked until $until"
expect_output "main-00000001\" has a legal hold and stays"
expect_equal "backups" "${all[10]} ${all[12]}" "$(ids)"
restored "${all[10]}" "1 2 3 4 5 6 7 8 9 10 11 12"
lock "base/${all[11]}/main-00000001" legal-hold "<LegalHold><Status>OFF</Status></LegalHold>"
S3_BUCKET=$bucket
