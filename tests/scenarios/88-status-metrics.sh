#!/bin/bash
# goal: walferry-status gives Prometheus what docs/monitoring.md says, in a textfile and at a real Pushgateway
# stores: file
# full-encrypted: file
# full-stores: s3
# limit: 300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../drill.sh"

value() { # NAME{LABELS}: of textfile/walferry.prom
    grep -F -- "$1 " textfile/walferry.prom | sed 's/.* //'
}
metrics() { # STATUS
    expect_status "$1" walferry-status --prometheus textfile/walferry.prom
    expect_equal "on standard output" "" "$(grep -v '^walferry-status: ' <<<"$output" || true)"
    promtool check metrics <textfile/walferry.prom >lint 2>&1 || fail "promtool: $(cat lint)"
    expect_equal "what promtool does not like" "" "$(cat lint)"
}

step "a cluster with two backups, verified, drilled, with something that failed"
mkdir scratch textfile
drill_section
server_create main --data-checksums --wal-segsize=1
expect_status 0 repository-init
expect_status 1 basebackup-push # the server does not run yet
server_start main
sql main "create table t as select i from generate_series(1, 1000) i"
expect_status 0 basebackup-push --checkpoint=fast
expect_status 0 basebackup-push --checkpoint=fast
system=$(system_identifier main)
expect_status 0 basebackup-verify --full
sql main "insert into t values (0)"
archived main
expect_status 0 restore-drill

step "the textfile: what promtool accepts, for everybody to read, and nothing left beside it"
umask 077
metrics 0
expect_equal "its mode" 644 "$(stat -c %a textfile/walferry.prom)"
expect_equal "files" "textfile/walferry.prom" "$(find textfile -type f)"
labels='{cluster="main",repository="here"}'
expect_equal "ok" 1 "$(value 'walferry_ok{cluster="main"}')"
expect_equal "up" 1 "$(value "walferry_repository_up$labels")"
expect_equal "backups" 2 "$(value "walferry_backups$labels")"
expect_equal "holes" 0 "$(value "walferry_wal_holes$labels")"
expect_equal "objects" "$(raw_list | wc -l | tr -d " ")" "$(value "walferry_repository_objects$labels")"
[ -n "${ENCRYPTED:-}" ] || expect_equal "their size" "$(object_list | awk '{n += $2} END {print n}')" "$(value "walferry_repository_stored_bytes$labels")"
expect_equal "the newest backup" "$(basebackup-list --json | python3 -c 'import json, sys, datetime
b = json.load(sys.stdin)["backups"][-1]
print(b["plain_bytes"], b["duration_seconds"], int(datetime.datetime.fromisoformat(b["stop_time"].replace("Z", "+00:00")).timestamp()))')" \
    "$(value "walferry_backup_newest_bytes$labels") $(value "walferry_backup_newest_duration_seconds$labels" | cut -d. -f1) $(value "walferry_backup_newest_timestamp_seconds$labels" | cut -d. -f1)"
expect_true "the drill's RTO" python3 -c "import sys; sys.exit(not 0 < $(value "walferry_drill_rto_seconds$labels") < 600)"
expect_equal "the drill" 1 "$(value "walferry_drill_ok$labels")"
expect_equal "the verification" 1 "$(value "walferry_verification_ok$labels")"

push='program="basebackup-push"'
expect_equal "runs" "3 1 0" "$(value "walferry_runs_total{cluster=\"main\",$push}") $(value "walferry_run_ok{cluster=\"main\",$push}") $(value "walferry_run_exit_status{cluster=\"main\",$push}")"
expect_equal "that failed" 1 "$(value "walferry_run_failures_total{cluster=\"main\",$push,kind=\"server\"}")"

