#!/bin/bash
# goal: docs/runbooks/archive-behind.md, as it stands there: the repository can't be written to, the page's look says so; repaired, all that waited is archived, without a hole
# stores: file
# round: 0/5
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

host db
host_config db $'[repository local]\nurl = file:///var/backups/walferry\n[wal-push]\ntimeout = 2'
host_cluster db
on db repository-init
sql db "create table t (i int)"
on db basebackup-push --checkpoint=fast
chmod -R a-w hosts/db/var/backups/walferry
for i in $(seq 20); do sql db "insert into t values ($i)" "select pg_switch_wal()"; done >switched
wait_until 60 "archiving fails" sql_is db t "select failed_count > 0 from pg_stat_archiver"

page docs/runbooks/archive-behind.md
follow db "Look#1"
expect_output "(19|20|21) segments wait"
expect_output "wal-push: error: .*(permission denied|read-only)"
follow db "Look#2" 1
chmod -R u+w hosts/db/var/backups/walferry
follow db "When it is repaired"
follow db "How to know that it worked"
expect_output "0 errors"
page_end
