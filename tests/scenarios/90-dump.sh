#!/bin/bash
# goal: dump-push, dump-fetch, dump-list, dump-verify, dump-expire: what pg_dump writes comes back as it was, whole or by table; nothing damaged is handed on, nothing half is a dump
# stores:
# turns: file s3
# encrypted: file
# full-versions: file@13 file@17 file@18 file@19
# limit: 300
. "$(dirname "$0")/../lib.sh"

step "a cluster: databases with odd names, large objects, roles, a password"
policy() { # [LINES OF THE REPOSITORY] [OTHER SECTIONS]
    config_write "${1:-}
$(printf '%s\n' "${2:-}")
[hooks]
on_success = $T/hook
on_failure = $T/hook
[dump]
pg_bin = $PG_BIN"
    sed -i "s|^conninfo = .*|conninfo = host=$T/run/main user=keeper password='${password//\\/\\\\\\\\}'|" "$CONFIG"
}
password='s:c\e '$(head -c 18 /dev/urandom | base64 | tr +/ -_)
secret "the password of keeper" "$password" "${password#* }" # the second is in any quoted form, too
printf '#!/bin/bash\necho "$WALFERRY_PROGRAM $WALFERRY_STATUS $WALFERRY_ERROR $WALFERRY_BACKUP $WALFERRY_DONE" >>%q\n' "$T/hooks.log" >hook && chmod 755 hook
told() { expect_equal "what the hook was told" "$1" "$(tail -1 hooks.log)"; } # WHAT
server_create main
echo "archive_mode = off" >>main/postgresql.conf
expect_status 2 dump-push
server_start main
odd=$'o"d\\d \'é/../%s'
psql -X -q -h "$T/run/main" -v ON_ERROR_STOP=1 -v odd="$odd" -v password="$password" <<'SQL'
set log_statement = 'none';
set password_encryption = 'scram-sha-256';
create role keeper superuser login password :'password';
create role owner;
create database shop owner owner;
create database :"odd";
create database closed allow_connections false;
\c shop
create schema app authorization owner;
create table app.orders (id int primary key, text text, at timestamptz default now());
insert into app.orders select i, repeat(md5(i::text), 4), '2026-11-20' from generate_series(1, 150000) i;
create table app.other as select i from generate_series(1, 10) i;
alter table app.orders owner to owner;
grant select on app.other to owner;
create view app.newest as select * from app.orders order by id desc limit 3;
select lo_from_bytea(0, decode(repeat('00ff41', 1000), 'hex')) from generate_series(1, 20);
\c :"odd"
create table "t 'é" as select 1 as i;
SQL
sed -i 's/^local *all *all.*/local all keeper scram-sha-256\n&/' main/pg_hba.conf
server_stop main && server_start main
system=$(system_identifier main)

policy
expect_status 1 dump-push
expect_output "there is no walferry repository here"
expect_status 0 repository-init
expect_status 0 dump-list
expect_output "There is no complete dump of cluster \"main\""
expect_status 0 dump-verify
expect_status 1 dump-fetch --globals -o -
expect_output "there is no complete dump of cluster"
object_list >before

step "all of it is dumped; the password is nobody else's"
expect_status 0 dump-push
expect_output "warning: database \"closed\" takes no sessions and is left out"
first=$(tail -1 <<<"$output")
expect_true "an id" test "${#first}" = 16
told "dump-push 0  $first here"
folder=main/$system/dumps/$first
shop_oid=$(sql main "select oid from pg_database where datname = 'shop'")
expect_equal "pieces of shop" 2 "$(object_list | grep -c "^$folder/$shop_oid-0000000[12] ")"
expect_equal "its names" "" "$(object_list | sed -n "s|^$folder/||p" | grep -Ev '^(([1-9][0-9]*|globals)-[0-9]{8}|started\.json|manifest\.json) ' || true)"
expect_same "the rest of the repository" before <(object_list | grep -v "^$folder/")
expect_status 0 dump-list
expect_output "^$first  .*  3  .*$major\.|^$first  .* $major"
expect_status 0 dump-list --dump latest
expect_output "  shop$"
expect_output "globals\)"
expect_true "the odd name" grep -qF "$odd" <<<"$output"
expect_status 0 dump-list --json
expect_equal "names, as JSON" "$(printf 'postgres\nshop\n%s' "$odd")" \
    "$(python3 -c 'import json, sys; [print(b["name"]) for b in json.load(sys.stdin)["dumps"][0]["databases"]]' <<<"$output")"
