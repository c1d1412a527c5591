#!/bin/bash
# goal: what came of a run is noted in state_dir and told to the hook, without secrets; neither changes the exit status
# stores: file
# full-stores: s3
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../drill.sh"

cat >hook <<'HOOK'
#!/bin/bash
echo x >>"$1.calls"
env >"$1.seen"
echo "heard of $WALFERRY_PROGRAM"
HOOK
chmod 755 hook
hooks="[hooks]
on_success = $T/hook 'success' unused
on_failure = $T/hook failure"
configure() { # [LINES]: on_success and on_failure, and these lines
    config_write "$hooks
${1:-}"
}
calls() { if [ -e "$1.calls" ]; then wc -l <"$1.calls"; else echo 0; fi; } # success|failure
# expect_calls SUCCESSES FAILURES: so many since the last time
expect_calls() {
    expect_equal "calls of the hooks" "$1 $2" "$(calls success) $(calls failure)"
    rm -f success.calls failure.calls
}
seen() { sed -n "s/^WALFERRY_$2=//p" "$1.seen"; } # success|failure NAME
noted() { # PROGRAM EXPRESSION: it is so in the note of that program
    python3 - "$T/state/outcome-$1-main.json" "$2" <<'PY' || fail "$1: not so: $2"
import hashlib, json, sys
text = open(sys.argv[1]).read()
assert hashlib.sha256(text[:-78].encode()).hexdigest() == text[-67:-3], "its hash"
d = json.loads(text)
assert d["walferry"] == 1 and d["kind"] == "outcome" and d["cluster"] == "main"
assert eval(sys.argv[2]), d
PY
}

step "a backup: noted, and the hook knows what came of it; its output goes to the log"
configure
server_create main
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
secret "what stands in the environment" s3cr3t-of-the-environment
export AWS_SECRET_ACCESS_KEY=s3cr3t-of-the-environment VAULT_TOKEN=s3cr3t-of-the-environment
export WALFERRY_MESSAGE=inherited WALFERRY_BACKUP=inherited
status=0
basebackup-push --checkpoint=fast --json >result.json 2>push.log || status=$?
cat push.log
expect_equal "status" 0 $status
expect_calls 1 0
id=$(python3 -c 'import json; print(json.load(open("result.json"))["id"])') # and nothing else is on standard output
expect_true "what the hook has said" grep -q "info: on_success: heard of basebackup-push" push.log
expect_equal "backup" "$id" "$(seen success BACKUP)"
expect_equal "message" "" "$(seen success MESSAGE)"
expect_equal "facts" "basebackup-push main 0 0 here  $CONFIG" \
    "$(seen success PROGRAM) $(seen success CLUSTER) $(seen success STATUS) $(seen success SIGNAL) $(seen success DONE) $(seen success NOT_DONE) $(seen success CONFIG)"
expect_equal "stored bytes" "$(python3 -c 'import json; print(json.load(open("result.json"))["stored_bytes"])')" "$(seen success STORED_BYTES)"
expect_equal "a secret that the hook has seen" "" "$(grep -E 's3cr3t|SECRET|TOKEN' success.seen || true)"
noted basebackup-push "d['runs'] == 1 and d['failures'] == 0 and d['errors'] == [] and 'last_failure' not in d"
noted basebackup-push "d['last_success']['backup'] == '$id' and d['last_success']['status'] == 0 and d['last_success']['repositories'] == [{'name': 'here', 'done': True}]"
noted basebackup-push "d['last_success']['bytes'] > d['last_success']['stored_bytes'] > 0 and d['last_success']['started'] < d['last_success']['ended']"
[ "$STORE" = file ] || noted basebackup-push "d['last_success']['requests'] > 5"
unset AWS_SECRET_ACCESS_KEY VAULT_TOKEN WALFERRY_MESSAGE WALFERRY_BACKUP

step "one that fails calls on_failure once; what succeeded before is still known"
server_stop main
expect_status 1 basebackup-push
expect_calls 0 1
expect_equal "facts" "basebackup-push 1 server" "$(seen failure PROGRAM) $(seen failure STATUS) $(seen failure ERROR)"
expect_true "its message" grep -Eq '^WALFERRY_MESSAGE=could not connect to the server: ' failure.seen
expect_true "the last success" grep -Eq '^WALFERRY_LAST_SUCCESS=20..-..-..T..:..:..Z$' failure.seen
noted basebackup-push "d['runs'] == 2 and d['failures'] == 1 and d['errors'] == [{'kind': 'server', 'count': 1}]"
noted basebackup-push "d['last_success']['backup'] == '$id' and 'could not connect' in d['last_failure']['message'] and 'backup' not in d['last_failure']"
server_start main

step "usage errors, once the configuration is read; a signal"
sed -i "s|^conninfo.*|conninfo = nonsense nonsense|" "$CONFIG"
expect_status 2 basebackup-push
expect_calls 0 1
expect_equal "its kind" "2 usage" "$(seen failure STATUS) $(seen failure ERROR)"
configure
expect_status 2 basebackup-push --jobs 0
expect_calls 0 0
sql main "create table wide as select i, repeat(md5(i::text), 60) as t from generate_series(1, 20000) i"
basebackup-push --checkpoint=fast --max-rate=1MB 2>signal.log &
push=$!
wait_until 30 "the backup to begin" grep -q "begins at" signal.log
kill -TERM $push
status=0
wait $push || status=$?
cat signal.log
expect_equal "it is ended by the signal" 143 $status
expect_calls 0 1
expect_equal "its kind" "1 15 interrupted" "$(seen failure STATUS) $(seen failure SIGNAL) $(seen failure ERROR)"
noted basebackup-push "d['last_failure']['signal'] == 15 and d['failures'] == 3"
cp state/outcome-basebackup-push-main.json before
basebackup-push --checkpoint=fast --max-rate=1MB 2>signal.log &
push=$!
wait_until 30 "the backup to begin" grep -q "begins at" signal.log
kill -KILL $push
wait $push || true
expect_calls 0 0
expect_same "a killed one leaves what was there" before state/outcome-basebackup-push-main.json

