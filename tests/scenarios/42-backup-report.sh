#!/bin/bash
# goal: what is known of a backup: annotations, wrong pages that were tolerated, databases and tablespaces with their sizes, files; results as JSON
# stores: file
# full-stores: s3
# full-versions: file@13 s3@19
. "$(dirname "$0")/../lib.sh"

step "a server with two databases of its own and a tablespace"
config_write
server_create main --data-checksums
echo "autovacuum = off" >>main/postgresql.conf # it would write over damaged pages
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
mkdir space
sql main "create tablespace space location '$T/space'"
sql main "create database one"
sql main "create database \"zwei \"\"ü\"\"\" tablespace space"
sql main "create database closed"
sql main "alter database closed allow_connections false"
PGDATABASE=one sql main "create table t as select i, repeat('x', 500) as pad from generate_series(1, 20000) i" "create table u as select i from generate_series(1, 5000) i" "checkpoint"
json() { # FILE EXPRESSION: of the document d
    python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
assert eval(sys.argv[2]), (sys.argv[2], d)' "$1" "$2" || fail "$1: not so: $2"
}
push() { # STATUS OPTION...: its result is in result.json, its messages in $messages
    local expected=$1 status=0
    shift
    basebackup-push --checkpoint=fast --json "$@" >result.json 2>push.log || status=$?
    messages=$(cat push.log)
    echo "\$ basebackup-push $* -> $status" && cat push.log
    expect_equal "status" "$expected" $status
    json result.json "d['program'] == 'basebackup-push' and d['status'] == $expected"
}

step "annotations are kept as they were given; what is too much is refused"
push 0 --label "nightly" --annotation ticket=OPS-4711 --annotation "before=the \"ümläut\" = 日本" --annotation empty=
id=$(python3 -c 'import json; print(json.load(open("result.json"))["id"])')
json result.json "d['annotations'] == {'ticket': 'OPS-4711', 'before': 'the \"ümläut\" = 日本', 'empty': ''}"
json result.json "d['repositories'] == [{'name': 'here', 'required': True, 'complete': True, 'codec': 'lz4', 'stored_bytes': d['stored_bytes']}] and 'error' not in d"
json result.json "d['plain_bytes'] > d['stored_bytes'] > 0 and d['file_count'] > 1000 and d['bytes_per_second'] > 0 and 0 < d['seconds'] < 300"
json result.json "d['label'] == 'nightly' and not d['from_standby'] and not d['wal_included'] and d['timeline'] == 1 and d['page_errors'] == 0"
expect_status 2 basebackup-push --annotation novalue
expect_status 2 basebackup-push --annotation "=value"
expect_status 2 basebackup-push --annotation "a key=value"
expect_status 2 basebackup-push --annotation "$(printf 'k%.0s' $(seq 65))=value"
expect_status 2 basebackup-push --annotation "key=$(printf 'v%.0s' $(seq 1001))"
expect_status 2 basebackup-push --annotation $'key=\xff'
expect_status 2 basebackup-push --annotation key=1 --annotation key=2
many=()
for i in $(seq 33); do many+=(--annotation "key$i=$i"); done
expect_status 2 basebackup-push "${many[@]}"
expect_output "at most 32"

step "one backup in detail"
expect_status 0 basebackup-list --backup "$id"
expect_output "^label +nightly$"
expect_output "^annotations +ticket = OPS-4711$"
expect_output "^ +before = the \"ümläut\" = 日本$"
expect_output "^WAL +[0-9A-F/]+ to [0-9A-F/]+ on timeline 1, in the archive$"
expect_output "^taken from +the primary$"
expect_output " zwei \"ü\"$"
expect_output " space  .*/space$"
basebackup-list --backup latest --json >detail.json
json detail.json "d['id'] == '$id' and d['repository'] == 'here'"
bytes() { (cd "$1" && find . -type f ! -name 'pg_internal.init*' -printf '%s\n') | awk '{ sum += $1 } END { printf "%d", sum }'; } # DIRECTORY
rm -rf copy copy.space
expect_status 0 basebackup-fetch --backup "$id" -D "$T/copy" -T "$T/space=$T/copy.space"
for database in one "zwei \"ü\"" closed postgres template0; do
    oid=$(PGDATABASE=postgres sql main "select oid from pg_database where datname = \$\$$database\$\$")
    directory=copy/base/$oid
    [ -d "$directory" ] || directory=$(echo copy.space/PG_*/"$oid")
    json detail.json "[(x['oid'], x['bytes']) for x in d['databases'] if x['name'] == '''$database'''] == [($oid, $(bytes "$directory"))]"
