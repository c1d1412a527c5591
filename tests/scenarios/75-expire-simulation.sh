#!/bin/bash
# goal: years of daily backups, WAL, failovers, wrong clocks, failed and concurrent backups, upgrades, pins, damage, lost manifests and kills, with basebackup-expire each day under changing policies: what a model wants is there and recoverable, what nobody wants is gone
# stores: file
# limit: 600
. "$(dirname "$0")/../lib.sh"

cc -shared -fPIC -o clock.so "$here/clock.c" -ldl
place=$T/place # in memory, where fsync costs nothing
mkdir place
if [ "$(stat -f -c %T "$T")" != tmpfs ] && [ "$(stat -f -c %T /dev/shm)" = tmpfs ] && [ -w /dev/shm ]; then
    place=$(mktemp -d /dev/shm/walferry.XXXXXX)
    trap 'status=$?; set +e; trap - ERR; end_processes_of "$T"; chmod -R u+rwX "$place"; rm -rf "$place"; (exit $status); clean_up' EXIT
fi
slow=1
! grep -q __asan "$(command -v basebackup-expire)" || slow=10
days=$(((FULL ? 10000 : 300) / slow / ${SLOW:-1}))

step "$days days"
"$here/expire-simulation" "$place" "$T/clock.so" "$(command -v basebackup-expire)" "$(command -v basebackup-pin)" "$days" "$SEED" ${SEQUENCE:-} \
    >days.txt 2>&1 || { tail -n 60 days.txt; fail "the simulation"; }
cat days.txt

step "it all happened"
while read -r often what; do
    found=$(awk -v what="$what" '{ number = $1; sub(/^ *[0-9]+ /, "") } $0 == what { print number }' days.txt)
    expect_true "\"$what\", ${found:-0} times" test "${found:-0}" -ge $((often * days / 1000))
done <<'END'
300 backups
10 failed backups
7 heartbeats
1 failover
1 clock_jump
3 pin
1 lose_manifest
3 pinned meanwhile
1 completed meanwhile
3 change_policy
10 kills
7 dry runs
200 objects gone
END
