#!/bin/bash
# goal: a base backup is whole or not there: files that change under it, interruption, missing WAL, damaged pages, damaged objects
# stores: file s3
# encrypted: s3
# limit: 300
. "$(dirname "$0")/../lib.sh"

step "a server with files of every kind"
config_write $'[basebackup]\nwal_timeout = 3'
server_create main --data-checksums
echo "autovacuum = off" >>main/postgresql.conf # it would write over damaged pages
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table big as select i, md5(i::text) as pad from generate_series(1, 200000) i" \
    "create table nothing (i int)" "create unlogged table unlogged as select 1 as i" "create table broken as select i from generate_series(1, 5000) i"
for i in $(seq 20); do echo "create table small$i as select $i as i; create index on small$i (i);"; done | psql -X -q -h "$T/run/main"
mkdir main/strange && : >main/strange/empty && truncate -s 20M main/strange/sparse && echo x >"main/strange/a name with 'quotes' and \$signs"
echo secret >main/strange/private && chmod 600 main/strange/private
ln -s private main/strange/link
backups() { basebackup-list --json | grep -o '"id": *"[^"]*"' | sort -u; }

step "taken while relations come and go, grow and shrink"
while :; do # until the backup is there
    echo "create table comes as select i from generate_series(1, 30000) i; truncate small1; insert into big select 0, 'grown' from generate_series(1, 5000); drop table comes; vacuum full small2;"
    [ ! -e stop ] || break
    sleep 0.05
done | psql -X -q -h "$T/run/main" &
churn=$!
expect_status 0 basebackup-push --checkpoint=fast --jobs 4 --label 'with churn'
: >stop
wait $churn
id=$(tail -1 <<<"$output")
expect_equal "the backups in the list" 1 "$(backups | wc -l)"
sql main "insert into nothing values (1)"
archived main
counts="select (select count(*) from big), (select count(*) from nothing), (select count(*) from small20)"
sql main "$counts" >expected

step "restored: verified, modes kept, nothing of unlogged relations, recovers"
umask 027 # must not matter
expect_status 0 basebackup-fetch --backup "$id" -D "$T/copy"
umask 022
expect_status 0 pg_verifybackup -n copy
expect_equal "mode of the directory" 700 "$(stat -c %a copy)"
expect_equal "mode of a file" 600 "$(stat -c %a copy/strange/private)"
for file in empty sparse "a name with 'quotes' and \$signs" private; do expect_same "$file" "main/strange/$file" "copy/strange/$file"; done
expect_absent copy/postmaster.pid copy/postmaster.opts copy/tablespace_map
expect_equal "WAL in the backup" "" "$(find copy/pg_wal -type f)"
expect_status 0 recovery-config -D "$T/copy"
server_start copy
wait_open copy
sql copy "$counts" >found
expect_same "rows" expected found
expect_equal "rows of an unlogged table" 0 "$(sql copy "select count(*) from unlogged")"
server_stop copy

step "not into a directory in use"
expect_status 1 basebackup-fetch -D "$T/copy"
mkdir full && echo mine >full/file
expect_status 1 basebackup-fetch -D "$T/full"
expect_equal "what was there" file "$(ls -A full)"
expect_status 1 basebackup-fetch -D "$T/main"
expect_true "the server lives" sql_is main 1 "select 1"
mkdir -m 755 empty
expect_status 0 basebackup-fetch -D "$T/empty"
expect_equal "mode of a directory that was there" 700 "$(stat -c %a empty)"

step "interrupted: no visible backup, backup mode is over, the next one works"
slow=$T/slow.conf # so that there is something to interrupt
{ cat "$CONFIG" && printf '[compression]\nlevel = 12\n'; } >"$slow" && chmod 600 "$slow"
interrupted() { # SIGNAL MESSAGE-TO-WAIT-FOR OPTION...
    local push status=0
    sql main "update big set pad = pad where i < 20000" # something for the checkpoint
    env --default-signal=INT basebackup-push --config "$slow" --jobs 1 "${@:3}" >push.log 2>&1 &
    push=$!
    wait_until 20 "the message" grep -q "$2" push.log
    sleep 0.$((RANDOM % 5))
    kill "-$1" $push
    wait $push || status=$?
    cat push.log
    expect_true "ended by SIG$1, not with status $status" test $status -gt 128
    expect_equal "backups" 1 "$(backups | wc -l)"
    wait_until 20 "the end of its session" sql_is main 0 "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
}
sql main "alter system set checkpoint_timeout = '1h'" "select pg_reload_conf()" >/dev/null
for signal in INT TERM HUP; do interrupted $signal "waiting for the server's checkpoint" --checkpoint=spread; done
for signal in INT TERM KILL; do interrupted $signal "begins at" --checkpoint=fast --max-rate 5MB; done
expect_status 0 basebackup-push --checkpoint=fast
second=$(tail -1 <<<"$output")
expect_equal "backups" 2 "$(backups | wc -l)"

