#!/bin/bash
# goal: --database brings some databases, and recovery passes although others' files are holes; --file brings one file, verified
# turns: file s3
# full-encrypted: file
. "$(dirname "$0")/../lib.sh"

step "a server with three databases, one of them also in a tablespace; a backup while all of them are written"
config_write $'[basebackup]\njobs = 2'
server_create main --data-checksums --wal-segsize=1
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
mkdir fast
sql main "create tablespace fast location '$T/fast'" "create database shop" "create database \"other \"\"one\"\"\"" "create database huge"
on() { PGDATABASE=$2 sql "$1" "${@:3}"; } # NAME DATABASE STATEMENT...
for database in shop 'other "one"' huge; do
    on main "$database" "create table t as select i, md5(i::text) as pad from generate_series(1, 30000) i" "create index on t (i)" \
        "create table f tablespace fast as select i from generate_series(1, 20000) i" "create unlogged table u as select 1 as i" \
        "create table quiet as select i from generate_series(1, 5000) i" "checkpoint"
done
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")
# What recovery has to do in each of them: pages changed, added, truncated, files made and removed, a database too.
for database in shop 'other "one"' huge; do
    on main "$database" "update t set pad = 'new' where i % 7 = 0" "insert into t select i, 'more' from generate_series(30001, 40000) i" \
        "delete from f where i > 100" "vacuum f" "create table later as select i from generate_series(1, 5000) i" "vacuum full t" \
        "vacuum full pg_class" "reindex table t" "truncate f" "insert into f values (1)" "create index on t using hash (pad)" "vacuum t"
done
sql main "create database fresh template shop" "create role somebody"
archived main
sums="select (select sum(i) from t), (select count(*) from t where pad = 'new'), (select sum(i) from f), (select count(*) from later)"
on main shop "$sums" >expected
mapped=(-T "$T/fast=$T/moved")
oid_of() { sql main "select oid from pg_database where datname = '$1'"; }
base=main/$system/base/$id

step "names that there are not"
expect_status 1 basebackup-fetch -D "$T/copy" "${mapped[@]}" --database shop --database shopp
expect_output "has no database \"shopp\""
expect_output 'Its databases: .*other "one"'
expect_absent copy moved

step "one of them is restored, and the others as holes"
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --database shop
expect_output 'content of 2 other databases was not restored: "other "one"", "huge"'
expect_output "DROP DATABASE"
huge=$(oid_of huge)
expect_equal "sizes of the others' files" "$(cd main/base/1 && stat -c %s pg_filenode.map)" "$(stat -c %s "copy/base/$huge/pg_filenode.map")"
expect_true "they take no room" test "$(du -sk "copy/base/$huge" | cut -f1)" -lt 2000
expect_true "nor in the tablespace" test "$(du -sk moved/PG_*/"$huge" | cut -f1)" -lt 50
expect_status 0 recovery-config -D "$T/copy"
server_start copy
wait_open copy
on copy shop "$sums" >found
expect_same "rows of shop" expected found
on copy fresh "$sums" >found
expect_same "rows of what was made from it later" expected found
for database in 'other "one"' huge; do
    expect_status 2 on copy "$database" "select 1"
    expect_output "FATAL: .*database files are incompatible with server"
    expect_output "0-not-restored--drop-this-database"
done
sql copy "drop database huge" "drop database \"other \"\"one\"\"\"" "vacuum freeze" "checkpoint"
on copy shop "vacuum full t" "create database huge template shop" >/dev/null 2>&1 || on copy shop "select 1" >/dev/null
pg_amcheck -h "$T/run/copy" --all --install-missing >amcheck.log 2>&1 || { cat amcheck.log; fail "pg_amcheck"; }
expect_equal "databases" "fresh postgres shop template0 template1" "$(sql copy "select datname from pg_database where datname <> 'huge' order by 1" | paste -sd' ')"
server_stop copy
server_start copy
on copy shop "select count(*) from t" >/dev/null
server_stop copy
expect_equal "panics" "" "$(grep PANIC copy.log || true)"
rm -rf copy moved

