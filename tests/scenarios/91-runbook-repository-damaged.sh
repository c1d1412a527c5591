#!/bin/bash
# goal: docs/runbooks/repository-damaged.md, as it stands there: a flipped byte in a WAL object is named, put aside and mended from the other repository
# stores: file
# round: 2/5
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

mkdir -m 700 offsite
host db
host_bind db "$T/offsite" /mnt/offsite
host_config db $'[repository local]\nurl = file:///var/backups/walferry\n[repository offsite]\nurl = file:///mnt/offsite'
host_cluster db
on db repository-init
sql db "create table t as select generate_series(1, 1000) i"
on db basebackup-push --checkpoint=fast
sql db "insert into t select generate_series(1001, 2000)" "select pg_walfile_name(pg_current_wal_lsn())" >segment
archived db
segment=$(cat segment)
object=$(cd hosts/db/var/backups/walferry && find main -name "$segment")
(chmod u+w "hosts/db/var/backups/walferry/$object" && printf 'x' | dd of="hosts/db/var/backups/walferry/$object" bs=1 seek=300 conv=notrunc status=none)

page docs/runbooks/repository-damaged.md
page_says main/7710922405769216092/wal/0000000100000000/00000001000000000000000A "$object"
follow db "What is damaged?" 1
expect_output "$segment.*damaged"
page_says 00000001000000000000000A "$segment"
follow db "First: WAL that the server still has"
follow db "Then a base backup"
expect_true "that has removed it from pg_wal" test ! -e "hosts/db/var/lib/postgresql/$major/main/pg_wal/$segment"
follow db "Another repository has it"
follow db "How to know that it worked"
expect_true "it is the other's" cmp "hosts/db/var/backups/walferry/$object" "offsite/$object"

step "no other has it"
for place in hosts/db/var/backups/walferry offsite; do rm -f "$place/$object"; done
expect_status 1 on db basebackup-verify --wal
follow db "No other has it"
expect_status 0 on db basebackup-verify --wal
page_end