step "docs/monitoring.md has them all, with these labels, and no others; each has a sample"
python3 - "$SOURCE/docs/monitoring.md" textfile/walferry.prom "$STORE" <<'PY'
import re, sys
documented = {}
for line in open(sys.argv[1]):
    row = re.match(r"\| `(walferry_\w+)` \| ([a-z, ]+) \| ", line)
    if row:
        documented[row[1]] = row[2].split(", ")
text = open(sys.argv[2]).read()
told = set(re.findall(r"^# HELP (\w+) .", text, re.M))
assert told == set(documented), told ^ set(documented)
missing = set(told)
for name, labels in re.findall(r"^(walferry_\w+)\{(.*)\} \S+$", text, re.M):
    assert re.findall(r'(\w+)="', labels) == documented[name], (name, labels)
    missing.discard(name)
of_directories = {"walferry_repository_disk_free_bytes", "walferry_repository_disk_size_bytes"}
assert missing == (set() if sys.argv[3] == "file" else of_directories), missing
kinds = set(re.findall(r"^\| `((?!walferry_)\w+)` \| (?:repository|cluster) \| ", open(sys.argv[1]).read(), re.M))
assert kinds == set(re.findall(r'^walferry_problem\{.*kind="(\w+)"', text, re.M)), kinds
print(len(told), "metrics,", len(kinds), "kinds of problems")
PY

step "a problem is one here, too, and in the exit status; the file that was there is replaced at once"
segment=$(sql main "select pg_walfile_name(pg_current_wal_lsn())")
sql main "insert into t values (2)" "select pg_switch_wal()" "insert into t values (3)" >/dev/null
archived main
object_delete "$(wal_key "$segment")"
printf '\n[wal-fetch]\nhole_wait = 0\n' >>"$CONFIG"
metrics 1
expect_equal "the hole" "1 0 1" "$(value "walferry_wal_holes$labels") $(value 'walferry_ok{cluster="main"}') $(value 'walferry_problem{cluster="main",kind="hole"}')"
expect_status 1 walferry-status --prometheus -
expect_output '^walferry_ok\{cluster="main"\} 0'
expect_status 2 walferry-status --prometheus - --json

step "where it can't be written: told, and the old one stays"
cp textfile/walferry.prom before
chmod 500 textfile
expect_status 3 walferry-status --prometheus textfile/walferry.prom
expect_output "could not create file .*textfile/"
chmod 700 textfile
expect_same "the file" before textfile/walferry.prom

step "a Pushgateway: the group of this cluster is replaced"
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
gateway=127.0.0.1:$(port)
prometheus-pushgateway --web.listen-address="$gateway" >gateway.log 2>&1 & gateway_pid=$!
at_gateway() { python3 -c 'import sys, urllib.request; print(urllib.request.urlopen("http://" + sys.argv[1] + "/metrics", timeout=5).read().decode())' "$gateway" >pushed; }
wait_until 20 "the Pushgateway" at_gateway
expect_status 1 walferry-status --pushgateway "http://$gateway/"
at_gateway
expect_true "it has them" grep -q '^walferry_wal_holes{cluster="main",instance="",job="walferry",repository="here"} 1$' pushed
sed -i 's/^\[repository here\]/[repository there]/' "$CONFIG"
expect_status 1 walferry-status --pushgateway "http://$gateway"
at_gateway
expect_true "it has the new ones" grep -q '^walferry_wal_holes{cluster="main",instance="",job="walferry",repository="there"} 1$' pushed
expect_equal "and not the old ones" 0 "$(grep -c 'repository="here"' pushed || true)"

step "a Pushgateway that is not there, or refuses: told, in bounded time"
kill $gateway_pid
wait $gateway_pid || true
printf '\n[status]\ntimeout = 2\n' >>"$CONFIG"
begun=$SECONDS
expect_status 3 walferry-status --pushgateway "http://$gateway"
expect_output "could not push metrics to \"http://$gateway\""
expect_true "in $((SECONDS - begun)) s" test $((SECONDS - begun)) -le "$(slowly 8)"
server_stop main
