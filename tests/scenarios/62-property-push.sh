#!/bin/bash
# goal: random sequences of kills, failing stores, restored directories, recycled segments, failovers, lost and foreign memories: what wal-push says is stored is there, as it was
# stores: file s3
# limit: 720
. "$(dirname "$0")/../lib.sh"
program=wal-push
. "$here/property.sh"

if [ "$STORE" = file ]; then
    number=$(((FULL ? 10000 : 500) / slow))
    sequences directory $number
    expect_happened directory $number <<'END'
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
    sequences faults $(((FULL ? 500 : 20) / slow))
else
    while IFS='=' read -r name value; do [ -z "$name" ] || export "$name=$value"; done <<<"$ceph"
    sequences real $(((FULL ? 100 : 10) / slow))
fi
