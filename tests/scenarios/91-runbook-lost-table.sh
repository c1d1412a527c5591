#!/bin/bash
# goal: docs/runbooks/lost-table.md, as it stands there: a dropped table, then deleted rows, brought back into the server that runs on
# stores: file
# round: 0/5
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

host db
host_config db
host_cluster db
on db repository-init
sql db "create database shop"
shop() { PGDATABASE=shop sql db "$@"; }
shop "create table orders (id int primary key, at timestamptz not null default clock_timestamp())" "create table other (i int)"
shop "insert into orders select generate_series(1, 500)"
on db basebackup-push --checkpoint=fast
shop "insert into orders select generate_series(501, 1000)"
sleep 0.1
instant=$(shop "select clock_timestamp()")
sleep 0.1

step "the accident"
shop "drop table orders" "insert into other values (1)"

page docs/runbooks/lost-table.md
page_says '2026-11-19 14:29:59+00' "$instant"
follow db "Look"
follow db "Recover a copy"
follow db "Is it the right moment?"
expect_output "1000 "
shop "insert into other values (2)" # the server lives on
follow db "Bring it back"
follow db "How to know that it worked"
expect_equal "rows that came back" "1000|500500" "$(shop "select count(*), sum(id) from orders")"
expect_equal "rows of what was not lost" 2 "$(shop "select count(*) from other")"

step "rows are deleted, others come"
shop "delete from orders where id > 100" "insert into orders values (2000)"
follow db "Or only the rows that are missing"
expect_equal "rows that came back" "1001|502500" "$(shop "select count(*), sum(id) from orders")"
follow db "Afterwards"
expect_absent "$T/hosts/db/var/lib/postgresql/$major/then"
expect_equal "segments that failed" 0 "$(sql db "select failed_count from pg_stat_archiver")"
expect_equal "the timeline in the repository" "" "$(find "$T/hosts/db/var/backups" -name '*.history')"
page_end
