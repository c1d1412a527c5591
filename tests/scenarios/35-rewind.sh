#!/bin/bash
# goal: a former primary is rewound with pg_rewind -c: wal-fetch brings what its pg_wal has no longer, outside of any recovery
# stores: file s3
. "$(dirname "$0")/../lib.sh"

step "a primary and a standby; the standby is promoted, and the former primary goes on"
config_write $'[wal-fetch]\ntimeout = 2\nhistory_wait = 2'
server_create main --data-checksums --wal-segsize=1
echo "restore_command = '$PROGRAMS/wal-fetch --config $CONFIG %f \"%p\"'" >>main/postgresql.conf
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t as select 'before' as who, i from generate_series(1, 1000) i"
expect_status 0 basebackup-push --checkpoint=fast
sql main "insert into t values ('both', 1)"
archived main
expect_status 0 basebackup-fetch -D "$T/second"
expect_status 0 recovery-config -D "$T/second" --standby
server_start second
has_row() { sql_is "$1" 1 "select count(*) from t where who = '$2' and i = $3"; }
wait_until 60 "the row on the standby" has_row second both 1
pg_ctl -D second -s -w promote
wait_open second
sql second "insert into t values ('second', 1)" "update t set i = -i where i = 7" "checkpoint"
archived second
for i in 1 2 3 4; do sql main "insert into t values ('main', $i)" "delete from t where i = 100 + $i" "select pg_switch_wal()" >/dev/null; done
archived main
current=$(sql main "select pg_walfile_name(pg_current_wal_insert_lsn())")
server_stop main
server_stop second
for segment in $(cd main/pg_wal && printf '%s\n' 00000001???????????????? | awk -v current="$current" '$0 < current'); do # they are in the archive only
    expect_true "$segment is archived" object_exists "$(wal_key "$segment")"
    rm "main/pg_wal/$segment"
done

step "while the store is away it fails, and the directory is as it was"
cp -r main untouched
if [ "$STORE" = file ]; then mv repository away; else sed -i.good 's|^endpoint.*|endpoint = https://127.0.0.1:9|' "$CONFIG"; fi
expect_status 1 pg_rewind -c -D "$T/main" --source-pgdata="$T/second"
expect_output "wal-fetch: error"
# With a relative path it is no server that changes its timeline either, so nothing is waited for or advised that is meant for one.
expect_status 1 timeout 30 pg_rewind -c -D main --source-pgdata=second
expect_equal "advice meant for a server" "" "$(grep -i "do not start" <<<"$output" || true)"
if [ "$STORE" = file ]; then mv away repository; else mv "$CONFIG.good" "$CONFIG"; fi
expect_equal "files that changed" "" "$(diff -rq untouched main || true)"
rm -rf untouched

step "with the store: rewound, and a standby of the new primary from the archive alone" # wound: wal-g#904, plugin-barman-cloud#1007, pgbackrest#1357, #2768
expect_status 1 pg_rewind -D "$T/main" --source-pgdata="$T/second" # without -c the WAL is missing: the fetch is really needed
expect_status 0 pg_rewind -c -D "$T/main" --source-pgdata="$T/second"
expect_output "rewinding from last common checkpoint"
expect_equal "left by wal-fetch" "" "$(find main -name '*.walferry*')"
expect_status 0 recovery-config -D "$T/main" --standby
server_start second
sql second "insert into t values ('second', 2)"
archived second
server_start main
wait_until 60 "the new primary's row on the former one" has_row main second 2
expect_equal "rows of the former primary's own" 0 "$(sql main "select count(*) from t where who = 'main'")"
rows="select md5(string_agg(who || i, ',' order by who, i)) from t"
expect_equal "rows" "$(sql second "$rows")" "$(sql main "$rows")"
expect_true "it is a standby" sql_is main t "select pg_is_in_recovery()"