done
json detail.json "len(d['databases']) == 6 and all(x['files'] > 100 for x in d['databases'])"
json detail.json "[(x['name'], x['bytes']) for x in d['tablespaces']] == [('space', $(bytes copy.space))]"

step "its files, one a line"
basebackup-list --backup "$id" --files >files
expect_equal "as many as the manifest says" "$(python3 -c 'import json; print(json.load(open("detail.json"))["file_count"])')" "$(wc -l <files)"
(cd copy && find . ! -path './pg_tblspc/*' -type f -printf '%P %s\n' && cd ../copy.space && oid=$(ls "$T/copy/pg_tblspc") && find . -type f -printf "pg_tblspc/$oid/%P %s\n") | LC_ALL=C sort >expected
awk '{ print $3, $1 }' files | LC_ALL=C sort >found
expect_same "paths and sizes" expected found
expect_equal "their parts" "" "$(awk '{ print $2 }' files | sort -u | grep -Ev '^(main|[0-9]+)-[0-9]{8}$' || true)"
basebackup-list --backup "$id" --files --json >files.json
json files.json "d['id'] == '$id' and len(d['files']) == $(wc -l <files) and sum(f['bytes'] for f in d['files']) == $(awk '{ sum += $1 } END { printf "%d", sum }' files)"
expect_status 2 basebackup-list --files
expect_status 2 basebackup-list --backup nonsense
expect_status 1 basebackup-list --backup 20200101T000000Z-00000001-0000000001000028
expect_output "there is no complete backup"

