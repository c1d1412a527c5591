#!/bin/bash
# goal: dump programs: what goes wrong at night is an error and not a success: a mistyped table, two calls for one file, a newer dump that can't be read, a pg_dump that writes nothing or stands still
# stores: file
# limit: 200
. "$(dirname "$0")/../lib.sh"

step "a cluster with two databases, and a dump of it"
server_create main
echo "archive_mode = off" >>main/postgresql.conf
server_start main
psql -X -q -h "$T/run/main" -v ON_ERROR_STOP=1 <<'SQL'
create database shop;
create database other;
create database rescue;
\c shop
create schema app;
create table app.orders as select i, repeat(md5(i::text), 4) as text from generate_series(1, 60000) i;
\c rescue
create schema app;
SQL
system=$(system_identifier main)
config() { # [LINES OF THE REPOSITORY] [LINES OF DUMP]
    config_write "${1:-}
[dump]
pg_bin = $PG_BIN
${2:-}"
}
config
export PGHOST=$T/run/main
expect_status 0 repository-init
expect_status 0 dump-push
first=$(tail -1 <<<"$output")
dumps=$T/repository/main/$system/dumps
tables() { PGDATABASE=rescue sql main "select relname from pg_class where relnamespace = 'app'::regnamespace"; }

step "a table that is not in the dump is an error, and so is one with its schema in its name"
for table in app.orders order; do
    expect_status 1 dump-fetch -d shop --table $table --to rescue
    expect_output "\"$table\" not found"
done
expect_status 1 dump-fetch -d shop --schema App --to rescue
expect_output "\"App\" not found"
expect_status 1 dump-fetch -d shop --table app.orders --to rescue
expect_output "hint: .*--schema \"app\" --table \"orders\""
expect_equal "restored" "" "$(tables)"
expect_status 0 dump-fetch -d shop --schema app --table orders --to rescue
expect_equal "restored" orders "$(tables)"

step "two calls for one file: one of them gets it, and it is what that one wrote; a file beside it is nobody's"
echo mine >x.walferry && chmod 666 x.walferry
dump-fetch -q -d shop -o x >shop.log 2>&1 &
fetcher=$!
status_other=0 status_shop=0
dump-fetch -q -d other -o x >other.log 2>&1 || status_other=$?
wait $fetcher || status_shop=$?
cat shop.log other.log
expect_equal "failures" 1 $((status_shop + status_other))
expect_true "what it is" grep -q "dbname: $([ $status_shop = 0 ] && echo shop || echo other)" <<<"$(pg_restore --list x)"
expect_equal "its mode" 600 "$(stat -c %a x)"
expect_equal "the file beside it" mine "$(cat x.walferry)"
rm x x.walferry

step "where a newer dump can't be read, the one before is not taken for the newest"
sleep 1
expect_status 0 dump-push --database shop
second=$(tail -1 <<<"$output")
mv "$dumps/$second/manifest.json" manifest.json && mkdir "$dumps/$second/manifest.json"
expect_status 1 dump-fetch -d shop -o x
expect_output "dump $second in repository \"here\" is newer, but its manifest"
expect_output "hint: --dump $first takes the older one"
expect_absent x
rmdir "$dumps/$second/manifest.json"
sed 's/"databases"/"databasez"/' manifest.json >"$dumps/$second/manifest.json"
expect_status 1 dump-fetch -d shop --to other
expect_status 0 dump-fetch --dump "$first" -d shop -o x
mv manifest.json "$dumps/$second/manifest.json"
config "[repository away]
url = file://$T/away"
rm x
expect_status 0 dump-fetch -d shop -o x
expect_output "warning: repository \"away\" could not be asked: a newer dump than $second may be there"
config
rm x

step "no database that nobody has named is restored into"
for wrong in "" "host=$T/run/main" "postgresql://%2ftmp/" "dbname=''"; do
    expect_status 2 env -u PGDATABASE dump-fetch --dump "$first" -d other --to "$wrong"
    expect_output "--to is empty|--to names no database"
done
expect_status 2 dump-fetch -d shop --output ""
expect_status 2 dump-fetch -d "" --output x
expect_status 0 dump-fetch --dump "$first" -d other --to "host=$T/run/main" # PGDATABASE

step "a pg_dump that writes nothing, or something else, and says 0"
mkdir bin
for program in pg_dump pg_dumpall pg_restore; do
    printf '#!/bin/bash\ncase "$*:$(cat %q)" in --version:* | *:whole) exec %q "$@" ;; *:%s) shift ;; *) exec %q "$@" ;; esac\n' "$T/mode" "$PG_BIN/$program" "$program-*" "$PG_BIN/$program" >bin/$program
    cat >>bin/$program <<SCRIPT
case \$(cat $T/mode) in
*-text) echo "something to say" ;;
*-stall) echo \$\$ >$T/stalled; exec sleep 1000 ;;
esac
SCRIPT
    chmod 755 bin/$program
