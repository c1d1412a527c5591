# property.sh: random sequences of a program against a model; sourced behind lib.sh by a scenario that has set program, the one
# that tests/property-* drives.
ceph=$(env | grep '^S3_' || true)
. "$here/faults.sh"

step "a cluster, and its home in a repository"
cluster_create
mkdir cluster && mv main/global main/PG_VERSION template cluster/ && rm -rf main target
STORE=file config_write && sed -i "s|^pgdata = .*|pgdata = $T/cluster|" "$CONFIG"
expect_status 0 repository-init
mv repository/main/cluster.json home.json
[ "${S3_SERVER:-}" != swift ] || python3 - "$here" home.json <<'PY'
import json, sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import synthetic
home = json.load(open(sys.argv[2]))
members = {name: value for name, value in home.items() if name not in ("walferry", "kind", "sha256")}
with open(sys.argv[2], "wb") as file:
    file.write(synthetic.document("cluster", **{**members, "put_if_absent": "refused"}))
PY

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
    secret_place "$1.[0-9]"
    "$here/property-${program#wal-}" "$place/$1" "$T/cluster" "$T/home.json" "$(command -v "$program")" "$T/$1" "$1" "$2" "$SEED" ${SEQUENCE:-} >"$1.txt" &&
        status=0 || status=$?
    tail -n 400 "$1.txt"
    [ $status = 0 ] || fail "sequences: $1"
}
# expect_happened KIND NUMBER, with a table on standard input: a sequence in which nothing happens proves nothing. So often in a
# hundred sequences at the least, which is a third of what it is on the average.
expect_happened() {
    local often what found
    [ -z "${SEQUENCE:-}" ] || return 0
    while read -r often what; do
        found=$(awk -v what="$what" '{ number = $1; sub(/^ *[0-9]+ /, "") } $0 == what { print number }' "$1.txt")
        expect_true "$1: \"$what\", ${found:-0} times" test "${found:-0}" -ge $((often * $2 / 100))
    done
}
slow=1 # sanitized programs take ten times as long to start
! grep -q __asan "$(command -v "$program")" || slow=10
