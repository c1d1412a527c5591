#!/bin/bash
# goal: docs/runbooks/pg-upgrade.md, as it stands there, around a real pg_upgrade: the new system is accepted and backed up, and the old one comes back
# versions: file@13-newest
# round: 0/5
# limit: 300
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

old_major=$("$OLD_PG_BIN/postgres" --version | grep -oE '[0-9]+' | head -1)
data=/var/lib/postgresql
host db
mkdir versions
host_bind db "$T/versions" /usr/lib/postgresql # these programs look for what they need where they really lie
ln -s "$(dirname "$OLD_PG_BIN")" "versions/$old_major"
ln -s "$(dirname "$PG_BIN")" "versions/$major"
for path in "$OLD_PG_BIN" "$PG_BIN"; do host_bind db "${path%/usr/lib/*}" "${path%/usr/lib/*}"; done
for path in /usr/lib/postgresql/*; do # psql is one of these
    [ -e "versions/${path##*/}" ] || host_bind db "$path" "$path"
done
host_config db
sed -i "s|^pgdata.*|pgdata = $data/$old_major/main|" hosts/db/etc/walferry.conf
server() { # MAJOR PG_CTL-ARGUMENT...
    on db "/usr/lib/postgresql/$1/bin/pg_ctl" -D "$data/$1/main" -l "$data/$1.log" -s -w "${@:2}" || { cat "hosts/db$data/$1.log"; fail "server $1"; }
}
create() { # MAJOR
    on db "/usr/lib/postgresql/$1/bin/initdb" -D "$data/$1/main" -A trust --locale=C -E UTF8 --data-checksums --no-sync >initdb.log
    printf "listen_addresses = ''\ndynamic_shared_memory_type = mmap\nshared_buffers = 32MB\nfsync = off\nunix_socket_directories = '/run/postgresql'\narchive_mode = on\narchive_command = '/usr/local/bin/wal-push %%p'\n" \
        >>"hosts/db$data/$1/main/postgresql.conf"
}
create "$old_major"
server "$old_major" start
on db repository-init
sql db "create table t as select generate_series(1, 1000) i"

page docs/runbooks/pg-upgrade.md as-it-is
page_says /15/ "/$old_major/"
page_says /17/ "/$major/"
follow db "Before"
first=$(on db basebackup-list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["backups"][0]["id"])')
sql db "insert into t values (1001)"

step "pg_upgrade from $old_major to $major"
server "$old_major" stop
create "$major"
on db mkdir "$data/upgrade"
on db env -C "$data/upgrade" "/usr/lib/postgresql/$major/bin/pg_upgrade" -b "/usr/lib/postgresql/$old_major/bin" -B "/usr/lib/postgresql/$major/bin" \
    -d "$data/$old_major/main" -D "$data/$major/main" -U postgres >upgrade.log || { cat upgrade.log; fail "pg_upgrade"; }
server "$major" start
sql db "insert into t values (1002)" "select pg_switch_wal()" >switched
wait_until 60 "archiving is refused" sql_is db t "select failed_count > 0 from pg_stat_archiver"
follow db "Afterwards, at once#1"
follow db "Afterwards, at once#2"
follow db "How to know that it worked"
expect_output "0 errors"
expect_equal "rows" 1002 "$(sql db "select count(*) from t")"

step "the way back"
page_says 20261120T020000Z-00000001-0000000002000028 "$first"
server "$major" stop
on db rm -r "$data/$old_major/main"
follow db "Back to the old one"
on db mv "$data/$old_major/back" "$data/$old_major/main"
server "$old_major" start
wait_until 60 "the end of the recovery" is_open db
expect_equal "rows" "1001" "$(sql db "select count(*) from t")"
page_end
