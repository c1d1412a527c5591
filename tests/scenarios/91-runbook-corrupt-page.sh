#!/bin/bash
# goal: docs/runbooks/corrupt-page.md, as it stands there: a page on disk is damaged, the cluster is put right in place, and no commit is lost
# stores: file
# round: 4/5
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

host db
host_config db $'[repository local]\nurl = file:///var/backups/walferry\n[wal-push]\ntimeout = 2'
host_cluster db --data-checksums
on db repository-init
sql db "create database shop"
shop() { PGDATABASE=shop sql db "$@"; }
shop "create table orders as select i, repeat('x', 500) from generate_series(1, 1000) i" "checkpoint"
on db basebackup-push --checkpoint=fast
shop "insert into orders select i, 'later' from generate_series(1001, 1100) i"
file=$(shop "select pg_relation_filepath('orders')") database=$(shop "select oid from pg_database where datname = 'shop'")

step "the damage"
host_stop db
printf 'damaged' | dd of="hosts/db/var/lib/postgresql/$major/main/$file" bs=1 seek=$((7 * 8192 + 4000)) conv=notrunc status=none
host_start db
expect_status 1 shop "select sum(length(repeat)) from orders"
expect_output "invalid page in block 7 of relation $file"

page docs/runbooks/corrupt-page.md
page_says 16384 "$database"
page_says 16385 "${file##*/}"
follow db "Look"
expect_output "orders"
step "the archive can't be written to when the server stops: the last commits are in pg_wal only"
shop "insert into orders select i, 'not archived' from generate_series(1101, 1200) i"
chmod -R a-w hosts/db/var/backups/walferry
follow db "Put it right in place"
expect_equal "rows" 1200 "$(shop "select count(*) from orders")"
chmod -R u+w hosts/db/var/backups/walferry
follow db "How to know that it worked"
expect_equal "rows" "1200|720600" "$(shop "select count(*), sum(i) from orders")"
shop "insert into orders values (1201, '')"
archived db
page_end
