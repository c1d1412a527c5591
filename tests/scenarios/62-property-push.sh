#!/bin/bash
# goal: random sequences of kills, failing stores, restored directories, recycled segments, failovers, lost and foreign memories: what wal-push says is stored is there, as it was
# stores: file s3
# limit: 600
. "$(dirname "$0")/../lib.sh"
ceph=$(env | grep '^S3_' || true)
. "$here/faults.sh"

step "a cluster, and its home in a repository"
cluster_create
mkdir cluster && mv main/global main/PG_VERSION template cluster/ && rm -rf main target
STORE=file config_write && sed -i "s|^pgdata = .*|pgdata = $T/cluster|" "$CONFIG"
expect_status 0 repository-init
mv repository/main/cluster.json home.json

# In memory, where fsync costs nothing and there is room.
place=$T/place
mkdir place
if [ "$(stat -f -c %T "$T")" != tmpfs ] && [ "$(stat -f -c %T /dev/shm)" = tmpfs ] && [ -w /dev/shm ] &&
    [ "$(df --output=avail -k /dev/shm | tail -1)" -gt 300000 ]; then
    place=$(mktemp -d /dev/shm/walferry.XXXXXX)
    trap 'status=$?; set +e; trap - ERR; end_processes_of "$T"; chmod -R u+rwX "$place"; rm -rf "$place"; (exit $status); clean_up' EXIT
fi
sequences() { # KIND NUMBER
    step "$2 sequences: $1"
    mkdir "$place/$1"
    "$here/property-push" "$place/$1" "$T/cluster" "$T/home.json" "$(command -v wal-push)" "$T/$1" "$1" "$2" "$SEED" ${SEQUENCE:-} >"$1.txt" &&
        status=0 || status=$?
    tail -n 400 "$1.txt"
    [ $status = 0 ] || fail "sequences: $1"
}
# expect_happened KIND NUMBER: a sequence in which nothing happens proves nothing. So often in a hundred sequences at the least,
# which is a third of what it is on the average.
expect_happened() {
    local often what found
    [ -z "${SEQUENCE:-}" ] || return 0
    while read -r often what; do
        found=$(awk -v what="$what" '{ number = $1; sub(/^ *[0-9]+ /, "") } $0 == what { print number }' "$1.txt")
        expect_true "$1: \"$what\", ${found:-0} times" test "${found:-0}" -ge $((often * $2 / 100))
    done <<'END'
500 pushes: 0
80 pushes: 1
250 pushes of what was stored ahead
300 segments stored ahead
40 "other content"
40 "was in repository"
3 "changed while it was read"
10 pushes: -9
5 pushes: -15
30 orphans: 0
15 orphans: 1
50 segments recycled
3 data directory restored (in place)
2 data directory restored (new files)
2 data directory restored (snapshot)
2 data directory restored (tar)
10 new timelines
10 restarts
2 other repositories
3 state_dir copied from elsewhere
12 state_dir damaged
20 state_dir lost
40 store failures
END
}
slow=1 # sanitized programs take ten times as long to start
! grep -q __asan "$(command -v wal-push)" || slow=10

if [ "$STORE" = file ]; then
    number=$(((FULL ? 10000 : 500) / slow))
    sequences directory $number
    expect_happened directory $number
    sequences faults $(((FULL ? 500 : 20) / slow))
else
    while IFS='=' read -r name value; do [ -z "$name" ] || export "$name=$value"; done <<<"$ceph"
    sequences real $(((FULL ? 100 : 10) / slow))
fi
