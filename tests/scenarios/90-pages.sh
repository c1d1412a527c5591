#!/bin/bash
# goal: commands of docs/encryption.md, docs/drills.md and docs/dumps.md, as they stand there; a page that does not work, or is not followed to its end, fails
# stores: file
# round: 0/2
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

step "the machinery: what fails, or is left out, is seen"
host db
mkdir "$T/docs" && cat >"$T/docs/page.md" <<'PAGE'
# One
```sh
test -d /var/lib/postgresql && test ! -e /root/.ssh && word=here
echo "$word and there"
```
<!-- not run: it would -->
```sh
false
```
## Two
```text
false
```
```sh
echo two
```
```sh
false
echo behind it
```
PAGE
seen() { # COMMAND...: it ends this subshell, as a test that fails
    ! ("$@") >"$T/said" 2>&1 || fail "not seen: $*"
    sed 's/^/    | /' "$T/said"
}
in_page() { SOURCE=$T page docs/page.md; }
in_page
page_says "there" "everywhere"
follow db "One"
expect_equal "what it printed" "here and everywhere" "$output"
seen page_says "nowhere" "somewhere"
seen follow db "Three"
seen follow db "Two"
expect_true "it ended at the first failure" grep -qx "    two" said
expect_equal "behind it" 0 "$(grep -cx "    behind it" said || true)"
seen page_end # block 4 was not run to its end
follow db "Two#1"
seen page_end
follow db "Two#2" 1
page_end >said
expect_true "what is not run is told" grep -q "One: not run: it would" said
printf '```\nx\n```\n' >docs/page.md
seen in_page
printf '```sh\nx\n' >docs/page.md
seen in_page

step "docs/encryption.md"
host_config db $'[repository local]\nurl = file:///var/backups/walferry\nencryption_key_file = /etc/walferry.key'
secret_place hosts/db/etc/walferry.key
host_cluster db
page docs/encryption.md
follow db "Encryption"
page_end

step "docs/drills.md, and the lines of its crontab"
page docs/drills.md
sql db "create database shop"
PGDATABASE=shop sql db "create table orders as select i, now() at from generate_series(1, 100) i"
on db basebackup-push --checkpoint=fast
PGDATABASE=shop sql db "insert into orders values (101, now())"
archived db
cat page/text/ini.1 >>"$T/hosts/db/etc/walferry.conf"
follow db "Set-up"
expect_output "passed"
grep -oE 'restore-drill --quiet.*' "$SOURCE/docs/drills.md" | grep -v '`' >lines
expect_equal "lines of the crontab" 2 "$(wc -l <lines)"
while read -r line; do expect_status 0 on db bash -c "$line"; done <lines
page_end

step "docs/dumps.md"
page docs/dumps.md
grep -oE '/usr/local/bin/dump-.*' "$SOURCE/docs/dumps.md" >crontab
expect_equal "lines of the crontab" 3 "$(wc -l <crontab)"
while read -r line; do expect_status 0 on db bash -c "$line"; done <crontab
follow db "At three in the morning"
for database in rescue shop_restored shop_by_jobs; do
    expect_equal "rows in $database" 101 "$(PGDATABASE=$database sql db "select count(*) from orders")"
done
host plain # that of before is encrypted
host_config plain
host_cluster plain
sql plain "create database shop"
PGDATABASE=shop sql plain "create table orders as select i from generate_series(1, 100) i"
on plain repository-init
on plain dump-push
page_says 16384 "$(sql plain "select oid from pg_database where datname = 'shop'")"
folder=$(cd "$T/hosts/plain" && ls -d var/backups/walferry/main/*/dumps/*)
page_directory=/$folder follow plain "Without walferry"
on plain pg_restore --list "/$folder/shop.dump" | grep -q "TABLE DATA public orders" || fail "shop.dump has no orders"
expect_true "roles" grep -q "ROLE postgres" "$T/hosts/plain/$folder/globals.sql"
page_end