expect_status 0 dump-verify
expect_output "$first  verified"

step "restored whole into another cluster: roles, each database, large objects, owners, grants"
server_create copy
echo "archive_mode = off" >>copy/postgresql.conf
server_start copy
roles() { sql "$1" "select rolname, rolsuper, rolpassword from pg_authid order by 1"; }
content() { pg_dump -h "$T/run/$1" --no-password "${@:2}" | grep -v '^\\\(un\)\?restrict '; }
export PGHOST=$T/run/copy
dump-fetch --globals --output - | psql -X -q >globals.log 2>&1
expect_same "roles" <(roles main) <(roles copy)
[ -n "${ENCRYPTED:-}" ] || expect_true "a hash in the globals" grep -q SCRAM <(roles copy)
for database in shop "$odd"; do
    expect_status 0 dump-fetch --database "$database" --create --to postgres
    expect_same "database $database" <(content main "$database") <(content copy "$database")
done
expect_equal "large objects" 20 "$(PGDATABASE=shop sql copy "select count(*) from pg_largeobject_metadata")"

step "the commands of docs/dumps.md"
awk '/^```$/ { on = 0 } on; /^```sh$/ { on = 1 }' "$SOURCE/docs/dumps.md" | sed '/^## Without/,$d; /^for piece/d; s/^psql rescue$/psql -X -c "\\\\d app.orders" rescue/' >commands
expect_true "there are commands" grep -q -- "--table orders" commands
createdb -T template0 rescue && psql -X -q -c "create schema app" rescue
sed -i '/^createdb rescue$/d' commands
expect_status 0 bash -euo pipefail -c "$(cat commands)" -
expect_output "restoring|already exists|id .* integer"
rows() { PGDATABASE=$2 sql "$1" "select * from app.orders order by id" | sha256sum; }
expect_equal "the table" "$(rows main shop)" "$(rows copy rescue)"
expect_equal "tables in rescue" orders "$(PGDATABASE=rescue sql copy "select relname from pg_class where relnamespace = 'app'::regnamespace and relkind in ('r', 'v')")"
expect_equal "the whole one" "$(rows main shop)" "$(rows copy shop_restored)"
expect_equal "by several jobs" "$(rows main shop)" "$(rows copy shop_by_jobs)"
expect_status 1 dump-fetch -d shop -o shop.dump
expect_output "is there already"
expect_equal "mode of the file" 600 "$(stat -c %a shop.dump)"
expect_status 1 dump-fetch -d shop --to shop_restored
expect_output "pg_restore of database \"shop\" failed.*already exists"
expect_output "Nothing was restored"
for wrong in "--database nothing -o x" "--dump 20200101T000000Z -d shop -o x"; do
    # shellcheck disable=SC2086
    expect_status 1 dump-fetch $wrong
    expect_output "has no database \"nothing\"|no complete dump \"2020"
done
for wrong in "-o x" "-d shop" "-d shop -g -o x" "-g --to x" "-d shop -o x -t y" "-d shop --to x -C -t y" "--dump yesterday -d shop -o x"; do
    # shellcheck disable=SC2086
    expect_status 2 dump-fetch $wrong
done
expect_absent x

step "without walferry"
if [ -z "${ENCRYPTED:-}" ]; then
    mkdir by-hand
    for key in $(object_list | sed -n "s|^\($folder/[g0-9][^ ]*\) .*|\1|p"); do object_get "$key" "by-hand/${key##*/}"; done
    awk '/^for piece/' "$SOURCE/docs/dumps.md" | sed "s/16384/$shop_oid/; s|shop.dump|by-hand.dump|" >commands
    expect_status 0 bash -euc "cd by-hand && $(cat commands)"
    expect_same "by hand" shop.dump by-hand/by-hand.dump
    expect_true "the globals" grep -q "CREATE ROLE keeper" by-hand/globals.sql
