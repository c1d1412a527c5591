#!/bin/bash
# goal: a base backup that is taken from a standby is restored to any instant, and one that could not be is refused
# stores: file
# full-stores: s3
# full-versions: file@13 s3@17 file@18 s3@19
. "$(dirname "$0")/../lib.sh"

step "a primary under load, and a standby that streams from it"
config_write $'[basebackup]\nwal_timeout = 60'
server_create main --data-checksums
echo "autovacuum = off" >>main/postgresql.conf # it would write over damaged pages
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
pgbench -i -q -s 1 -h "$T/run/main" >pgbench.log 2>&1
ledger_create main
ledger_start main 1
pg_basebackup -h "$T/run/main" -D standby -R -c fast
server_start standby
config() { # FILE WAL_TIMEOUT LEVEL LINE-OF-[cluster]: the standby's
    sed -e "s|^pgdata.*|pgdata = $T/standby|; s|^conninfo.*|conninfo = host=$T/run/standby user=postgres|; s|^state_dir.*|state_dir = $T/state.standby|" \
        -e "s|^wal_timeout.*|wal_timeout = $2|; s|^\[cluster\]|&\n${4:-}|" "$CONFIG" >"$1"
    printf '[compression]\nlevel = %s\n' "$3" >>"$1"
    chmod 600 "$1"
}
config standby.conf 60 1 "primary_conninfo = host=$T/run/main user=postgres"
config alone.conf 2 1
config slow.conf 60 10 "primary_conninfo = host=$T/run/main user=postgres"
caught_up() { sql_is standby t "select pg_last_wal_replay_lsn() >= '$(sql main "select pg_current_wal_lsn()")'"; }
backups() { basebackup-list --json | grep -c '"id"' || true; }
count=0
backup() { # CONFIG
    expect_status 0 basebackup-push --config "$T/$1" --checkpoint=fast
    id=$(tail -1 <<<"$output")
    count=$((count + 1))
    expect_equal "backups" $count "$(backups)"
}
failed() { # CONFIG PATTERN
    expect_status 1 basebackup-push --config "$T/$1" --checkpoint=fast
    expect_output "$2"
    expect_equal "backups" $count "$(backups)"
}
restored() { # LEDGER [OPTION...]: the backup $id, recovered so far
    rm -rf copy
    expect_status 0 basebackup-fetch --backup "$id" -D "$T/copy" "${@:2}"
    expect_status 0 pg_verifybackup -n copy
    expect_equal "backup_label says so" "BACKUP FROM: standby" "$(grep "^BACKUP FROM" copy/backup_label)"
    object_get "$(object_list | grep -o "main/[^ ]*/$id/manifest.json")" manifest.json
    expect_true "no time until when nothing was committed" test "$(grep -c covered_until manifest.json)" -eq 0
    expect_absent copy/standby.signal
    expect_status 0 recovery-config -D "$T/copy" "${@:2}"
    server_start copy
    if [ $# -gt 1 ]; then wait_paused copy; else wait_open copy; fi
    expect_ledger copy "$1"
    server_stop copy
}

step "a backup under load, restored to an instant after it, to another, and to the end"
sleep 1
backup standby.conf
basebackup-list --json >list.json
expect_true "the manifest says so" grep -q '"from_standby": true' list.json
sleep 1
ledger_instant main one
target=$instant
sleep 1
ledger_stop
ledger main >all
archived main
restored one --target-time "$target"
restored all
began=$(python3 -c 'import json; print(json.load(open("list.json"))["backups"][0]["stop_time"])')
expect_status 1 basebackup-fetch --backup "$id" -D "$T/never" --target-time "$began"
expect_output "not after the end of backup"

step "a standby that is behind: what it has not replayed yet is behind the backup's end"
sql main "insert into ledger values (1, 9, 0, now())"
wait_until 60 "the standby to have everything" caught_up
sql standby "select pg_wal_replay_pause()"
sql main "insert into ledger values (1, 9, 1, now())"
wait_paused standby
sleep 2
ledger_instant main behind
target=$instant
sql main "insert into ledger values (1, 9, 2, now())"
archived main
backup standby.conf
sql standby "select pg_wal_replay_resume()"
restored behind --target-time "$target"

step "an idle primary keeps its last segment: that is said, and how to end it"
wait_until 60 "the standby to have everything" caught_up
sql main "insert into ledger values (2, 0, 0, now())" "checkpoint"
wait_until 60 "the standby to have everything" caught_up
failed alone.conf "did not arrive in repository \"here\" within 2 seconds"
expect_output "hint: .*pg_switch_wal\(\).*primary_conninfo"
backup standby.conf
ledger main >all
restored all
sql main "insert into ledger values (2, 0, 1, now())" "checkpoint"
wait_until 60 "the standby to have everything" caught_up
config patient.conf 60 1
basebackup-push --config "$T/patient.conf" --checkpoint=fast >push.log 2>&1 &
push=$!
wait_until 60 "the end of the copy" grep -q "waiting for WAL segment" push.log
sql main "select pg_switch_wal()" >/dev/null
status=0
wait $push || status=$?
cat push.log
expect_equal "status of a backup for which somebody else switched" 0 $status
count=$((count + 1))

step "several at once, from one restartpoint: each has an id of its own"
several=()
for i in 1 2 3; do
    basebackup-push --config "$T/standby.conf" --checkpoint=fast --jobs 1 >several.$i 2>several.$i.log &
    several+=($!)
done
for push in "${several[@]}"; do wait "$push" || fail "$(cat several.*.log)"; done
count=$((count + 3))
expect_equal "backups" $count "$(backups)"
expect_equal "LSNs where they began" 1 "$(sed 's/.*-//' several.[123] | sort -u | wc -l)"

step "a page that claims to be newer than what the standby has replayed is damaged"
file=$(sql standby "select pg_relation_filepath('pgbench_accounts')")
sql standby "checkpoint"
cp "standby/$file" whole
printf '\xff\xff\xff\xff\xff\xff\xff\x7f' | dd of="standby/$file" bs=8192 seek=5 conv=notrunc status=none
failed standby.conf "invalid page in file \"$file\", block 5: .* page LSN FFFFFFFF/7FFFFFFF"
cp whole "standby/$file"

step "the other server of a configuration is told from the right one"
config wrong.conf 60 1 "primary_conninfo = host=$T/run/standby user=postgres"
failed wrong.conf "primary_conninfo leads to is a standby itself"
server_create other
server_start other
config wrong.conf 60 1 "primary_conninfo = host=$T/run/other user=postgres"
failed wrong.conf "primary_conninfo leads to has the system identifier"
server_stop other
config wrong.conf 60 1 "primary_conninfo = host=$T/nowhere user=postgres"
failed wrong.conf "could not connect.*"
expect_output "hint: .*primary_conninfo"
sed "s|^pgdata.*|pgdata = $T/main|" standby.conf >wrong.conf
failed wrong.conf "is not the one of the server that conninfo leads to"
cp -r standby stale
sql main "insert into ledger values (3, 0, 0, now())" "checkpoint" "select pg_switch_wal()" >/dev/null
wait_until 60 "the standby to have everything" caught_up
sql standby "checkpoint"
sed "s|^pgdata.*|pgdata = $T/stale|" standby.conf >wrong.conf
failed wrong.conf "is not the one of the server that conninfo leads to"

step "WAL without full-page writes in between: the server refuses, and that is said"
interrupted() { # COMMAND...: a backup from the standby is made; the command runs meanwhile
    local status=0 push
    rm -f push.log
    basebackup-push --config "$T/slow.conf" --jobs 1 --checkpoint=fast >push.log 2>&1 &
    push=$!
    wait_until 60 "the backup to begin" grep -q "begins at" push.log
    kill -STOP $push
    "$@"
    kill -CONT $push
    wait $push || status=$?
    cat push.log
    expect_equal "status" 1 $status
    expect_equal "backups" $count "$(backups)"
}
no_full_pages() {
    sql main "alter system set full_page_writes = off" "select pg_reload_conf()" >/dev/null
    wait_until 20 "the setting" sql_is main off "show full_page_writes"
    sql main "checkpoint" "insert into ledger values (4, 0, 0, now())" "checkpoint"
    wait_until 60 "the standby to have everything" caught_up
}
interrupted no_full_pages
expect_true "the server's reason" grep -Eq "full_page_writes=off\"? was replayed" push.log
expect_true "the server's hint" grep -q "hint: .*full_page_writes" push.log
sql main "alter system reset full_page_writes" "select pg_reload_conf()" >/dev/null
wait_until 20 "the setting" sql_is main on "show full_page_writes"
sql main "checkpoint" "insert into ledger values (4, 0, 1, now())"
wait_until 60 "the standby to have everything" caught_up
backup standby.conf

step "promoted in between: no backup, and the next one is the new primary's"
promote() {
    pg_ctl -D standby -s -w -t 60 promote
    wait_open standby
}
pg_basebackup -h "$T/run/standby" -D third -R -c fast
server_start third
sed "s|$T/standby|$T/third|; s|/run/standby|/run/third|; s|state.standby|state.third|" slow.conf >third.conf && chmod 600 third.conf
basebackup-push --config "$T/third.conf" --jobs 1 --checkpoint=fast >third-push.log 2>&1 & # from a standby of the standby
third=$!
wait_until 60 "the backup to begin" grep -q "begins at" third-push.log
kill -STOP $third
interrupted promote
expect_true "it is said" grep -q "error: .*the standby was promoted" push.log
sql standby "insert into ledger values (6, 0, 0, now())" "checkpoint"
followed() {
    sql third "checkpoint"
    sql_is third 2 "select min_recovery_end_timeline from pg_control_recovery()"
}
wait_until 60 "the other standby to follow" followed
kill -CONT $third
status=0
wait $third || status=$?
cat third-push.log
expect_equal "status of a backup that began on another timeline" 1 $status
expect_true "it is said" grep -q "error: .*followed its primary from timeline 1 to timeline 2" third-push.log
expect_equal "backups" $count "$(backups)"
server_stop third
server_stop main
expect_status 0 basebackup-push --config "$T/alone.conf" --checkpoint=fast
count=$((count + 1))
id=$(tail -1 <<<"$output")
expect_true "a new timeline" grep -q -- "-00000002-" <<<"$id"
expect_true "not from a standby" grep -q '"from_standby": false' <<<"$(basebackup-list --json)"
