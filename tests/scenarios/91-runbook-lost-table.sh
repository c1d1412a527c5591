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
shop "create table orders (id int generated always as identity primary key, at timestamptz not null default clock_timestamp(),
    twice int generated always as (id * 2) stored)" "create table other (i int)"
insert_orders() { shop "insert into orders (id) overriding system value select generate_series($1, $2)"; } # FROM TO
insert_orders 1 500
on db basebackup-push --checkpoint=fast

step "a tablespace that is younger than the backup: the copy must not be replayed over it"
mkdir -m 700 hosts/db/mnt/space
shop "create tablespace space location '/mnt/space'" "create table placed tablespace space as select generate_series(1, 1000) i" "checkpoint"
space_files() { (cd hosts/db/mnt/space && find . -type f -exec sha256sum {} + | sort -k 2 && find . -printf '%i %T@ %p\n' | sort); }
space_files >space.before
sleep 0.1
instant=$(shop "select clock_timestamp()")
sleep 0.1
shop "delete from placed where i > 10" "checkpoint" # the page is another one now
archived db
space_files >space.before
page docs/runbooks/lost-table.md
page_says '2026-11-19 14:29:59+00' "$instant"
follow db "Recover a copy" fails
expect_true "the log says why" grep -q 'could not create symbolic link "pg_tblspc/' "hosts/db/var/lib/postgresql/$major/then.log"
space_files >space.now
expect_same "the living server's tablespace" space.before space.now
expect_equal "rows in it" 10 "$(shop "select count(*) from placed")"
(cd "hosts/db/var/lib/postgresql/$major" && chmod 700 then/pg_tblspc && rm -r ./then ./then.external ./then.log)

step "with a backup that is younger"
on db basebackup-push --checkpoint=fast
insert_orders 501 1000
sleep 0.1
former=$instant
instant=$(shop "select clock_timestamp()")
sleep 0.1

step "the accident"
shop "drop table orders" "insert into other values (1)"

page_says "$former" "$instant"
page_says 'basebackup-fetch ' 'basebackup-fetch -T /mnt/space=/mnt/space-then '
follow db "Look"
follow db "Recover a copy"
expect_output "^ f"
expect_equal "the copy's memory" 256MB "$(on db psql -p 5433 -Atc "show shared_buffers")"
follow db "Is it the right moment?"
expect_output "1000 "
shop "insert into other values (2)" # the server lives on
follow db "Bring it back"
follow db "How to know that it worked"
expect_equal "rows that came back" "1000|500500" "$(shop "select count(*), sum(id) from orders")"
expect_equal "rows of what was not lost" 2 "$(shop "select count(*) from other")"

step "rows are deleted, others come"
shop "delete from orders where id > 100"
insert_orders 2000 2000
follow db "Or only the rows that are missing"
expect_equal "rows that came back" "1001|502500" "$(shop "select count(*), sum(id) from orders")"
follow db "Afterwards"
expect_absent "$T/hosts/db/var/lib/postgresql/$major/then"
expect_equal "rows in the tablespace" 10 "$(shop "select count(*) from placed")"
expect_equal "segments that failed" 0 "$(sql db "select failed_count from pg_stat_archiver")"
expect_equal "the timeline in the repository" "" "$(find "$T/hosts/db/var/backups" -name '*.history')"
page_end
