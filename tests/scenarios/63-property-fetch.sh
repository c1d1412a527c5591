#!/bin/bash
# goal: random sequences of kills, helpers that are killed or stopped, damage in the store and to what was read ahead, late segments, holes, forks, two recoveries at once: what wal-fetch hands over is what is archived, else it says why
# stores: file
# limit: 720
. "$(dirname "$0")/../lib.sh"
program=wal-fetch
. "$here/property.sh"

number=$(((FULL ? 10000 : 500) / slow))
sequences directory $number
expect_happened directory $number <<'END'
500 calls, recovery: 0
50 calls, recovery: 1
20 calls, recovery: 200
50 calls, standby: 0
50 calls, standby: 1
20 calls, switch: 1
1 calls, by hand: 0
2 calls, recovery: -15
2 calls, recovery: -9
300 handed over of what was read ahead
60 helpers
4 helper: SIGKILL
2 helper: SIGSTOP
15 damages to what was read ahead
5 found damaged ahead
5 objects damaged
5 new timelines
2 other repositories
10 store failures
END
sequences faults $(((FULL ? 400 : 10) / slow))
