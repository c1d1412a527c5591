#!/bin/bash
# goal: docs/runbooks/ransomware.md, as it stands there: everything in a bucket with versions is deleted or overwritten; it is read as of before, copied into a clean one and restored, and archiving goes on
# stores: s3
# round: 2/5
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

bucket=ransom-$RANDOM clean=clean-$RANDOM
s3 make-bucket "$bucket"
s3 -b "$bucket" versioning on
s3 make-bucket "$clean"
offsite=$(S3_BUCKET=$bucket s3_section offsite pg)
host db
host_config db "$offsite"
host_cluster db
on db repository-init
sql db "create table t as select generate_series(1, 1000) i"
on db basebackup-push --checkpoint=fast
sql db "insert into t select generate_series(1001, 2000)"
archived db
sleep 2 # versions are told to the second
before=$(date -u +'%F %T+00')
sleep 2

step "the attack"
echo "pay us" >note
turn=0
s3 -b "$bucket" list "$S3_PREFIX/" | cut -d' ' -f1 >keys
while read -r key; do
    turn=$((turn + 1))
    if [ $((turn % 2)) = 0 ]; then s3 -b "$bucket" delete "$key"; else s3 -b "$bucket" put "$key" note; fi
done <keys
rm -rf "hosts/db/var/lib/walferry/main"/*
sql db "insert into t select generate_series(2001, 2500)" "select pg_switch_wal()" >switched
wait_until 60 "archiving fails" sql_is db t "select failed_count > 0 from pg_stat_archiver"

page docs/runbooks/ransomware.md
page_says '2026-11-20 02:10:00+00' "$before"
follow db "Read it as it was then"
expect_output "1 backups"
S3_BUCKET=$clean s3_section clean pg >>hosts/db/var/lib/postgresql/then.conf
secret_place 'hosts/db/var/lib/postgresql/then.conf'
follow db "Into a clean bucket"
expect_output "0 errors"
follow db "If the data are lost, too"
expect_true "the recovery reads as of then" grep -q "^restore_command.*/then.conf" "hosts/db/var/lib/postgresql/$major/restored/postgresql.auto.conf"
host_config db "$(S3_BUCKET=$clean s3_section clean pg)"
follow db "Go on"
expect_equal "what was held back is archived" 0 "$(sql db "select count(*) from pg_ls_archive_statusdir() where name like '%.ready'")"

step "the restored data, as of then"
data=/var/lib/postgresql/$major
host_stop db
on db mv "$data/main" "$data/compromised"
on db mv "$data/restored" "$data/main"
host_start db
wait_until 60 "the end of the recovery" is_open db
expect_equal "rows" "2000|2001000" "$(sql db "select count(*), sum(i) from t")"
page_end