step "wrong pages: all are found and told, and the policy decides"
t=$(PGDATABASE=one sql main "select pg_relation_filepath('t')") u=$(PGDATABASE=one sql main "select pg_relation_filepath('u')")
cp "main/$t" whole.t && cp "main/$u" whole.u
for block in $(seq 3 5 1303); do printf 'damage' | dd of="main/$t" bs=1 seek=$((block * 8192 + 4000)) conv=notrunc status=none; done
printf '\0\0' | dd of="main/$u" bs=1 seek=$((2 * 8192 + 14)) conv=notrunc status=none
push 1
json result.json "d['error'].startswith('invalid page in file') and d['page_errors'] == 262 and len(d['page_error_list']) == 262 and 'id' not in d"
expected=$(python3 -c 'import json, struct
d = json.load(open("result.json"))
for e in d["page_error_list"]:
    if "found" in e:
        page = open("main/" + e["file"], "rb").read()[e["block"] * 8192:][:8192]
        assert struct.unpack_from("<H", page, 8)[0] == e["found"] != e["expected"], e
print([(e["file"], e["block"]) for e in d["page_error_list"]] == sorted((e["file"], e["block"]) for e in d["page_error_list"]),
      [e["block"] for e in d["page_error_list"] if e["file"].endswith("'"${t##*/}"'")] == list(range(3, 1304, 5)))')
expect_equal "in order, and every block" "True True" "$expected"
expect_true "the log is short: $(grep -c "invalid page" push.log) lines" test "$(grep -c "invalid page in" push.log)" = 6
expect_true "how many more" grep -q "256 more invalid pages in file \"$t\"" push.log
expect_equal "backups" 1 "$(basebackup-list --json | grep -c '"id"')"
push 0 --page-errors=warn
json result.json "d['page_errors'] == 262 and 'error' not in d"
expect_true "a warning in the end" grep -q "warning: backup .* holds 262 invalid pages" push.log
bad=$(python3 -c 'import json; print(json.load(open("result.json"))["id"])')
expect_status 0 basebackup-list
expect_output "$bad: 262 pages"
basebackup-list --backup "$bad" --json >detail.json
json detail.json "len(d['page_error_list']) == 262"
basebackup-list --backup "$bad" >detail
expect_true "for people too" grep -Eq "^ +1303 +[0-9A-F]{4} +[0-9A-F]{4}  $t$" detail
expect_true "an empty header" grep -Eq "^ +2 +- +-  $u$" detail
rm -rf copy copy.space
expect_status 0 basebackup-fetch --backup "$bad" -D "$T/copy" -T "$T/space=$T/copy.space"
expect_output "warning: .*262 pages"
expect_same "what was there was taken" "main/$t" "copy/$t"
expect_status 2 basebackup-push --page-errors=perhaps

step "more than a thousand are counted, and a thousand listed"
python3 -c 'import sys
data = bytearray(open(sys.argv[1], "rb").read())
for block in range(1100): data[block * 8192 + 5000] ^= 1
open(sys.argv[1], "r+b").write(data)' "main/$t"
push 0 --page-errors=warn
json result.json "d['page_errors'] > 1000 and len(d['page_error_list']) == 1000"
basebackup-list --backup latest >detail
expect_true "how many more" grep -Eq "^and [0-9]+ more$" detail
cp whole.t "main/$t" && cp whole.u "main/$u"

step "a restore has a result, too"
rm -rf copy copy.space
basebackup-fetch --json --backup "$id" -D "$T/copy" -T "$T/space=$T/copy.space" >result.json 2>fetch.log || fail "$(cat fetch.log)"
json result.json "d['program'] == 'basebackup-fetch' and d['status'] == 0 and d['id'] == '$id' and d['repository'] == 'here' and d['directory'] == '$T/copy'"
json result.json "d['files'] == $(wc -l <files) and d['bytes'] == $(awk '{ sum += $1 } END { printf "%d", sum }' files) and d['fetched_bytes'] > 0 and d['kept_files'] == 0"
json result.json "d['seconds'] > 0 and d['bytes_per_second'] > 0 and 'error' not in d"
status=0
basebackup-fetch --json --backup "$id" -D "$T/copy" -T "$T/space=$T/copy.space" >result.json 2>fetch.log || status=$?
json result.json "d['status'] == $status == 1 and 'empty' in d['error'] and 'files' not in d"
expect_status 2 basebackup-fetch --json --file PG_VERSION

step "a result also after other failures"
sed "s|^conninfo.*|conninfo = host=$T/nowhere|" "$CONFIG" >nowhere.conf && chmod 600 nowhere.conf
push 1 --config "$T/nowhere.conf"
json result.json "'could not connect' in d['error'] and d['repositories'][0]['complete'] is False"
push 2 --config "$T/absent.conf"
json result.json "'there is no configuration file' in d['error']"
basebackup-push --checkpoint=spread --json >result.json 2>push.log &
push=$!
wait_until 20 "the checkpoint" grep -q "waiting for the server's checkpoint" push.log
kill -TERM $push
status=0
wait $push || status=$?
expect_equal "ended by the signal" 143 $status
json result.json "d['status'] == 1 and 'signal 15' in d['error']"

step "on a terminal it shows what it waits for"
sql main "alter system set checkpoint_timeout = '30s'" "alter system set checkpoint_completion_target = 0.1" "select pg_reload_conf()" >/dev/null
PGDATABASE=one sql main "update u set i = i"
script -qec "basebackup-push --checkpoint=spread" /dev/null >terminal.log </dev/null
expect_true "the checkpoint" grep -q "waiting for the checkpoint, 0:0[0-9]" terminal.log