fi

step "damage: told by dump-verify, and nothing of it is handed on"
piece=$folder/$shop_oid-00000002
createdb nowhere
damage() { # KEY MESSAGE COMMAND: the command changes $T/object
    object_get "$1" object && cp object object.whole
    "${@:3}"
    object_put "$1" object
    expect_status 1 dump-verify --dump "$first"
    expect_output "$2"
    expect_output "$first  DAMAGED|no complete dump"
    expect_status 1 dump-fetch --dump "$first" -d shop --to nowhere
    expect_equal "restored" 0 "$(PGDATABASE=nowhere sql copy "select count(*) from pg_namespace where nspname = 'app'")"
    expect_status 1 dump-fetch --dump "$first" -d shop -o damaged.dump
    expect_absent damaged.dump damaged.dump.walferry
    object_put "$1" object.whole
}
flip() { python3 - "$1" <<'PY'
import sys
data = bytearray(open("object", "rb").read())
data[int(len(data) * float(sys.argv[1]))] ^= 4
open("object", "wb").write(data)
PY
}
damage "$piece" "is damaged" flip 0.5
damage "$piece" "is damaged" flip 0.9999
damage "$piece" "instead of" truncate -s -1 object
other_piece() { object_get "$folder/$shop_oid-00000001" object; }
damage "$piece" "instead of" other_piece
object_get "$piece" object && object_delete "$piece"
expect_status 1 dump-verify
told "dump-verify 1 damage  "
expect_output "has 1 pieces with .* of database \"shop\", instead of 2"
expect_output "00000002\" is missing"
expect_status 1 dump-fetch -d shop --to nowhere
expect_status 0 dump-fetch -d "$odd" -o other.dump
object_put "$piece" object
object_get "$folder/manifest.json" object && cp object object.whole
flip 0.5 && object_put "$folder/manifest.json" object
expect_status 1 dump-list
expect_output "is damaged"
expect_output "$first: damaged"
expect_status 1 dump-fetch -d shop -o damaged.dump
expect_status 1 dump-verify
object_delete "$folder/manifest.json"
expect_status 0 dump-list
expect_output "$first: unfinished"
expect_status 1 dump-fetch -d shop -o damaged.dump
object_put "$folder/manifest.json" object.whole
expect_status 0 dump-verify --no-list
if [ -n "${ENCRYPTED:-}" ]; then
    mv key key.away && head -c 32 /dev/urandom >key && chmod 600 key
    expect_status 1 dump-fetch -d shop -o damaged.dump
    expect_status 1 dump-push
    mv key.away key
fi

step "another cluster has no place there"
sed -i "s|^conninfo = .*|conninfo = host=$T/run/copy user=postgres|" "$CONFIG"
expect_status 1 dump-push
expect_output "does not accept|not accept"
expect_equal "dumps" 1 "$(object_list | grep -c "/dumps/.*/manifest.json")"

step "two repositories: what one has damaged comes from the other; one that is away may be"
mkdir second
policy "" "[repository second]
url = file://$T/second
codec = zstd"
expect_status 0 repository-init
expect_status 0 dump-push --database shop --no-globals
both=$(tail -1 <<<"$output")
object_get "main/$system/dumps/$both/$shop_oid-00000001" object
flip 0.3 && object_put "main/$system/dumps/$both/$shop_oid-00000001" object
rm "second/main/$system/dumps/$both/$shop_oid-00000002"
rm -f both.dump
expect_status 0 dump-fetch -d shop -o both.dump
expect_output "the next one is asked"
expect_true "what it is" pg_restore --list both.dump
expect_status 1 dump-verify --dump latest
expect_status 1 dump-verify --dump latest --repository second
expect_status 1 dump-fetch --dump "$both" --globals -o -
expect_output "has no globals"
mv second second.away
expect_status 1 dump-push --database postgres
expect_output "the dump to repository \"second\" has failed"
half=$(sed -n 's/.*dump \([0-9TZ]*\) is complete in repository "here" all the same$/\1/p' <<<"$output")
expect_true "it is there" object_exists "main/$system/dumps/$half/manifest.json"
sed -i 's/^codec = zstd/required = no/' "$CONFIG"
expect_status 0 dump-push --database postgres
expect_output "which the configuration allows"

