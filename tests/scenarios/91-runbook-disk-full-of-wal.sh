#!/bin/bash
# goal: docs/runbooks/disk-full-of-wal.md, as it stands there: the archive is away, the disk of pg_wal really fills, the server ends; pg_wal moves, the archive drains, no commit is lost
# stores: file
# round: 4/5
if [ -z "${WAL_DISK:-}" ] && unshare --user --map-current-user --keep-caps --mount true 2>/dev/null; then # a disk of its own, for the hosts to have
    WAL_DISK=1 exec unshare --user --map-current-user --keep-caps --mount bash "$0"
fi
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

mkdir disk room
mount -t tmpfs -o size=24m,mode=700 wal "$T/disk"
host db
host_bind db "$T/disk" /mnt/wal
host_bind db "$T/room" /mnt/room
host_config db $'[repository local]\nurl = file:///var/backups/walferry\n[wal-push]\ntimeout = 2'
mkdir disk/pg_wal
host_cluster db --waldir=/mnt/wal/pg_wal
on db repository-init
sql db "alter system set max_wal_size = '4MB'" "alter system set min_wal_size = '2MB'" "select pg_reload_conf()" >reloaded
sql db "create table t (i int, filler text)"
on db basebackup-push --checkpoint=fast

step "the archive is away, and the disk fills"
chmod -R a-w hosts/db/var/backups/walferry
rows=0
while sql db "insert into t select i, repeat('x', 2000) from generate_series($rows + 1, $rows + 500) i" >>inserted 2>&1; do
    rows=$((rows + 500))
    [ $rows -lt 50000 ] || fail "the disk does not fill"
done
echo "$rows rows are committed"
tail -n 3 hosts/db/var/log/postgresql/*.log
page docs/runbooks/disk-full-of-wal.md
running=1
if sql db "select 1" >/dev/null 2>&1; then
    chmod -R u+w hosts/db/var/backups/walferry
    follow db "If the server still runs"
    chmod -R a-w hosts/db/var/backups/walferry
    host_stop db immediate
else
    running=0 # as it mostly is here
fi
wait_until 30 "the end of the server" on db bash -c "! $PG_BIN/pg_ctl -D /var/lib/postgresql/$major/main status"
follow db "Look"
data=hosts/db/var/lib/postgresql/$major
step "the new disk is too small, or the server runs: nothing is moved"
mount -t tmpfs -o size=1m,mode=700 small "$T/room"
paste db "If the server is down: room first"
expect_output "No space left on device"
umount "$T/room"
expect_equal "pg_wal leads to" /mnt/wal/pg_wal "$(readlink "$data/main/pg_wal")"
echo $$ >"$data/main/postmaster.pid" # a living process: pg_ctl takes it for the server
paste db "If the server is down: room first"
rm "$data/main/postmaster.pid"
expect_equal "pg_wal leads to" /mnt/wal/pg_wal "$(readlink "$data/main/pg_wal")"
expect_equal "what is in the room" "" "$(ls room)"
follow db "If the server is down: room first"
expect_output "pg_wal is now in"
chmod -R u+w hosts/db/var/backups/walferry
follow db "Start, and let it drain"
follow db "How to know that it worked"
expect_output "0 errors"
[ "$running" = 1 ] || follow db "If the server still runs" # now it does
expect_equal "rows" "$rows" "$(sql db "select count(*) from t where i <= $rows")"
page_end
host_stop db
umount "$T/disk"
