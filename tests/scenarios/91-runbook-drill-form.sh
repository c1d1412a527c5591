#!/bin/bash
# goal: docs/runbooks/drill-form.md, as it stands there: the three drills, beside the server that runs on; nothing is left and nothing of it is archived
# stores: file
# round: 4/5
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

mkdir -m 700 offsite
host db
host_bind db "$T/offsite" /mnt/offsite
host_config db $'[repository local]\nurl = file:///var/backups/walferry\n[repository offsite]\nurl = file:///mnt/offsite\n[drill]\nscratch = /var/lib/postgresql/drill-scratch'
host_cluster db
on db repository-init
sql db "create database shop"
PGDATABASE=shop sql db "create table orders as select i, clock_timestamp() as at from generate_series(1, 1000) i"
on db basebackup-push --checkpoint=fast
PGDATABASE=shop sql db "insert into orders select i, clock_timestamp() from generate_series(1001, 1500) i"
archived db

page docs/runbooks/drill-form.md
follow db "Monthly: any backup, any instant (10 minutes of work)"
follow db "Quarterly: a lost server, by hand (half a day)"
expect_output "1500 "
follow db "Yearly: everything but the far repository is gone (a day)"
expect_equal "drills that tell their RTO" 2 "$(grep -c '^RTO' <<<"$output")"
expect_equal "left behind" "" "$(find hosts/db/var/lib/postgresql -mindepth 1 -maxdepth 2 -name '*drill*' ! -name drill-scratch)"
expect_equal "timelines that the copy has archived" "" "$(find hosts/db/var/backups offsite -name '*.history')"
page_end
