#!/bin/bash
# goal: alert rules fire and don't as they should, and ask, like the Grafana dashboard, only for metrics that walferry-status has
# stores: file
# full-stores: s3
# limit: 300
. "$(dirname "$0")/../lib.sh"
command -v promtool >/dev/null || skip "promtool (Debian's package prometheus) is not installed"
packaging=$SOURCE/packaging

step "promtool: the rules, and the tests of each alert"
cp "$packaging"/prometheus/*.yml .
expect_status 0 promtool check rules walferry.rules.yml
expect_status 0 promtool test rules walferry.test.yml walferry.days.test.yml

cat >check.py <<'PY'
"""What rules and dashboard ask for, against the table of docs/monitoring.md. Writes the dashboard's expressions as rules."""
import json, re, sys, yaml
from pathlib import Path
source = Path(sys.argv[1])
page = (source / "docs/monitoring.md").read_text()
labels_of = {}
for name, labels in re.findall(r"^\| `(walferry_[a-z_]+)` \| ([a-z, ]+) \|", page, re.M):
    labels_of[name] = set(labels.split(", ")) | {"cluster"}
assert len(labels_of) > 50, sorted(labels_of)
kinds = set(re.findall(r"^\| `([a-z_]+)` \| (?:repository|cluster) \|", page, re.M))
assert len(kinds) > 10, kinds
programs = set(re.findall(r"/([a-z-]+)", re.search(r"^PROGRAMS = (.*?[^\\])$", (source / "Makefile").read_text(), re.S | re.M).group(1)))

def check(where, expression):
    used = re.findall(r"\b(walferry_[a-z_]+)(?:\{([^}]*)\})?", expression)
    assert used, f"{where}: asks for nothing: {expression}"
    for name, selector in used:
        assert name in labels_of, f"{where}: no such metric: {name}"
        for label, value in re.findall(r'(\w+)\s*[!=]~?\s*"([^"]*)"', selector):
            assert label in labels_of[name], f"{where}: {name} has no label {label}"
            known = {"kind": kinds, "program": programs}.get(label)
            for word in value.split("|"):
                assert known is None or word in known, f"{where}: no such {label}: {word}"
    for clause in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        assert set(clause.replace(" ", "").split(",")) <= {"cluster", "repository"}, f"{where}: {clause}"
    return used

rules = [rule for group in yaml.safe_load(Path("walferry.rules.yml").read_text())["groups"] for rule in group["rules"]]
tests = [test for name in ("walferry.test.yml", "walferry.days.test.yml") for test in yaml.safe_load(Path(name).read_text())["tests"]]
outcomes = {rule["alert"]: set() for rule in rules}
for test in tests:
    for series in test["input_series"]:
        if series["series"] != "up":
            check(test["name"], series["series"])
    for case in test["alert_rule_test"]:
        outcomes[case["alertname"]].add(bool(case["exp_alerts"]))
for rule in rules:
    name, notes = rule["alert"], rule["annotations"]
    check(name, rule["expr"])
    assert rule["labels"]["severity"] in ("critical", "warning"), name
    assert notes["summary"] and notes["action"], name
    assert (source / notes["runbook"]).is_file(), f"{name}: there is no {notes['runbook']}"
    for label in re.findall(r"\$labels\.(\w+)", " ".join(notes.values())):
        assert any(label in labels_of[metric] for metric, _ in check(name, rule["expr"])), f"{name}: no label {label}"
    assert outcomes[name] == {True, False}, f"{name} is not tested both ways"
    assert f"`{name}`" in page, f"{name} is not in docs/monitoring.md"
assert set(re.findall(r"`(Walferry[A-Za-z]+)`", page)) == set(outcomes), "docs/monitoring.md has alerts that are not there"

board = json.loads((source / "packaging/grafana/walferry.json").read_text(), object_pairs_hook=lambda pairs: dict(pairs) if len(dict(pairs)) == len(pairs) else sys.exit(f"twice: {pairs}"))
for member in ("title", "uid", "schemaVersion", "panels", "templating", "time"):
    assert member in board, member
variables = {variable["name"]: variable for variable in board["templating"]["list"]}
assert variables["datasource"]["type"] == "datasource" and variables["datasource"]["query"] == "prometheus"
check("variable cluster", variables["cluster"]["definition"])
taken, ids, expressions, asked = set(), set(), [], set()
for panel in board["panels"]:
    title, place = panel["title"], panel["gridPos"]
    assert panel["type"] in ("row", "stat", "timeseries", "state-timeline") and title, panel
    assert panel["id"] not in ids, title
    ids.add(panel["id"])
    cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
    assert cells and max(x for x, _ in cells) < 24 and not cells & taken, f"{title}: its place"
    taken |= cells
    if panel["type"] == "row":
        continue
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"} and panel["targets"], title
    assert panel["fieldConfig"]["defaults"]["unit"], title
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]), title
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"], title
        for metric, selector in check(title, target["expr"]):
            assert 'cluster="$cluster"' in selector, f"{title}: {metric} of all clusters"
            asked.add(metric)
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
            assert any(label in labels_of[metric] for metric, _ in check(title, target["expr"])), f"{title}: {label}"
        expressions.append(target["expr"].replace("$cluster", "main"))
Path("expressions").write_text("".join(f"{expression}\n" for expression in expressions))
print(f"{len(rules)} alerts, {len(ids)} panels with {len(expressions)} expressions of {len(asked)} metrics, {len(labels_of)} documented")
PY

step "they ask only for what docs/monitoring.md has"
expect_status 0 /usr/bin/python3 check.py "$SOURCE"

step "a Prometheus that has walferry-status's own numbers knows what to answer"
config_write ""
server_create main
expect_status 0 repository-init
expect_status 1 basebackup-push # for a failure to be counted
server_start main
expect_status 0 basebackup-push --checkpoint=fast
archived main
expect_status 0 basebackup-verify --full
mkdir scraped
walferry-status --prometheus scraped/metrics || true # no drill has passed: that is wrong
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
exporter=127.0.0.1:$(port)
python3 -m http.server --bind "${exporter%:*}" --directory scraped "${exporter#*:}" >exporter.log 2>&1 &
exporter_pid=$!
cat >prometheus.yml <<YML
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [walferry.rules.yml]
scrape_configs: [{job_name: walferry, honor_labels: true, static_configs: [{targets: ["$exporter"]}]}]
YML
expect_status 0 promtool check config prometheus.yml
prometheus_address=127.0.0.1:$(port)
prometheus --config.file=prometheus.yml --storage.tsdb.path=tsdb --web.listen-address="$prometheus_address" >prometheus.log 2>&1 &
prometheus_pid=$!
cat >ask.py <<'PY'
import json, sys, urllib.error, urllib.parse, urllib.request
def ask(path, **query):
    url = f"http://{sys.argv[1]}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    try:
        return json.load(urllib.request.urlopen(url, timeout=10))["data"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{query}: {error.read().decode()}")
if sys.argv[2] == "ready":
    sys.exit(not ask("query", query="count_over_time(walferry_ok[1m]) > 2")["result"]) # enough for increase()
if sys.argv[2] == "expressions":
    silent = []
    for line in open("expressions"):
        if not ask("query", query=line)["result"]:
            silent.append(line.strip())
    print("\n".join(silent))
if sys.argv[2] == "rules":
    for rule in ask("rules")["groups"][0]["rules"]:
        assert rule["health"] == "ok", rule
        if rule["state"] != "inactive":
            print(rule["name"])
PY
wait_until 30 "Prometheus to have the numbers" python3 ask.py "$prometheus_address" ready
evaluated() { [ "$(python3 ask.py "$prometheus_address" rules 2>&1)" = "$1" ]; } # ALERTS: that fire, or are about to
wait_until 30 "the rules" evaluated WalferryNeverDrilled # no drill has passed: in a day it fires
python3 ask.py "$prometheus_address" expressions >silent
echo "no answer to:" && sed 's/^/    /' silent
none=drill # what there was none of; a bucket has no disk
[ "$STORE" = file ] || none+='|_disk_'
expect_equal "expressions of the dashboard without an answer" "" "$(grep -Ev "$none" silent || true)"
sed -i 's/^walferry_run_ok{\(.*\)} 1$/walferry_run_ok{\1} 0/; s/^\(walferry_wal_holes{.*}\) 0$/\1 2/' scraped/metrics
wait_until 30 "alerts" evaluated $'WalferryHole\nWalferryBackupFailed\nWalferryNeverDrilled\nWalferryRunFailed'
kill $prometheus_pid $exporter_pid
wait $prometheus_pid $exporter_pid || true
server_stop main
