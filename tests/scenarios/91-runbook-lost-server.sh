#!/bin/bash
# goal: docs/runbooks/lost-server.md, as it stands there: power and disk are gone, a bare machine takes over; with what the old disk's pg_wal still had, no commit is lost
# stores: file
# round: 1/5
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

mkdir -p repository old/var/lib/postgresql/"$major"/main
chmod 700 repository
host old
host_bind old "$T/repository" /var/backups/walferry
host_config old
host_cluster old
on old repository-init
sql old "create database shop"
export PGDATABASE=shop
sql old "create table orders as select i, clock_timestamp() as at from generate_series(1, 1000) i"
echo "synchronous_standby_names = 'gone'" >>"hosts/old/etc/postgresql/$major/main/conf.d/test.conf" # not reloaded: only what is restored waits
on old basebackup-push --checkpoint=fast
sql old "insert into orders select i, clock_timestamp() from generate_series(1001, 1500) i"
archived old
sql old "insert into orders values (1501, clock_timestamp())" # in no repository
cp -r "hosts/old/var/lib/postgresql/$major/main/pg_wal" "old/var/lib/postgresql/$major/main"
host_dies old

host db
host_bind db "$T/repository" /var/backups/walferry
host_bind db "$T/old" /mnt/old
host_config db
on db pg_createcluster "$major" main >created # as the package does
page docs/runbooks/lost-server.md
follow db "A machine"
follow db "What is there"
follow db "Restore"
follow db "If the old disk can be read"
follow db "Start"
expect_equal "it waits for no standby" "" "$(sql db "show synchronous_standby_names")"
follow db "How to know that it worked#1"
expect_output "2 backups"
follow db "How to know that it worked#2" 1
expect_output "drill"
expect_equal "rows, with the one that only the old disk had" "1501|1127251" "$(sql db "select count(*), sum(i) from orders")"
sql db "insert into orders values (1502, now())"
archived db
expect_equal "segments that failed" 0 "$(sql db "select failed_count from pg_stat_archiver")"
page_end