step "verify, expire, sync"
expect_status 0 basebackup-verify
expect_calls 1 0
noted basebackup-verify "d['last_success']['mode'] == 'quick' and d['last_success']['bytes'] == 0"
expect_status 0 basebackup-verify --full
expect_calls 1 0
expect_equal "mode" full "$(seen success MODE)"
noted basebackup-verify "d['last_success']['mode'] == 'full' and d['last_success']['bytes'] > 100000"
manifest=main/$system/base/$id/manifest.json
object_get "$manifest" kept
head -c 100 kept >shortened
object_put "$manifest" shortened
expect_status 1 basebackup-verify
expect_calls 0 1
expect_equal "its kind" "damage here" "$(seen failure ERROR) $(seen failure NOT_DONE)"
object_put "$manifest" kept
expect_status 0 basebackup-expire
expect_calls 1 0
noted basebackup-expire "d['last_success']['repositories'] == []" # it has no policy
expect_status 0 basebackup-expire --dry-run
expect_calls 0 0
noted basebackup-expire "d['runs'] == 1"
mkdir other
configure "[repository other]
url = file://$T/other"
expect_status 0 repository-init --repository other
expect_status 0 repository-sync --from here --to other --dry-run
expect_calls 0 0
expect_absent state/outcome-repository-sync-main.json
expect_status 0 repository-sync --from here --to other
expect_calls 1 0
noted repository-sync "d['last_success']['repositories'] == [{'name': 'other', 'done': True}] and d['last_success']['bytes'] > 0"
mv other gone
expect_status 1 repository-sync --from here --to other
expect_calls 0 1
noted repository-sync "d['last_failure']['error'] == 'store'"

step "dumps"
configure "[dump]
pg_bin = $PG_BIN"
expect_status 0 dump-push --quiet
expect_calls 1 0
dump=$(tail -1 <<<"$output")
noted dump-push "d['last_success']['backup'] == '$dump' and d['last_success']['bytes'] > d['last_success']['stored_bytes'] > 0"
expect_status 0 dump-verify
expect_calls 1 0
noted dump-verify "d['last_success']['repositories'] == [{'name': 'here', 'done': True}]"
expect_status 0 dump-expire --dry-run
expect_calls 0 0
expect_status 0 dump-expire
expect_calls 1 0
noted dump-expire "d['runs'] == 1"
expect_status 1 dump-push --database nowhere
expect_calls 0 1
noted dump-push "d['last_failure']['status'] == 1 and 'nowhere' in d['last_failure']['message']"

step "a drill: one that passes, one whose step fails"
mkdir scratch
drill_lines="[drill]
scratch = $T/scratch
scan = none
pg_bin = $PG_BIN"
configure "$drill_lines"
expect_status 0 restore-drill --quiet
expect_calls 1 0
noted restore-drill "d['last_success']['backup'] == '$id' and d['last_success']['bytes'] > 1000000 and d['last_success']['repositories'] == [{'name': 'here', 'done': True}]"
configure "$drill_lines
check.one = select 1 => 2"
expect_status 1 restore-drill --quiet
expect_calls 0 1
noted restore-drill "d['last_failure']['error'] == 'drill' and d['last_failure']['message'].startswith('checks: ')"

step "hooks that hang, fail or are not there: a warning, and the exit status is that of the work"
ends() { # PATTERN HOOKS: a verification with them
    config_write "[hooks]
$2"
    expect_status 0 basebackup-verify
    expect_output "$1"
}
ends "warning: could not run on_success .*nowhere" "on_success = $T/nowhere"
ends "warning: on_success .* failed with exit status 3" "on_success = sh -c 'exit 3'"
ends "on_success: \[a b\]\[\\\$HOME\]" "on_success = printf '[%s]' 'a b' \$HOME" # there is no shell
began=$SECONDS
ends "warning: gave on_success .* up: it took too long" "on_success = sh -c 'sleep 7791 & sleep 7791'
timeout = 1"
expect_true "not long after its time" test $((SECONDS - began)) -lt "$(slowly 15)"
expect_equal "what it has left" "" "$(pgrep -f '^sleep 7791' || true)"
config_write "[hooks]
on_failure = 'not closed"
expect_status 2 basebackup-verify
expect_output "\[hooks\] on_failure is no command: a quote in it is not closed"

step "no place for the note: a warning at most"
configure
mkdir state/keep && rm state/outcome-basebackup-verify-main.json && mv state/keep state/outcome-basebackup-verify-main.json
expect_status 0 basebackup-verify
expect_calls 1 0
expect_output "warning: could not note the outcome of this run"
rmdir state/outcome-basebackup-verify-main.json
mv state aside
expect_status 0 basebackup-verify
expect_calls 1 0
# whoever runs this may not be the archiver, whose directory it is; keys of S3 are remembered there
[ "$STORE" = s3 ] || expect_absent state
rm -rf state
mv aside state
noted basebackup-push "d['runs'] == 4"
expect_equal "notes of archive_command" "" "$(find state -name 'outcome-wal-*')"
server_stop main