step "pg_dump fails, is not there, hangs: no manifest, and what it said"
mkdir bin
cat >bin/pg_dump <<SCRIPT
#!/bin/bash
{ printf '%s\n' "\$*" && env; } >>"$T/pg_dump.told"
case "\$*" in --version | *dbname=\'postgres\'*) exec "$PG_BIN/pg_dump" "\$@" ;; esac
case \$(cat "$T/mode") in
fail) "$PG_BIN/pg_dump" "\$@" | head -c 17000000; echo "pg_dump: error: Dumping the contents of table \"orders\" failed" >&2; exit 3 ;;
kill) "$PG_BIN/pg_dump" "\$@" | head -c 17000000; kill -9 \$\$ ;;
hang) "$PG_BIN/pg_dump" "\$@" | head -c 17000000; echo \$\$ >"$T/hanging"; exec sleep 1000 ;;
warn) echo "pg_dump: warning: something to know" >&2; exec "$PG_BIN/pg_dump" "\$@" ;;
esac
SCRIPT
chmod 755 bin/pg_dump
printf '#!/bin/bash\n{ printf "%%s\\n" "$*" && env; } >>%q\nexec "%s/pg_dumpall" "$@"\n' "$T/pg_dump.told" "$PG_BIN" >bin/pg_dumpall && chmod 755 bin/pg_dumpall
policy $'keep_dumps = 2\norphan_age = 60 min'
sed -i "s|^pg_bin = .*|pg_bin = $T/bin|" "$CONFIG"
dumps() { object_list | sed -n 's|.*/dumps/\(.*\)/manifest.json .*|\1|p'; }
dumps >dumps.before
while read -r mode pattern; do
    echo "$mode" >mode
    expect_status 1 dump-push --database shop --database postgres
    expect_output "$pattern"
    expect_output "pg_dump of database \"shop\""
    told "dump-push 1 server  "
    expect_same "dumps" dumps.before <(dumps)
