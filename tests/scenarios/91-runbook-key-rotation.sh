#!/bin/bash
# goal: docs/runbooks/key-rotation.md, as it stands there: an epoch, another key, the old one without power; a backup of before is restored with the new key alone
# stores: file
# round: 3/5
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

host db
mkdir -m 700 hosts/db/etc/walferry
secret_place 'hosts/db/etc/walferry/*.key'
section=$'[repository local]\nurl = file:///var/backups/walferry\n'
host_config db "${section}encryption_key_file = /etc/walferry/2026.key"
host_cluster db
on db repository-key generate
on db repository-init
sql db "create table t as select generate_series(1, 1000) i"
on db basebackup-push --checkpoint=fast
keys() { find hosts/db/var/backups/walferry/main/keys -type f -printf '%f\n' | LC_ALL=C sort; }
old=$(keys | sed 's/.*\.//')

page docs/runbooks/key-rotation.md
page_says KEYID "$old"
follow db "What is there"
expect_output "$old"
follow db "A new epoch"
expect_equal "epochs" 2 "$(keys | wc -l)"
expect_equal "the configuration's line" 1 "$(wc -l <page/text/ini.1)"
host_config db "$section$(cat page/text/ini.1)"
follow db "Another key file"
expect_equal "documents" 4 "$(keys | wc -l)"
host_config db "${section}encryption_key_file = /etc/walferry/2027.key"
follow db "The old key loses its power"
expect_equal "documents of the old key" 0 "$(keys | grep -c "$old" || true)"
follow db "How to know that it worked"
expect_output "0 errors"

step "the old key opens nothing any more"
host_config db "${section}encryption_key_file = /etc/walferry/2026.key"
expect_status 1 on db basebackup-list
host_config db "${section}encryption_key_file = /etc/walferry/2027.key"

step "the newest, and the backup of before, with the new key"
data=/var/lib/postgresql/$major
first=$(on db basebackup-list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["backups"][0]["id"])')
sql db "insert into t values (1001)"
archived db
host_stop db
rm -r "hosts/db$data/main"
on db basebackup-fetch --backup "$first" -D "$data/main"
on db recovery-config -D "$data/main"
host_start db
wait_until 60 "the end of the recovery" is_open db
expect_equal "rows" 1001 "$(sql db "select count(*) from t")"
page_end
