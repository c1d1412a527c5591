#!/bin/bash
# goal: docs/runbooks/new-standby.md, as it stands there: a standby from the repository, that streams
# stores: file
# round: 0/5
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
sql db1 "create table t as select generate_series(1, 1000) i"
echo "primary_conninfo = 'host=/run/hosts/former user=replication'" >>"hosts/db1/var/lib/postgresql/$major/main/postgresql.auto.conf" # it was a standby once
echo "primary_slot_name = 'former'" >>"hosts/db1/var/lib/postgresql/$major/main/postgresql.auto.conf"
on db1 basebackup-push --checkpoint=fast
sql db1 "insert into t select generate_series(1001, 1100)"
on db2 pg_createcluster "$major" main >created # as the package does

page docs/runbooks/new-standby.md
page_says "host replication replication 192.0.2.7/32 scram-sha-256" "local replication replication trust"
page_says "host=db1.example.net" "host=/run/hosts/db1"
follow db1 "On the primary"
follow db2 "On the new machine"
wait_until 60 "streaming" sql_is db2 streaming "select status from pg_stat_wal_receiver"
sql db1 "insert into t values (1101)"
wait_until 60 "the row on the standby" sql_is db2 1101 "select count(*) from t"
follow db2 "How to know that it worked#1"
expect_output "streaming"
follow db1 "How to know that it worked#2"
expect_output "db2"
page_end