step "the WAL it needs does not arrive: no visible backup"
sql main "alter system set archive_command = '/bin/false'" "select pg_reload_conf()" >/dev/null
began=$SECONDS
expect_status 1 basebackup-push --checkpoint=fast
expect_output "archive|WAL"
expect_true "it waited as long as wal_timeout says" test $((SECONDS - began)) -le 30
expect_equal "backups" 2 "$(backups | wc -l)"
sql main "alter system reset archive_command" "select pg_reload_conf()" >/dev/null

step "a page whose checksum is wrong: named, and no visible backup"
file=main/$(sql main "select pg_relation_filepath('broken')")
sql main "checkpoint"
cp "$file" whole
printf 'damage' | dd of="$file" bs=1 seek=$((8192 + 4000)) conv=notrunc status=none
expect_status 1 basebackup-push --checkpoint=fast
expect_output "${file#main/}.*block 1|block 1.*${file#main/}"
expect_equal "backups" 2 "$(backups | wc -l)"
cp whole "$file"
server_stop main

step "damaged objects: no restore, nothing that could be started" # wound: wal-g#1323, #1263, #655
damage() { # WHAT KEY OFFSET: some bytes are changed there; from the end if negative
    local size offset=$3
    echo "-- $1"
    rm -rf broken
    object_get "$2" right
    cp right wrong
    size=$(stat -c %s wrong)
    [ "$offset" -ge 0 ] || offset=$((size + offset))
    printf '\x5a\xa5\x00\xff' | dd of=wrong bs=1 seek="$offset" conv=notrunc status=none
    object_put "$2" wrong
    expect_status 1 basebackup-fetch --backup "$id" -D "$T/broken"
    expect_output "error:.*(damage|SHA-256|checksum|manifest|not )"
    expect_absent broken/global/pg_control
    object_put "$2" right
}
base=main/$system/base/$id
part=$(object_list | sed -n "s|^$base/\(main-[0-9]*\) .*|\1|p" | tail -1)
damage "a part" "$base/$part" 5000
damage "the end of a part" "$base/$part" -3000
damage "the index" "$base/files" 100
damage "the index's trailer" "$base/files" -900
damage "the manifest" "$base/manifest.json" 60
object_get "$base/$part" right
head -c $(($(stat -c %s right) - 100)) right >wrong
object_put "$base/$part" wrong
expect_status 1 basebackup-fetch --backup "$id" -D "$T/broken"
expect_absent broken/global/pg_control
rm -rf broken
object_delete "$base/$part"
expect_status 1 basebackup-fetch --backup "$id" -D "$T/broken"
expect_absent broken/global/pg_control
rm -rf broken
object_put "$base/$part" right

step "interrupted restores can't be started; a whole one can"
restored=
for signal in INT TERM KILL; do
    rm -rf broken
    env --default-signal=INT basebackup-fetch --backup "$second" --jobs 1 -D "$T/broken" >fetch.log 2>&1 &
    fetch=$!
    while [ ! -e broken/base ] && [ -d /proc/$fetch ]; do :; done
    kill "-$signal" $fetch 2>/dev/null || true
    status=0
    wait $fetch || status=$?
    echo "SIG$signal: status $status"
    [ $status = 0 ] || restored+=" $signal"
    [ $status = 0 ] || expect_absent broken/global/pg_control
done
expect_true "at least one restore was interrupted" test -n "$restored"
rm -rf broken
expect_status 0 basebackup-fetch --backup "$second" -D "$T/broken"
expect_status 0 pg_verifybackup -n broken