step "interrupted, and gone on with"
basebackup-fetch -D "$T/copy" "${mapped[@]}" --database huge --jobs 1 >fetch.log 2>&1 &
fetch=$!
while [ ! -e copy/base/1/1259 ] && [ -d /proc/$fetch ]; do :; done
kill -KILL $fetch 2>/dev/null || true
wait $fetch || true
[ -e copy/global/pg_control ] || expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --database huge --delta
expect_status 0 recovery-config -D "$T/copy"
server_start copy
wait_open copy
on copy huge "$sums" >found
expect_same "rows of huge" expected found
expect_status 2 on copy shop "select 1"
server_stop copy
rm -rf copy moved copy.pg_wal-*

step "without full-page images recovery needs what is not there: the way out of basebackup-fetch(1)"
sql main "alter system set full_page_writes = off" "select pg_reload_conf()" >/dev/null
without_images() { sql main checkpoint && sql_is main f "select full_page_writes from pg_control_checkpoint()"; } # the checkpointer sees to it
wait_until 30 "the setting" without_images
on main huge "update quiet set i = i + 1 where i % 50 = 0" "delete from quiet where i % 50 = 1"
on main shop "update t set pad = 'last' where i < 10"
archived main
on main shop "$sums" >expected
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --database shop
expect_status 0 recovery-config -D "$T/copy"
mkdir -p run/copy
pg_ctl -D copy -l copy.log -s -w -t 60 -o "-k $T/run/copy -c listen_addresses=''" start || true
wait_until 60 "the end of the server" server_is_gone copy
expect_true "it says why" grep -q "PANIC: .*invalid pages" copy.log
pg_ctl -D copy -l copy.log -s -w -t 60 -o "-k $T/run/copy -c listen_addresses='' -c ignore_invalid_pages=on" start
wait_open copy
sql copy "drop database huge" "drop database \"other \"\"one\"\"\"" "checkpoint"
server_stop copy
server_start copy
on copy shop "$sums" >found
expect_same "rows of shop" expected found
server_stop copy
rm -rf copy moved

step "one file: to standard output, into a file; by the right path only"
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}"
relation=$(on main template1 "select pg_relation_filepath('pg_class')")
expect_status 0 sh -c "basebackup-fetch --file '$relation' 2>fetch.log >found"
expect_same "$relation" "copy/$relation" found
for file in postgresql.conf "$(cd copy && ls pg_tblspc/*/*/*/* -d | tail -1)" global/pg_control; do
    rm -f found
    expect_status 0 basebackup-fetch --file "$file" --output "$T/found"
    expect_same "$file" "copy/$file" found
    expect_equal "its mode" 600 "$(stat -c %a found)"
done
expect_status 1 basebackup-fetch --file "$relation" --output "$T/found"
expect_output "exists; nothing is overwritten"
expect_same "what was there" copy/global/pg_control found
expect_status 1 basebackup-fetch --file "base/1/none"
expect_output "has no file \"base/1/none\""
expect_status 1 basebackup-fetch --file "../$relation"
expect_status 2 basebackup-fetch --file "$relation" -D "$T/copy"
expect_status 2 basebackup-fetch -D "$T/other" --output "$T/found"
expect_equal "nothing else is left" "" "$(find . -maxdepth 1 -name '*.walferry')"

step "a damaged one is not handed over"
for part in $(object_list | sed -n "s|^$base/\(main-[0-9]*\) .*|\1|p"); do
    object_get "$base/$part" whole."$part"
    python3 -c 'import sys
data = bytearray(open(sys.argv[1], "rb").read())
for at in range(3000, len(data) - 10, 3000): data[at] ^= 90
open("wrong", "wb").write(data)' whole."$part"
    object_put "$base/$part" wrong
done
rm -f found
expect_status 1 basebackup-fetch --file "$relation" --output "$T/found"
expect_output "damaged"
expect_absent found found.walferry
expect_status 1 sh -c "basebackup-fetch --file '$relation' >found"
expect_true "nothing went to standard output" test ! -s found
rm found
for part in whole.*; do head -c 100 "$part" >wrong && object_put "$base/${part#whole.}" wrong; done
expect_status 1 basebackup-fetch --file "$relation" --output "$T/found"
expect_output "is damaged: it is shorter than its index says"
expect_absent found found.walferry
