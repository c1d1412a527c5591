#!/bin/bash
# goal: docs/runbooks/hole.md, as it stands there: a segment is gone; it comes back from the other repository, or from an old pg_wal, or the recovery ends in front of it
# stores: file
# round: 1/5
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

mkdir -m 700 offsite old
host db
host_bind db "$T/offsite" /mnt/offsite
host_bind db "$T/old" /mnt/old
sections=$'[wal-fetch]\nhole_wait = 1\n[repository local]\nurl = file:///var/backups/walferry\n'
host_config db "$sections"$'[repository offsite]\nurl = file:///mnt/offsite'
host_cluster db
on db repository-init
sql db "create table t (i int)"
backup=$(on db basebackup-push --checkpoint=fast | tail -1)
for i in 1 2 3 4; do
    sql db "insert into t values ($i)" "select pg_walfile_name(pg_current_wal_lsn())" >"segment.$i"
    sql db "select pg_switch_wal()" >switched
done
wait_until 60 "archiving" sql_is db 0 "select count(*) from pg_ls_archive_statusdir() where name like '%.ready'"
hole=$(cat segment.3)
mkdir old/pg_wal && cp "hosts/db/var/lib/postgresql/$major/main/pg_wal/$hole" old/pg_wal
take() { find "$1" -name "$hole" | grep . && find "$1" -name "$hole" -delete; } # DIRECTORY
take hosts/db/var/backups/walferry

page docs/runbooks/hole.md
page_says 00000001000000000000000A "$hole"
follow db "Where is it, and who has it?" 1
expect_output "$hole.*missing|missing.*$hole"
follow db "First: does the server still have it?"
expect_status 0 on db basebackup-verify --wal
follow db "Then, at once: a base backup"
expect_true "that has removed it from pg_wal" test ! -e "hosts/db/var/lib/postgresql/$major/main/pg_wal/$hole"

step "a repository loses it, and the server has it no more"
take hosts/db/var/backups/walferry
follow db "Another repository has it"
expect_output "0 errors"

step "now both have lost it"
take offsite
take hosts/db/var/backups/walferry
follow db "It is lost for good"
data=/var/lib/postgresql/$major
recovered() { # ROWS
    host_stop db
    on db mv "$data/main" "$data/original"
    on db mv "$data/restored" "$data/main"
    on db pg_ctlcluster "$major" main start || true # with a hole it ends
    wait_until 60 "the end of the recovery" is_open db
    expect_equal "rows" "$1" "$(sql db "select string_agg(i::text, ',' order by i) from t")"
    host_stop db
    on db mv "$data/main" "$data/recovered-$SECONDS"
    on db mv "$data/original" "$data/main"
    host_start db
    on db rm -r "$data/restored.external"
}
recovered 1,2
on db basebackup-fetch --unproven --backup "$backup" -D "$data/restored"
on db recovery-config --unproven -D "$data/restored"
follow db "A pg_wal has it"
recovered 1,2,3,4
follow db "How to know that it worked"
page_end
