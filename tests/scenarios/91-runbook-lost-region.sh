#!/bin/bash
# goal: docs/runbooks/lost-region.md, as it stands there: one of two required repositories is gone for ever; archiving goes on with the other, a third takes its place, and has everything
# stores: file
# round: 3/5
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

mkdir -m 700 offsite elsewhere
host db
host_bind db "$T/offsite" /mnt/offsite
host_bind db "$T/elsewhere" /mnt/elsewhere
local_section=$'[repository local]\nurl = file:///var/backups/walferry\n'
host_config db "$local_section"$'[repository offsite]\nurl = file:///mnt/offsite\nrequired = yes\n[wal-push]\ntimeout = 2'
host_cluster db
on db repository-init
sql db "create table t as select generate_series(1, 1000) i"
on db basebackup-push --checkpoint=fast

step "the region is gone"
rm -rf offsite/*
sql db "insert into t values (1001)" "select pg_switch_wal()" >switched
wait_until 60 "archiving fails" sql_is db t "select failed_count > 0 from pg_stat_archiver"

page docs/runbooks/lost-region.md
follow db "Look" 1
expect_output "offsite"
follow db "Go on with what is left"
follow db "Go on with what is left" # again: no second line
host_config db "$local_section"$'[repository elsewhere]\nurl = file:///mnt/elsewhere'
sql db "insert into t values (1002)" "select pg_switch_wal()" >switched
follow db "Another region"
expect_output '"elsewhere": 1 backups .* 0 errors'
wait_until 90 "archiving" sql_is db 0 "select count(*) from pg_ls_archive_statusdir() where name like '%.ready'"
follow db "How to know that it worked"

step "the new one alone restores all of it"
host_stop db
rm -rf hosts/db/var/backups/walferry/*
host_config db $'[repository elsewhere]\nurl = file:///mnt/elsewhere'
on db rm -r "/var/lib/postgresql/$major/main"
on db basebackup-fetch -D "/var/lib/postgresql/$major/main"
on db recovery-config --archive=keep -D "/var/lib/postgresql/$major/main"
host_start db
wait_until 60 "the end of the recovery" is_open db
expect_equal "rows" "1002|502503" "$(sql db "select count(*), sum(i) from t")"

step "and that one was the only one, and is lost, too"
rm -rf elsewhere/*
host_config db $'[repository local]\nurl = file:///var/backups/walferry'
on db repository-init
expect_status 0 on db basebackup-push --checkpoint=fast # the page's second line forgotten
expect_output 'warning: repository "local" has no 00000002.history: without it no recovery finds timeline 2'
rm -rf hosts/db/var/backups/walferry/*
follow db "If the lost one was the only one"
! grep -q "has no 0000" <<<"$output" || fail "the history is there, and it is said that it is not"
expect_status 0 on db basebackup-verify
page_end
