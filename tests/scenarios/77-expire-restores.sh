#!/bin/bash
# goal: days of a real server pass, with backups, failovers and basebackup-expire each night under changing policies; each day something is restored: an instant of keep_wal, or a backup as it was at its end
# stores: file
# limit: 480
. "$(dirname "$0")/../lib.sh"

cc -shared -fPIC -o clock.so "$here/clock.c" -ldl
advance() { # SECONDS: of every program's clock but this shell's
    ahead=$((ahead + $1))
    python3 -c 'import struct, sys; open("clock", "r+b").write(struct.pack("<q", int(sys.argv[1]) * 1000000))' "$ahead"
}
now() { date -u +%s; } # by that clock
one_of() { awk -v random=$((RANDOM * 32768 + RANDOM)) '{ lines[NR] = $0 } END { if (NR) print lines[random % NR + 1] }'; } # a line
ahead=0
head -c 8 /dev/zero >clock
export WALFERRY_TEST_CLOCK=$T/clock LD_PRELOAD=$T/clock.so ASAN_OPTIONS=verify_asan_link_order=0

age_objects() { # the store's clock is the same: what is new gets its time
    find repository -type f -cnewer stamp -exec touch -d "@$(now)" {} +
    LD_PRELOAD='' touch stamp
}
promote() {
    server_stop main
    touch main/standby.signal
    server_start main
    sql main "select pg_promote()" >/dev/null
    wait_open main
}
rows=0
work() { # some commits, each some minutes behind the other; what is there at the instant between two: "TIME ROWS" in instants
    local i
    for i in 1 2 3 4; do
        advance $((RANDOM % 3000 + 600))
        rows=$((rows + 1))
        sql main "insert into t values ($rows, clock_timestamp())"
        advance 300
        echo "$(sql main "select extract(epoch from clock_timestamp())") $rows" >>instants
    done
    advance 300
    sql main "insert into mark values (clock_timestamp())" # a commit behind the last instant
    archived main
}
recovered() { # ROWS TARGET-OPTION...: to there
    local options=("${@:2}")
    expect_status 0 basebackup-fetch --quiet -D "$T/copy" "${options[@]}"
    [ "${options[0]}" != --backup ] || options=(--immediate)
    expect_status 0 recovery-config --quiet -D "$T/copy" "${options[@]}"
    server_start copy
    wait_paused copy
    expect_equal "rows at ${*:2}" "$1" "$(sql copy "select count(*) from t")"
    server_stop copy immediate
    rm -rf copy
}
some_instant() { # of keep_wal, behind the end of the first backup
    awk -v from="$(($(now) - window))" -v first="$first_end" '$1 > from && $1 > first' instants | one_of
}

step "a server on a clock of its own"
policies=($'keep_wal = 1 day' $'keep_wal = 2 days\nkeep_last = 3' $'keep_wal = 36 hours\nkeep_daily = 4\nkeep_weekly = 2' $'keep_wal = 1 day\nkeep_for = 4 days')
windows=(86400 172800 129600 86400)
config_write "${policies[0]}"
server_create main --wal-segsize=1
printf 'autovacuum = off\ncheckpoint_timeout = 1d\n' >>main/postgresql.conf
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t (n int, at timestamptz)" "create table mark (at timestamptz)"
touch stamp
: >instants && : >ends
gone=0
for day in $(seq $((FULL ? 300 : 10))); do
    step "day $day"
    work
    if [ $((RANDOM % 4)) != 0 ] || [ "$day" = 1 ]; then
        expect_status 0 basebackup-push --quiet --checkpoint=fast
        echo "$(tail -1 <<<"$output") $(sql main "select extract(epoch from clock_timestamp())") $rows" >>ends
        first_end=$(head -1 ends | cut -d' ' -f2)
    fi
    [ $((day % 4)) != 3 ] || promote
    work
    advance $((RANDOM % 30000 + 30000))
    age_objects
    choice=$((RANDOM % 4)) && config_write "${policies[choice]}" && window=${windows[choice]}
    expect_status 0 basebackup-expire
    gone=$((gone + $(sed -n 's/^ *\([0-9]*\) objects were removed/\1/p' <<<"$output")))
    expect_status 0 basebackup-verify --quiet # what has expired is no hole
    read -r instant count <<<"$(some_instant)"
    kept=$(ls repository/main/"$system"/base)
    if [ $((RANDOM % 3)) = 0 ] || [ -z "$instant" ]; then
        read -r id _ count <<<"$(grep -F "$kept" ends | one_of)"
        recovered "$count" --backup "$id"
    else
        recovered "$count" --target-time "$(LD_PRELOAD='' date -u -d "@$instant" '+%F %T.%6N')+00"
    fi
done
expect_true "objects went ($gone)" test "$gone" -ge $((day * 2))