done
config "" "" && sed -i "s|^pg_bin = .*|pg_bin = $T/bin|" "$CONFIG"
for mode in pg_dump-nothing pg_dump-text pg_dumpall-nothing; do
    echo $mode >mode
    expect_status 1 dump-push
    expect_output "error: ${mode%-*} of .* wrote (nothing|something else than a dump)"
done
expect_status 0 dump-list
expect_equal "dumps" 2 "$(ls "$dumps"/*/manifest.json | wc -l)"

step "what a standby has not replayed is not claimed"
config
pg_basebackup -h "$T/run/main" -D standby -R -c fast
server_start standby
replayed() { [ "$(sql main "select replay_lsn >= pg_current_wal_lsn() from pg_stat_replication")" = t ]; }
sql main "create table until as select now()" >/dev/null
wait_until 30 "the standby" replayed
sql standby "select pg_wal_replay_pause()" >/dev/null
sleep 2
sql main "insert into until select now()" >/dev/null
sed -i "s|^conninfo = .*|conninfo = host=$T/run/standby user=postgres|" "$CONFIG"
expect_status 0 dump-push --database postgres
expect_status 0 dump-list --dump latest
expect_output "from a standby"
expect_status 0 dump-list --dump latest --json
until=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["dumps"][-1]["databases"][0]["started"])' <<<"$output")
expect_equal "claims the commit that it lacks" f "$(sql main "select '$until'::timestamptz >= max(now) from until")"
expect_equal "claims the one that it has" t "$(sql main "select '$until'::timestamptz >= min(now) from until")"
server_stop standby
config

step "pieces that came before the rest are no rubbish yet; a dump of one database pushes out none of another"
config $'keep_dumps = 1\norphan_age = 60 min'
copied=$dumps/20261101T000000Z
mkdir "$copied" && cp "$dumps/$first"/*-0000* "$copied"
expect_status 0 dump-expire --dry-run
expect_output "20261101T000000Z stays: unfinished"
expect_output "$first stays: keep_dumps, the newest of a database"
find "$copied" -exec touch -d '2 hours ago' {} +
expect_status 0 dump-expire
expect_absent "$copied"
config

step "a program that stands still is ended, and nothing of it is left"
config "" "stall_timeout = 2" && sed -i "s|^pg_bin = .*|pg_bin = $T/bin|" "$CONFIG"
for mode in pg_dump-stall pg_dumpall-stall; do
    echo $mode >mode
    expect_status 1 timeout 30 dump-push --database shop
    expect_output "error: ${mode%-*} of .* has stood still for 2 seconds"
    wait_until 10 "the end of ${mode%-*}" test ! -d "/proc/$(cat stalled)"
done

step "the newest dump is missing in one repository: that one is not right by its old one"
mkdir second
config "[repository second]
url = file://$T/second"
expect_status 0 repository-init
expect_status 0 dump-push --database postgres
sleep 1
expect_status 0 dump-push --database postgres
newest=$(tail -1 <<<"$output")
rm -r "second/main/$system/dumps/$newest"
expect_status 1 dump-verify --dump latest
expect_output "no complete dump \"$newest\" in repository \"second\""
expect_status 0 dump-verify --dump latest --repository second
sed -i "s|^url = .*/second|&\nrequired = no|" "$CONFIG"
expect_status 0 dump-verify --dump latest
expect_output "warning: dump $newest, the newest, is not in repository \"second\""

step "what a template has is not left out without a word; a message behind many others is found; a reader that stands does not hold us"
config
sql main "create database tenant is_template true" >/dev/null
expect_status 0 dump-push
expect_output "warning: database \"tenant\" is a template and is left out"
cat >bin/pg_dump <<SCRIPT
#!/bin/bash
case "\$*" in --version) exec "$PG_BIN/pg_dump" "\$@" ;; esac
for i in {1..400}; do echo "pg_dump: warning: there are circular foreign-key constraints on this table"; done >&2
echo "pg_dump: error: the reason, in \$LC_ALL" >&2
exit 1
SCRIPT
sed -i "s|^pg_bin = .*|pg_bin = $T/bin|" "$CONFIG"
echo whole >mode
expect_status 1 env LC_ALL=C.UTF-8 dump-push --database shop
expect_output "failed with exit status 1: pg_dump: error: the reason, in C$"
config
mkfifo pipe
exec {reading}<>pipe # it is open, and nobody reads it
dump-fetch -q -d shop -o - >pipe 2>fetch.log &
fetcher=$!
sleep 1
expect_true "dump-fetch waits" kill -0 $fetcher
kill -TERM $fetcher
gone() { ! kill -0 $fetcher; }
wait_until 5 "the end of dump-fetch" gone
exec {reading}>&-

server_stop main