done <<'MODES'
fail failed with exit status 3: pg_dump: error: Dumping the contents
kill was ended by signal 9
MODES
echo warn >mode
expect_status 0 dump-push --database shop
expect_output "pg_dump: warning: something to know"
third=$(tail -1 <<<"$output")
expect_true "what pg_dump was told" grep -q "passfile='/proc/self/fd/" pg_dump.told
expect_equal "the password in it" 0 "$(grep -cF "${password#* }" pg_dump.told || true)"
dumps >dumps.before
echo hang >mode
stored() { [ "$(object_list | grep -c "/dumps/.*/$shop_oid-00000001 ")" -gt "$1" ]; }
for signal in TERM KILL; do
    pieces=$(object_list | grep -c "/dumps/.*/$shop_oid-00000001 ")
    dump-push --database shop >push.log 2>&1 &
    pusher=$!
    wait_until 30 "a piece" stored "$pieces"
    kill -$signal $pusher
    status=0
    wait $pusher || status=$?
    cat push.log
    expect_equal "how SIG$signal ended it" $((128 + $(kill -l $signal))) "$status"
    no_dump() { [ -s hanging ] && [ ! -d "/proc/$(cat hanging)" ]; }
    wait_until 10 "the end of pg_dump" no_dump
    [ "$signal" = KILL ] || told "dump-push 1 interrupted  "
    expect_same "dumps after SIG$signal" dumps.before <(dumps)
done
sed -i "s|^pg_bin = .*|pg_bin = $T/nowhere|" "$CONFIG"
expect_status 1 dump-push
expect_output "pg_dump of PostgreSQL $major or later was not found"
expect_output "pg_bin in section \[dump\]"
sed -i "s|^pg_bin = .*|pg_bin = $PG_BIN|" "$CONFIG"
expect_status 1 dump-push --database nothing
expect_output "there is no database \"nothing\""
expect_status 1 dump-push --database closed
expect_output "takes no sessions"

step "a disk that is full"
mkdir small
sed "s|^url = .*|url = file://$T/small|; s|^state_dir.*|state_dir = $T/small-state|" "$CONFIG" >small.conf && chmod 600 small.conf
# shellcheck disable=SC2016
# in one namespace: a file system of 3 MiB is made, filled, and gone
expect_status 0 unshare --user --map-current-user --keep-caps --mount bash -c '
    set -e; mount -t tmpfs -o size=2m none small; export WALFERRY_CONFIG=$PWD/small.conf
    sed -i "s/^\(access_key\|secret_key\|region\|endpoint\|ca_file\|header\).*//" small.conf
    repository-init; dump-push --database postgres; head -c 1300000 /dev/zero >small/full || true
    if dump-push --database shop; then exit 3; fi
    dump-list; ls small/main/*/dumps/*/manifest.json | wc -l'
expect_output "No space left on device"
expect_output "^1$"

step "what expires: keep_dumps, months, what was given up; nothing else"
expect_status 0 dump-push
third=$(tail -1 <<<"$output")
expect_status 0 dump-push
fourth=$(tail -1 <<<"$output")
object_list | grep -v /dumps/ >others.before
expect_status 0 dump-expire --dry-run
expect_output "$first would go"
expect_output "$third stays: keep_dumps"
expect_output "$fourth stays: the newest, keep_dumps"
expect_equal "unfinished ones" 4 "$(grep -c "stays: unfinished" <<<"$output")"
expect_true "a dry run removes nothing" object_exists "$folder/manifest.json"
expect_status 0 dump-expire
expect_output "[0-9]+ objects were removed"
expect_equal "dumps" "$third
$fourth" "$(dumps)"
told "dump-expire 0   here"
expect_equal "of the first" "" "$(object_list | grep "$first" || true)"
expect_same "the rest of the repository" others.before <(object_list | grep -v /dumps/)
if [ "$STORE" = file ]; then
    for file in repository/main/"$system"/dumps/*; do
        [ -e "$file/manifest.json" ] || find "$file" -name '*.json' -exec touch -d '2 hours ago' {} +
    done
    expect_status 0 dump-expire --json
    expect_equal "folders" "$third
$fourth" "$(ls "repository/main/$system/dumps")"
    sed -i 's/^keep_dumps = 2/keep_dumps_for = 60 min/' "$CONFIG"
    find repository/main/"$system"/dumps -name '*.json' -exec touch -d '2 hours ago' {} +
    expect_status 0 dump-expire # by the later of two clocks they are young
    expect_equal "dumps" 2 "$(dumps | wc -l)"
fi
sed -i '/^keep_dumps/d; /^orphan_age/d' "$CONFIG"
expect_status 0 dump-expire
expect_output "has no retention policy for dumps"
object_list | grep /dumps/ >dumps.before
sed -i "s|^url = .*|&\nkeep_last = 1|" "$CONFIG"
expect_status 0 basebackup-expire
expect_same "dumps, after basebackup-expire" dumps.before <(object_list | grep /dumps/)
expect_status 0 basebackup-verify
expect_status 0 dump-verify

step "whoever may not read passwords dumps the roles without"
sql main "create role reader login"
sed -i "s|^conninfo = .*|conninfo = host=$T/run/main user=reader|" "$CONFIG"
expect_status 0 dump-push --database postgres
expect_output "warning: the roles are dumped without their passwords"
dump-fetch -g -o - >globals.sql
expect_true "roles" grep -q "CREATE ROLE keeper" globals.sql
expect_equal "passwords" 0 "$(grep -c SCRAM globals.sql || true)"
server_stop main
server_stop copy
