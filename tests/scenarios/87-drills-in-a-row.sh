#!/bin/bash
# goal: drill after drill on data that changes meanwhile, from any backup to any instant: no false alarm, and no process, file, port or shared memory left
# stores: file
# full-stores: s3
# limit: 600
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../drill.sh"

step "a writer of numbered rows, and a cluster that changes in other ways, too"
mkdir scratch space
drill_section
server_create main --data-checksums
echo "max_prepared_transactions = 10" >>main/postgresql.conf
expect_status 0 repository-init
server_start main
ledger_create main
sql main "create tablespace space location '$T/space'" "create table t (i int, pad text)" "create database other"
expect_status 0 basebackup-push --quiet --checkpoint=fast
ledger_start main 1

changes=(
    "create table if not exists moved (i int); insert into moved select generate_series(1, 1000); alter table moved set tablespace space"
    "drop table if exists moved"
    "insert into t select i, repeat('x', 2000) from generate_series(1, 300) i; delete from t where i % 2 = 0; vacuum full t"
    "truncate t"
    "begin; insert into t values (0, 'prepared'); prepare transaction 'p$SEED'"
    "rollback prepared 'p$SEED'"
    "drop database if exists other"
    "create database other"
    "create unlogged table if not exists forgotten as select generate_series(1, 1000) i"
    "checkpoint"
)
change() { # one of them; what can't be done now is not
    local statement arguments=()
    IFS=';' read -r -a statements <<<"${changes[RANDOM % ${#changes[@]}]}"
    for statement in "${statements[@]}"; do arguments+=(-c "$statement"); done
    PGOPTIONS="-c lock_timeout=1s" psql -X -q -h "$T/run/main" "${arguments[@]}" >change.log 2>&1 || cat change.log # what is prepared holds locks
}

backups=(latest random oldest) targets=(latest random instant)
rounds=$((FULL ? 200 : 10))
for round in $(seq "$rounds"); do
    step "drill $round of $rounds"
    change
    [ $((round % 7)) != 3 ] || expect_status 0 basebackup-push --quiet --checkpoint=fast
    change
    rows=$(sql main "select count(*) from ledger")
    instant=$(sql main "select clock_timestamp()")
    backup=${backups[RANDOM % 3]} target=${targets[RANDOM % 3]}
    sleep 0.1
    archived main
    # With mmap nothing of the server's is in /dev/shm, where other tests' come and go; ports and segments: drill.sh
    drill_section "check.listens = SELECT current_setting('listen_addresses') =>
check.memory = SELECT current_setting('dynamic_shared_memory_type') => mmap
check.ledger = SELECT count(*) FROM (SELECT client FROM ledger GROUP BY client HAVING max(n) <> count(*)) AS broken => 0
check.rows = SELECT count(*) FROM ledger => $([ "$target" = random ] && echo "0..1000000" || echo ">= $rows")"
    case $target in
    instant) drill 0 --backup "$backup" --target-time "$instant" ;;
    *) drill 0 --backup "$backup" --target-time "$target" ;;
    esac
    expect_equal "of temporary files" "" "$(find tmp -mindepth 1)"
done
ledger_stop
expect_equal "reports" "$rounds" "$(reports '')"
expect_equal "reports of failures" 0 "$(reports '.*failed ')"
expect_equal "unknown files in state_dir" "" "$(find state -type f -printf '%f\n' | grep -Evx "$remembered" || true)"
server_stop main
