#!/bin/bash
# goal: whoever may write and delete puts delete markers over a locked bucket's objects, and other contents: as_of reads what was there before, restores from it, recovers to a time, and copies it into a clean bucket; nothing is written meanwhile
# stores: s3
# limit: 240
. "$(dirname "$0")/../lib.sh"

bucket=ransom-$RANDOM clean=clean-$RANDOM
lock=$'object_lock = compliance\nobject_lock_days = 1\n'
if [ "$S3_SERVER" = swift ]; then # no locks: this attacker may not delete versions
    lock=
    s3 make-bucket "$bucket"
    s3 -b "$bucket" versioning on
else
    s3 make-bucket "$bucket" lock
fi
s3 make-bucket "$clean"

step "a server that archives to a bucket with object lock, and a backup"
config_write "${lock}keep_wal = 7 days"
sed -i "s|^url = s3://[^/]*|url = s3://$bucket|" "$CONFIG"
cp "$CONFIG" whole.conf
server_create main
server_start main
system=$(system_identifier main)
expect_status 0 repository-init
expect_status 0 repository-check
sql main "create table t as select generate_series(1, 1000) i"
expect_status 0 basebackup-push --checkpoint=fast
backup=$(basebackup-list --json | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p')
sql main "insert into t select generate_series(1001, 2000)"
sleep 1
instant=$(sql main "select clock_timestamp()")
sleep 1
sql main "delete from t where i <= 1500"
archived main
sleep 2 # versions are told to the second
before=$(date -u +'%F %T+00')
sleep 2
basebackup-list >list.before
object_keys() { s3 -b "$bucket" list "$S3_PREFIX/" | cut -d' ' -f1; }
object_keys >keys
expect_true "there are objects" test "$(wc -l <keys)" -gt 5

step "what is locked: WAL, parts and documents; not what is replaced"
retention() { s3 -b "$bucket" request GET "$1?retention" | grep -o 'COMPLIANCE\|NoSuchObjectLockConfiguration' || true; }
while read -r key; do
    [ -n "$lock" ] || break
    case $key in *heartbeat.json | */index/*) expected=NoSuchObjectLockConfiguration ;; *) expected=COMPLIANCE ;; esac
    expect_equal "the lock of $key" "$expected" "$(retention "$key")"
done <keys

step "the attack: each object is deleted or overwritten, versions as far as the store lets go of them"
echo "pay us" >note
turn=0
while read -r key; do
    turn=$((turn + 1))
    case $((turn % 3)) in
    0) s3 -b "$bucket" delete "$key" ;;
    1) s3 -b "$bucket" put "$key" note ;;
    2) s3 -b "$bucket" put "$key" note && s3 -b "$bucket" delete "$key" ;;
    esac
    s3 -b "$bucket" versions "$key" | while read -r version _ name; do
        [ "$name" != "$key" ] || [ -z "$lock" ] || s3 -b "$bucket" delete "$key" "$version" 2>/dev/null || true
    done
    [ $((turn % 3)) != 0 ] || s3 -b "$bucket" delete "$key"
    [ $((turn % 3)) != 1 ] || s3 -b "$bucket" put "$key" note
    [ $((turn % 3)) != 2 ] || s3 -b "$bucket" put "$key" note
done <keys
s3 -b "$bucket" put "$S3_PREFIX/main/$system/wal/0000000100000000/0000000100000000000000F0" note # later, and nobody's
rm -rf state
expect_status 1 basebackup-list
s3 -b "$bucket" versions "$S3_PREFIX/" >versions.attacked

step "as of before: the list is what it was, the backup is whole"
{ cat whole.conf && echo "as_of = $before"; } >"$CONFIG"
rm -rf state
expect_status 0 basebackup-list
printf '%s\n' "$output" >list.then
expect_same "the list" list.before list.then
expect_status 0 recovery-window
expect_status 0 basebackup-verify --full

step "recovery to the instant, from the bucket as it was"
server_stop main
rm -rf restored
expect_status 0 basebackup-fetch --target-time "$instant" -D restored
expect_status 0 recovery-config --target-time "$instant" -D restored
server_settings restored >>restored/postgresql.conf
echo "recovery_target_action = promote" >>restored/postgresql.conf
server_start restored
wait_until 120 "the end of recovery" sql_is restored 2000 "select count(*) from t"
server_stop restored immediate

step "copied into a clean bucket"
{
    cat whole.conf
    echo "as_of = $before"
    sed -n '/^\[repository here\]/,/^keep_wal/p' whole.conf | sed "s|^\[repository here\]|[repository clean]|; s|^url = s3://[^/]*|url = s3://$clean|; /^object_lock/d"
} >"$CONFIG"
chmod 600 "$CONFIG"
expect_status 0 repository-init --repository clean
expect_status 0 repository-sync --from here --to clean
expect_status 0 basebackup-verify --full --repository clean
expect_output "1 backups and 2 segments.*0 errors"
expect_equal "the attacker's segment" "" "$(s3 -b "$clean" list "$S3_PREFIX/main/$system/wal/0000000100000000/0000000100000000000000F0")"

step "nothing was written to the bucket as it was, and nothing can be"
s3 -b "$bucket" versions "$S3_PREFIX/" >versions.now
expect_same "versions in the attacked bucket" versions.attacked versions.now
{ cat whole.conf && echo "as_of = $before"; } >"$CONFIG"
cd main
printf '1\t0/500100\tno recovery target specified\n' >pg_wal/00000009.history
: >pg_wal/archive_status/00000009.history.ready
expect_status 1 wal-push pg_wal/00000009.history
rm pg_wal/00000009.history pg_wal/archive_status/00000009.history.ready
expect_output "as_of"
cd ..
expect_status 1 basebackup-expire
expect_status 1 basebackup-pin "$backup"
expect_output "as_of"
expect_status 0 repository-check
expect_output "as_of"
s3 -b "$bucket" versions "$S3_PREFIX/" >versions.now
expect_same "versions in the attacked bucket" versions.attacked versions.now

step "before there was anything: nothing is there"
{ cat whole.conf && echo "as_of = 2020-01-01 00:00:00+00"; } >"$CONFIG"
expect_status 1 basebackup-list
expect_output "there is no walferry repository"
