#!/bin/bash
# goal: docs/runbooks/failover.md, as it stands there: the primary is killed, the standby takes over and archives; the old one comes back as its standby; a recovery goes over the change
# stores: file
# round: 1/5
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

mkdir -m 700 repository
for name in db1 db2; do
    host $name
    host_bind $name "$T/repository" /var/backups/walferry
    host_bind $name "$T/run" /run/hosts # instead of a network
    host_config $name
done
host_cluster db1
on db1 repository-init
sql db1 "create role replication login replication" "create table t as select generate_series(1, 1000) i"
etc=etc/postgresql/$major/main
echo "local replication replication trust" >>"hosts/db1/$etc/pg_hba.conf"
sql db1 "select pg_reload_conf()" >reloaded
on db1 basebackup-push --checkpoint=fast
on db2 basebackup-fetch -D "/var/lib/postgresql/$major/main"
on db2 recovery-config --standby -D "/var/lib/postgresql/$major/main"
mkdir -p "hosts/db2/etc/postgresql/$major"
cp -a "hosts/db2/var/lib/postgresql/$major/main.external/$etc" "hosts/db2/etc/postgresql/$major"
echo "primary_conninfo = 'host=/run/hosts/db1 user=replication'" >>"hosts/db2/$etc/conf.d/standby.conf"
host_start db2
wait_until 60 "streaming" sql_is db2 streaming "select status from pg_stat_wal_receiver"
sql db1 "insert into t select generate_series(1001, 1100)"
wait_until 60 "the rows on the standby" sql_is db2 1100 "select count(*) from t"

step "the primary is killed, with a commit that nobody else has"
wait_until 60 "the standby's end" on db2 pg_ctlcluster "$major" main stop -m fast
sql db1 "insert into t values (-1)"
pid=$(head -1 "hosts/db1/var/lib/postgresql/$major/main/postmaster.pid")
# shellcheck disable=SC2046
kill -KILL "$pid" $(cat "/proc/$pid/task/$pid/children")
host_start db2
mkdir -p "old/var/lib/postgresql/$major/main"
cp -r "hosts/db1/var/lib/postgresql/$major/main/pg_wal" "old/var/lib/postgresql/$major/main"
host_bind db2 "$T/old" /mnt/old
echo "synchronous_standby_names = 'gone'" >>"hosts/db2/$etc/conf.d/standby.conf"

page docs/runbooks/failover.md
page_says "host=db2.example.net" "host=/run/hosts/db2"
follow db2 "Is it the right standby?"
follow db2 "Promote"
expect_equal "rows, with the one that only the old disk had" "1101|-1" "$(sql db2 "select count(*), min(i) from t")"
sql db2 "insert into t values (1101)"
follow db2 "How to know that it worked"
follow db1 "The old one comes back, as a standby"
wait_until 60 "streaming" sql_is db1 streaming "select status from pg_stat_wal_receiver"
sql db2 "insert into t values (1102)"
wait_until 60 "the row on the old one" sql_is db1 "1103|-1" "select count(*), min(i) from t"
page_end

step "a recovery to the newest goes over the change"
archived db2
host_stop db1
on db1 rm -rf "/var/lib/postgresql/$major/main" "/var/lib/postgresql/$major/main.external"
on db1 basebackup-fetch -D "/var/lib/postgresql/$major/main"
on db1 recovery-config -D "/var/lib/postgresql/$major/main"
host_start db1
wait_until 60 "the end of the recovery" is_open db1
expect_equal "rows" "1103|-1" "$(sql db1 "select count(*), min(i) from t")"
