#!/bin/bash
# goal: a backup that holds the WAL it needs passes pg_verifybackup whole and starts alone, whatever is archived, kept or recycled
# stores: file
# full-stores: s3
# full-versions: file@13 s3@17 file@18 s3@19
. "$(dirname "$0")/../lib.sh"

step "a server that archives nothing, under load"
config_write $'[basebackup]\nwal_timeout = 60'
{ cat "$CONFIG" && printf '[compression]\nlevel = 10\n'; } >slow.conf && chmod 600 slow.conf
server_create main --data-checksums
printf 'archive_mode = off\nmax_wal_size = 32MB\nmin_wal_size = 32MB\nwal_recycle = on\n' >>main/postgresql.conf
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
pgbench -i -q -s 1 -h "$T/run/main" >pgbench.log 2>&1
ledger_create main
sessions() { sql_is main 0 "select count(*) from pg_replication_slots"; }
held() { # COMMAND...: a backup with its WAL is made; when it has begun, WAL is written and the command runs. $begun: where
    local status=0 push
    rm -f push.log
    basebackup-push --config "$T/slow.conf" --jobs 1 --checkpoint=fast --wal=include >push.log 2>&1 &
    push=$!
    wait_until 60 "the backup to begin" grep -q "begins at" push.log
    kill -STOP $push
    id=$(sed -n 's/.* backup \([^ ]*\) begins at.*/\1/p' push.log)
    lsn=${id##*-}
    begun=00000001${lsn:0:8}000000${lsn:8:2}
    for _ in 1 2 3 4 5 6; do sql main "insert into ledger values (0, 0, (select count(*) from ledger), now())" "select pg_switch_wal()" "checkpoint" >/dev/null; done
    "$@"
    kill -CONT $push
    wait $push || status=$?
    cat push.log
    return $status
}
alone() { # BEFORE: the backup $id starts without any archive, with all of the ledger BEFORE and nothing that never was
    rm -rf copy
    expect_status 0 basebackup-fetch --backup "$id" -D "$T/copy"
    expect_status 0 pg_verifybackup copy
    expect_equal "WAL among the files of backup_manifest, as in PostgreSQL's own" 0 "$(grep -c '"pg_wal/' copy/backup_manifest || true)"
    printf "archive_mode = off\nrestore_command = ''\n" >>copy/postgresql.auto.conf
    expect_absent copy/recovery.signal copy/standby.signal
    server_start copy
    expect_true "it is no standby" is_open copy
    ledger copy | LC_ALL=C sort >found
    ledger "${2:-main}" | LC_ALL=C sort >now
    expect_equal "entries that are missing" "" "$(LC_ALL=C sort "$1" | comm -23 - found)"
    expect_equal "entries that never were" "" "$(comm -23 found now)"
    sql copy "insert into ledger values (99, 0, 0, now())"
    server_stop copy
}
expect_status 1 basebackup-push --checkpoint=fast
expect_output "archives no WAL"

step "what it writes meanwhile is kept for the backup, and no longer"
ledger_start main 1
sleep 1
ledger_instant main before
kept() { expect_true "$begun is kept" test -e "main/pg_wal/$begun"; }
held kept
ledger_stop
wait_until 10 "the end of the slot" sessions
basebackup-list --json >list.json
expect_true "the manifest says so" grep -q '"wal_included": true' list.json
ledger main >all
alone before
for _ in 1 2 3 4 5 6; do sql main "insert into ledger values (0, 1, (select count(*) from ledger), now())" "select pg_switch_wal()" "checkpoint" >/dev/null; done
expect_absent "main/pg_wal/$begun"

step "a limit of the server's for what a slot may keep: that is said"
sql main "alter system set max_slot_wal_keep_size = '1MB'" "select pg_reload_conf()" >/dev/null
lost() { wait_until 30 "$begun to be recycled" test ! -e "main/pg_wal/$begun"; }
! held lost || fail "a backup without its WAL was completed"
expect_true "it is said" grep -q "error: WAL segment $begun, which the backup needs, is neither in pg_wal nor in a repository" push.log
expect_true "and why" grep -q "hint: .*max_slot_wal_keep_size" push.log
sql main "alter system reset max_slot_wal_keep_size" "select pg_reload_conf()" >/dev/null

step "what lies under a segment's name is another one, or becomes one while it is read"
another() { cp "main/pg_wal/$begun" right && dd if="main/pg_wal/$(sql main "select pg_walfile_name(pg_current_wal_lsn())")" of="main/pg_wal/$begun" status=none; }
! held another || fail "a backup with another segment was completed"
expect_true "it is said" grep -q "error: \".*$begun\" is not the WAL segment that its name says" push.log
cp right "main/pg_wal/$begun"
recycled_in_between() { # at the first read of it, which takes long, since it is full
    segment=main/pg_wal/$(sql main "select pg_walfile_name(pg_current_wal_lsn())")
    sql main "select pg_logical_emit_message(false, '', (select string_agg(md5(i::text), '') from generate_series(1, 450000) i))" "select pg_switch_wal()" >/dev/null
    cp "$segment" right
    python3 - "$segment" >watch.log <<'PYTHON' &
import ctypes, os, sys
libc = ctypes.CDLL(None)
watch = libc.inotify_init()
assert libc.inotify_add_watch(watch, sys.argv[1].encode(), 1) >= 0 # IN_ACCESS
print("ready", flush=True)
os.read(watch, 4096)
with open(sys.argv[1], "r+b") as file:
    file.seek(8) # xlp_pageaddr
    file.write(bytes(8))
PYTHON
    watch=$!
    wait_until 20 "the watcher" grep -q ready watch.log
}
! held recycled_in_between || fail "a backup with a segment that changed was completed"
wait $watch
expect_true "it is said" grep -q "error: WAL segment \".*${segment##*/}\" was recycled while it was read" push.log
cp right "$segment"

step "no slots, and no archive either"
sql main "alter system set max_replication_slots = 0" "alter system set max_wal_senders = 0" >/dev/null
server_stop main
server_start main
expect_status 1 basebackup-push --checkpoint=fast --wal=include
expect_output "pg_create_physical_replication_slot.*refused|refused.*pg_create_physical_replication_slot"

step "no slots, but an archive: what is recycled comes from there"
sql main "alter system set archive_mode = on" >/dev/null
server_stop main
server_start main
ledger main >before
recycled() { archived main && sql main "checkpoint" && lost; }
held recycled
expect_true "it is said" grep -q "gives no replication slot" push.log
alone before
expect_status 0 basebackup-fetch --backup "$id" -D "$T/again"
ledger main >all
archived main
expect_status 0 recovery-config -D "$T/again"
server_start again
wait_open again
expect_ledger again all
server_stop again

step "from a standby of an idle primary: nothing to wait for"
sql main "alter system reset all" "alter system set archive_mode = on" >/dev/null
server_stop main
server_start main
pg_basebackup -h "$T/run/main" -D standby -R -c fast
server_start standby
sed -e "s|^pgdata.*|pgdata = $T/standby|; s|^conninfo.*|conninfo = host=$T/run/standby user=postgres|; s|^state_dir.*|state_dir = $T/state.standby|" \
    -e "s|^wal_timeout.*|wal_timeout = 1|" "$CONFIG" >standby.conf
chmod 600 standby.conf
sql main "insert into ledger values (5, 0, 0, now())" "checkpoint"
caught_up() { sql_is standby t "select pg_last_wal_replay_lsn() >= '$(sql main "select pg_current_wal_lsn()")'"; }
wait_until 60 "the standby to have everything" caught_up
sql standby "checkpoint"
ledger main >all
expect_status 0 basebackup-push --config "$T/standby.conf" --checkpoint=fast --wal=include
id=$(tail -1 <<<"$output")
alone all

step "a delta restore killed before pg_wal is kept: the segments there, which the backup has as well but with less in them, are not taken for its own"
if command -v strace >/dev/null; then
    segment=$(sed -n 's/^START WAL LOCATION: .*(file \(.*\))/\1/p' copy/backup_label.old)
    cp "copy/pg_wal/$segment" newer
    status=0
    ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o trace -e trace=prctl,renameat -e inject=prctl:retval=0 \
        -e inject=renameat:signal=KILL:when=2 basebackup-fetch --backup "$id" -D "$T/copy" --delta >fetch.log 2>&1 || status=$?
    expect_equal "status" 137 $status
    expect_true "it had begun" test -e copy/restore.walferry -a ! -e copy/global/pg_control
    expect_true "pg_wal is still there" cmp newer "copy/pg_wal/$segment"
    expect_status 0 basebackup-fetch --backup "$id" -D "$T/copy" --delta
    expect_true "what was there is kept" cmp newer copy.pg_wal-*/"$segment"
    expect_true "it is not what the backup has" test -n "$(cmp newer "copy/pg_wal/$segment" || true)"
    expect_status 0 pg_verifybackup copy
else
    echo "not tried: strace is not installed"
fi
