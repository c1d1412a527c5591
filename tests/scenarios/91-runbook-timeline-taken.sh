#!/bin/bash
# goal: docs/runbooks/timeline-taken.md, as it stands there: a copy was started by hand and archives; production's own timeline is recovered, the copy's goes aside
# stores: file
# round: 2/5
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

mkdir -m 700 repository
for name in db copy; do
    host $name
    host_bind $name "$T/repository" /var/backups/walferry
    host_config $name
done
host_cluster db
on db repository-init
sql db "create table t as select generate_series(1, 1000) i"
on db basebackup-push --checkpoint=fast
archived db

step "somebody restores it by hand, and it archives"
data=/var/lib/postgresql/$major/main
on copy basebackup-fetch -D "$data"
mkdir -p "hosts/copy/etc/postgresql/$major"
cp -a "hosts/copy$data.external/etc/postgresql/$major/main" "hosts/copy/etc/postgresql/$major"
echo "restore_command = '/usr/local/bin/wal-fetch %f %p'" >>"hosts/copy$data/postgresql.auto.conf"
touch "hosts/copy$data/recovery.signal"
host_start copy
wait_until 60 "the end of its recovery" is_open copy
sql copy "insert into t values (-1)"
archived copy
sql db "insert into t values (1001)"
archived db

page docs/runbooks/timeline-taken.md
follow db "Look"
expect_output "timeline 2, the latest"
follow copy "Decide which one lives on"
expect_equal "its archive_mode" off "$(sql copy "show archive_mode")"
follow db "The one that lives on was refused, or the other's timeline is the newer one"
page_commands "... is in repository ... already" >make_room.sh
REPO=$T/repository/main/$(on db "$PG_BIN/pg_controldata" -D "$data" | sed -n "s/^Database system identifier: *//p") REFUSED=00000002.history expect_status 0 sh -eu make_room.sh
follow db "How to know that it worked"
expect_output "0 errors"
expect_equal "timelines" 1 "$(grep -c '^timeline' <<<"$output")"
page_end

step "production's timeline, as it was recovered meanwhile"
host_stop db
on db mv "$data" "$data.before"
on db mv "${data%main}restored" "$data"
host_start db
wait_until 60 "the end of the recovery" is_open db
expect_equal "rows" "1001|1" "$(sql db "select count(*), min(i) from t")"
