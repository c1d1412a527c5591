#!/bin/bash
# goal: while everything is created, moved, rewritten and dropped, each backup comes back whole to a random instant, and no page is called wrong
# stores: file
# full-versions: s3@17 s3@newest
# limit: 300
. "$(dirname "$0")/../lib.sh"

rounds=3
[ -z "$FULL" ] || rounds=20

chaos_start() { # NAME KIND STATEMENTS: a session that works through them; what does not suit the moment fails, and it goes on
    "$here/chaos" "$2" "$1" "$SEED" "$3" "$rounds" "$major" >"chaos.$1.sql"
    PGAPPNAME=chaos PGHOST=$T/run/main PGOPTIONS='-c allow_in_place_tablespaces=on -c client_min_messages=warning' \
        psql -X -f "chaos.$1.sql" >"chaos.$1.out" 2>"chaos.$1.log" &
    chaos+=($!)
}
chaos_stop() {
    local pid
    for pid in "${chaos[@]}"; do kill "$pid" 2>/dev/null || fail "the chaos came to its end before the test"; done
    for pid in "${chaos[@]}"; do wait "$pid" || true; done
    sql main "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'chaos'" >/dev/null
    wait_until 60 "the end of the chaos" sql_is main 0 "select count(*) from pg_stat_activity where application_name = 'chaos'"
}

# ---- a backup, and back

locations() { # ID: of its tablespaces
    basebackup-list --json | python3 -c 'import json, sys
for backup in json.load(sys.stdin)["backups"]:
    if backup["id"] == sys.argv[1]:
        assert backup["page_errors"] == 0
        print(*[space["location"] for space in backup["tablespaces"]], sep="\n")' "$1"
}
outside_links() { find copy/pg_tblspc -type l -not -lname "$T/copies/*"; }
round() { # NUMBER
    local number times=() fetch location chosen
    step "round $1: a backup"
    mkdir "spaces/$1"
    sql main "create tablespace outside$1 location '$T/spaces/$1'"
    expect_status 0 basebackup-push --checkpoint=fast --jobs 2
    id=$(tail -1 <<<"$output")
    expect_equal "pages called wrong" "" "$(grep -i 'invalid page' <<<"$output" || true)"
    for number in 1 2 3; do
        sleep "0.$((RANDOM % 5))"
        ledger_instant main "instant.$number"
        times[number]=$instant
    done
    chosen=$((1 + RANDOM % 3))
    sleep 0.2 # a commit behind it
    archived main

    step "round $1: back to instant $chosen"
    fetch=(--backup "$id" -D "$T/copy")
    for location in $(locations "$id"); do fetch+=(-T "$location=$T/copies/${location##*/}"); done
    expect_status 0 basebackup-fetch "${fetch[@]}"
    expect_status 0 pg_verifybackup -n -q copy
    expect_status 0 recovery-config -D "$T/copy" --target-time "${times[chosen]}" --action promote
    server_start copy
    wait_open copy
    expect_ledger copy "instant.$chosen"
    expect_status 0 pg_amcheck -h "$T/run/copy" --all --install-missing --heapallindexed --jobs 2
    expect_equal "links to the original's tablespaces" "" "$(outside_links)"
    server_stop copy
    expect_equal "wrong checksums in the copy" 0 "$(pg_checksums -D copy | sed -n 's/^Bad checksums: *//p')"
    rm -rf copy copies copy.log
}

# ---- all of it

step "a server under load; the statements of its chaos come from the seed"
config_write
server_create main --data-checksums
echo "allow_in_place_tablespaces = on" >>main/postgresql.conf # the copies replay it
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
mkdir spaces
pgbench -i -q -s 2 -h "$T/run/main" 2>pgbench.log
ledger_create main
ledger_start main 1
chaos=()
chaos_start one tables $((rounds * 10000))
chaos_start two tables $((rounds * 10000))
chaos_start databases databases $((rounds * 2000))
chaos_start spaces tablespaces $((rounds * 10000))
for number in $(seq $rounds); do round "$number"; done

step "what went on meanwhile"
chaos_stop
ledger_stop
cat chaos.*.out | sed 's/ [0-9 ]*$//' | sort | uniq -c | sort -rn | tee done
for what in "CREATE TABLE" "DROP TABLE" "ALTER TABLE" "TRUNCATE TABLE" VACUUM REINDEX "CREATE DATABASE" "DROP DATABASE" \
    "CREATE TABLESPACE" "DROP TABLESPACE"; do
    expect_true "there was $what" grep -q " $what\$" done
done
expect_equal "servers that crashed" "" "$(grep -h 'PANIC\|was terminated by signal' main.log || true)"

step "the original has not noticed"
expect_status 0 pg_amcheck -h "$T/run/main" --all --install-missing --heapallindexed --jobs 2
ledger_acknowledged 1 >acknowledged
ledger main >found
expect_equal "acknowledged commits that are missing" "" "$(comm -13 <(LC_ALL=C sort found) <(LC_ALL=C sort acknowledged) | head -3)"
server_stop main
expect_equal "wrong checksums" 0 "$(pg_checksums -D main | sed -n 's/^Bad checksums: *//p')"
