#!/bin/bash
# goal: wrong pages planted anywhere in a cluster are found, with the number that the block has in its relation, and no other
# stores: file
. "$(dirname "$0")/../lib.sh"

step "a cluster with a relation of more than a gigabyte, most of it a hole, an index, and a tablespace"
config_write
server_create main --data-checksums
echo "autovacuum = off" >>main/postgresql.conf # it would cut the hole off
expect_status 0 repository-init
server_start main
mkdir space
sql main "create tablespace space location '$T/space'" "create table big as select i, repeat('x', 400) from generate_series(1, 2000) i" \
    "create table kept (id int primary key, note text)" "insert into kept select i, md5(i::text) from generate_series(1, 30000) i" \
    "create table moved tablespace space as select * from kept" "create database other"
PGDATABASE=other sql main "create table there as select i from generate_series(1, 20000) i"
path() { PGDATABASE=${2:-postgres} sql main "select pg_relation_filepath('$1')"; } # RELATION [DATABASE]
big=$(path big) kept=$(path kept) index=$(path kept_pkey) moved=$(path moved) there=$(path there other)
server_stop main
head -c $((100 * 8192)) "main/$big" >"main/$big.1"
truncate -s 1G "main/$big"
# Makes the checksums anew, those of blocks 131072 and up too.
pg_checksums -D main --disable --no-sync >checksums.log
pg_checksums -D main --enable --no-sync >>checksums.log
server_start main
expect_status 0 basebackup-push --checkpoint=fast
expect_equal "pages called wrong" "" "$(grep -i "invalid page" <<<"$output" || true)"

step "wrong pages, chosen by the seed"
: >planted
plant() { # FILE FIRST-BLOCK BLOCK...: numbers in the relation, FROM-TO for any of those; the file begins with the first
    local block
    for block in "${@:3}"; do
        [[ $block != *-* ]] || block=$((${block%-*} + (RANDOM * 32768 + RANDOM) % (${block#*-} - ${block%-*} + 1)))
        printf damage | dd of="main/$1" bs=1 seek=$(((block - $2) * 8192 + 64 + RANDOM % 8000)) conv=notrunc status=none
        echo "$1 $block" >>planted
    done
}
server_stop main # whose memory knows nothing of them
plant "$big" 0 0 1-99 100-40000 40001-131070 131071
plant "$big.1" 131072 131072 131073-131100 131101-131130 131131-131170 131171
plant "$kept" 0 0-99 100-199
plant "$index" 0 1-29 30-60
plant "$moved" 0 0-99 100-199
plant "$there" 0 0-80
server_start main
expect_status 1 basebackup-push --checkpoint=fast
expect_output "$(wc -l <planted) invalid pages"
sed -nE 's/.*invalid page in file "([^"]*)", block ([0-9]+).*/\1 \2/p' <<<"$output" | sort >found
sort planted >expected
expect_same "the pages called wrong" expected found
