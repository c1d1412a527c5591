#!/bin/bash
# goal: two nodes under Patroni archive to one repository: a replica is made by walferry, failover and switchover block nothing and overwrite nothing, any instant before, between and behind them comes back, and a clone begins at one
# stores: file
# full-stores: s3
# full-encrypted: file
# full: a minute of failovers; 28-two-nodes has the same promotions without Patroni
# limit: 300
. "$(dirname "$0")/../lib.sh"
command -v patroni patronictl etcd >/dev/null || skip "patroni or etcd is not installed"
patroni=$(command -v patroni)

step "etcd, and two nodes by docs/patroni.md"
read -r etcd peer api1 api2 api3 port1 port2 port3 < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(8)]
print(*(s.getsockname()[1] for s in sockets))')
etcd --data-dir "$T/etcd" --listen-client-urls "http://127.0.0.1:$etcd" --advertise-client-urls "http://127.0.0.1:$etcd" \
    --listen-peer-urls "http://127.0.0.1:$peer" --unsafe-no-fsync >etcd.log 2>&1 &
config_write $'[wal-fetch]\nhistory_wait = 5'
declare -A port=([node1]=$port1 [node2]=$port2 [clone]=$port3) api=([node1]=$api1 [node2]=$api2 [clone]=$api3) pid
page() { # HEADING: the block of docs/patroni.md below it, with this test's names
    awk -v heading="## $1" '/^## / { on = $0 == heading } on' "$SOURCE/docs/patroni.md" | sed -n '/^```yaml$/,/^```$/p' | sed '/^```/d' |
        sed "s|/var/lib/postgresql/15/main|$T/$name|g; s|/usr/bin/\([a-z]*-[a-z]*\)|$PROGRAMS/\1 --config $T/$name.conf|g"
}
node() { # NAME SCOPE [HEADING]: its configuration, and Patroni
    local name=$1
    sed "s|^pgdata.*|pgdata = $T/$name|; s|^conninfo.*|conninfo = host=$T/run/$name port=${port[$name]} user=postgres|; s|^state_dir.*|state_dir = $T/state-$name|" \
        "$CONFIG" >"$name.conf" && chmod 600 "$name.conf"
    mkdir -p "run/$name"
    cat >"$name.yml" <<YML
scope: $2
name: $name
etcd3: {host: 127.0.0.1:$etcd}
restapi: {listen: 127.0.0.1:${api[$name]}, connect_address: 127.0.0.1:${api[$name]}}
YML
    page Archiving >archiving.yml
    page "${3:-Bootstrap}" >bootstrap.yml
    page Replicas >replicas.yml
    # what is the machine's, and quick enough for a test
    /usr/bin/python3 - "$T" "$name" "$PG_BIN" "${port[$name]}" "$INSTANT" <<'PY'
import sys, yaml
t, name, bin_dir, port, instant = sys.argv[1:]
def merge(a, b):
    for key, value in b.items():
        a[key] = merge(a.get(key, {}), value) if isinstance(value, dict) else value
    return a
config = {}
for part in (f"{name}.yml", "archiving.yml", "bootstrap.yml", "replicas.yml"):
    merge(config, yaml.safe_load(open(part).read().replace("2026-11-19 14:29:59+00", instant)))
merge(config, {"bootstrap": {"dcs": {"ttl": 6, "loop_wait": 1, "retry_timeout": 2}}, "postgresql": {
    "listen": f"127.0.0.1:{port}", "connect_address": f"127.0.0.1:{port}", "data_dir": f"{t}/{name}", "bin_dir": bin_dir, "use_unix_socket": True,
    "pgpass": f"{t}/pgpass.{name}", "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "postgres"}},
    "pg_hba": ["local all all trust", "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
    "parameters": {"unix_socket_directories": f"{t}/run/{name}", "fsync": "off", "shared_buffers": "32MB", "logging_collector": "off",
                   "wal_retrieve_retry_interval": "200ms", "log_line_prefix": "%m [%p] "}}})
yaml.safe_dump(config, open(f"{name}.yml", "w"))
PY
    patroni_start "$name"
}
patroni_start() { # NAME
    "$patroni" "$T/$1.yml" >>"$1.log" 2>&1 &
    pid[$1]=$!
}
INSTANT=''
on() { PGPORT=${port[$1]} "${@:2}"; } # NAME COMMAND...
is_primary() { on "$1" sql_is "$1" f "select pg_is_in_recovery()"; }
is_leader() { is_primary "$1" && patronictl -c "$T/$1.yml" list -f tsv | grep -q "$1.*Leader.*running"; }
streams_to() { patronictl -c "$T/$1.yml" list -f tsv | grep -q "$2.*Sync Standby"; } # FROM TO: Patroni knows it, too
archives() { on "$1" archived "$1"; }
refused() { on "$1" sql "$1" "select failed_count from pg_stat_archiver"; }

node node1 pair
wait_until 60 "the first leader" is_leader node1
system=$(system_identifier node1)
expect_true "the repository was made as the cluster was" object_exists "main/cluster.json"
on node1 ledger_create node1
expect_status 0 basebackup-push --config "$T/node1.conf" --checkpoint=fast

step "a replica out of the repository"
node node2 pair
wait_until 60 "the replica" streams_to node1 node2
expect_true "its log says so" grep -q "replica has been created using walferry" node2.log
on node1 ledger_start node1 1
sleep 1
on node1 ledger_instant node1 first
first=$instant
sleep 1
archives node1
expect_equal "node1 was refused" 0 "$(refused node1)"

step "the leader is killed, with its server, while clients commit"
object_sums | grep -Ev '/(reports|notes)/' >before
kill -KILL "${pid[node1]}"
server_kill node1
ledger_stop
wait_until 60 "the next leader" is_leader node2
on node2 ledger node2 >now
expect_equal "acknowledged commits that are lost" "" "$(ledger_acknowledged 1 | LC_ALL=C sort | LC_ALL=C comm -23 - <(LC_ALL=C sort now))"
on node2 ledger_start node2 2
sleep 1
on node2 ledger_instant node2 second
second=$instant
sleep 1
archives node2
expect_true "the second timeline" object_exists "$(wal_key 00000002.history)"

step "the old leader comes back, and takes over again"
patroni_start node1
wait_until 90 "the old leader as a replica" streams_to node2 node1
on node2 ledger_stop
on node2 ledger node2 >committed
expect_status 0 patronictl -c "$T/node1.yml" switchover pair --leader node2 --candidate node1 --force
wait_until 60 "the leader of before" is_leader node1
wait_until 60 "the other one as a replica" streams_to node1 node2
on node1 ledger_start node1 3
sleep 1
on node1 ledger_instant node1 third
third=$instant
sleep 0.5
archives node1
on node1 ledger_stop
on node1 ledger node1 >all
expect_equal "what was committed before the switchover and is lost" "" "$(LC_ALL=C comm -13 <(LC_ALL=C sort all) <(LC_ALL=C sort committed))"
archives node1
for name in node1 node2; do
    expect_equal "$name was refused" 0 "$(refused $name)"
    expect_equal "messages of wal-push" "" "$(grep "wal-push: error" $name.log || true)"
    expect_equal "waiting" "" "$(find $name/pg_wal/archive_status -name '*.ready')"
done

step "nothing was overwritten"
object_sums >after
expect_equal "changed or gone" "" "$(LC_ALL=C comm -23 before after)"

step "any instant comes back, over both promotions"
expect_status 0 recovery-window --config "$T/node1.conf"
restore() { # FILE [OPTION...]
    rm -rf copy
    expect_status 0 basebackup-fetch "${@:2}" -D "$T/copy"
    expect_status 0 recovery-config "${@:2}" ${2:+--action promote} -D "$T/copy"
    : >copy/postgresql.conf # Patroni's, with both nodes' addresses
    server_start copy
    wait_open copy
    expect_ledger copy "$1"
    server_stop copy
}
restore first --target-time "$first"
restore second --target-time "$second"
restore all

step "a cluster of its own that begins at an instant"
INSTANT=$third
node clone clone "A clone at an instant"
wait_until 90 "the clone" is_leader clone
on clone expect_ledger clone third
expect_equal "it does not archive" off "$(on clone sql clone "show archive_mode")"

step "all stop"
kill -TERM "${pid[clone]}" "${pid[node2]}" && wait "${pid[clone]}" "${pid[node2]}"
kill -TERM "${pid[node1]}" && wait "${pid[node1]}"
