#!/bin/bash
# goal: README's set-up and recovery, as they stand there, on a machine that has PostgreSQL and nothing else of ours
# stores: s3
# round: 1/2
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"

step "a machine with the source, built, and a cluster whose configuration is in its data directory"
host db
root=$T/hosts/db
rm -r "$root/.local/bin" "$root/var/lib/walferry" "$root/var/backups/walferry"
mkdir "$root/source"
tar -C "$SOURCE" -c --exclude=./tests/ceph --exclude=./tests/swift . | tar -C "$root/source" -x # those have the S3 servers' keys
mkdir -p "$root/source/build" && cp -r "$PROGRAMS" "$root/source/build/bin" # "make" finds them newer than the source: other tests build
data=/var/lib/postgresql/$major/main
on db "$PG_BIN/initdb" -D "$data" -A trust --no-sync --wal-segsize=1 >initdb.log
cat >>"$root$data/postgresql.conf" <<'CONF'
listen_addresses = ''
dynamic_shared_memory_type = mmap
shared_buffers = 32MB
fsync = off
CONF
pg() { on db "$PG_BIN/pg_ctl" -D "$data" -l "$data.log" -s -w "$@"; }
pg start
sql_there() { PGPORT=5433 sql db "$1"; }
sql_is_there() { [ "$(sql_there "$2")" = "$1" ]; }

page docs/install.md
page_directory=/source
follow db "From source"
page_directory=
page_end
expect_true "the programs are installed" on db test -x /usr/local/bin/wal-push
expect_true "so are their pages" on db test -s /usr/local/share/man/man1/wal-push.1

page README.md
page_says 's3://my-bucket/pg' "s3://$S3_BUCKET/$S3_PREFIX"
page_says 'region = eu-central-1' "region = $S3_REGION
endpoint = $S3_ENDPOINT
ca_file = $S3_CA
access_key = $S3_ACCESS_KEY
secret_key = $S3_SECRET_KEY"
cp page/text/ini.1 "$root/etc/walferry.conf" && chmod 600 "$root/etc/walferry.conf"
follow db "Set-up of a real server, in five minutes#1"
cat page/text/ini.2 >>"$root$data/postgresql.conf"
pg restart
sql db "create table t as select generate_series(1, 100) i"
follow db "Set-up of a real server, in five minutes#2"
sql db "insert into t values (101)"
sleep 0.1
instant=$(sql db "select clock_timestamp()")
sleep 0.1
sql db "drop table t"
archived db
page_says '2026-11-19 14:29:59+00' "$instant"
page_says ' -w start' " -o '-c port=5433' -w start" # "beside a server that still runs"
follow db "Recover: yesterday, 14:29:59"
wait_until 60 "the target" sql_is_there t "select pg_is_wal_replay_paused()"
sql_there "select pg_wal_replay_resume()"
wait_until 60 "the end of the recovery" sql_is_there f "select pg_is_in_recovery()"
expect_equal "rows" 101 "$(sql_there "select count(*) from t")"
on db "$PG_BIN/pg_ctl" -D "${data%/main}/restored" -s -w stop
pg stop
page_end
