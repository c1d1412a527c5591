#!/bin/bash
# goal: wal-push stores what a file's name promises, once, and refuses everything else without touching what is stored
# stores: file s3
# encrypted: file
. "$(dirname "$0")/../lib.sh"

step "a server with WAL of every kind, kept in pg_wal"
config_write $'[wal-push]\nahead = 0' # one file a call
server_create main
echo "archive_command = ''" >>main/postgresql.conf # nobody but us pushes
server_start main
system=$(system_identifier main)
sql main "create table t as select generate_series(1, 10000) i" "select pg_switch_wal()" "insert into t values (0)" \
    "select pg_switch_wal()" "insert into t values (0)" "select pg_switch_wal()" >/dev/null
backup_by_hand main
server_stop main
# Promoted, it leaves a .partial and writes a .history.
printf "restore_command = '/bin/false'\n" >>main/postgresql.conf
touch main/standby.signal
server_start main
pg_ctl -D main -s -w promote
sql main "insert into t values (0)" "select pg_switch_wal()" >/dev/null
server_stop main
segments=(main/pg_wal/00000001????????????????)
first=$(basename "${segments[0]}") second=$(basename "${segments[1]}") third=$(basename "${segments[2]}")
forks=(main/pg_wal/00000002????????????????)
backup=$(basename main/pg_wal/*.backup) partial=$(basename main/pg_wal/*.partial) fork=${forks[0]}

push() { cd "$T/${2:-main}" && expect_status "$1" wal-push "pg_wal/$name" && cd "$T"; } # STATUS [DATA-DIRECTORY]
stored() { # NAME [FILE]: the object is there, and lz4 alone brings the file back
    object_get "$(wal_key "$1")" object && lz4 -dcq object >plain
    expect_same "content of $1 in the repository" "${2:-main/pg_wal/$1}" plain
}
unchanged() { object_sums >now; expect_same "the repository" before now; }

step "without a repository nothing is stored and nothing is made"
name=$first
push 1
expect_output "repository-init|cluster.json"
expect_equal "objects" "" "$(object_list)"
expect_status 0 repository-init
expect_equal "objects" "main/cluster.json" "$(object_list | cut -d' ' -f1)"
expect_status 0 repository-init
expect_output "already|there"

step "segments, .backup, .partial, .history; a timeline's first segment that begins with its parent's pages"
for name in "$first" "$second" "$backup" "$partial" 00000002.history "$(basename "$fork")"; do
    push 0
    stored "$name"
done
expect_equal "objects" 7 "$(object_list | wc -l)"
object_get "$(wal_key "$first")" object
tail -c 1016 object >trailer
for word in '"walferry":1' '"kind":"segment"' "\"name\":\"$first\"" '"plain_bytes":16777216' "$(sha256sum <"main/pg_wal/$first" | cut -d' ' -f1)" \
    "\"system_identifier\":\"$system\"" '"timeline":1' '"postgresql_version":'"$major"; do
    expect_true "the trailer holds $word" grep -q "$word" trailer
done

step "the same again: success, nothing changed; also when nothing is remembered"
object_sums >before
for name in "$first" "$backup" "$partial" 00000002.history; do push 0; done
rm -rf state
name=$first
push 0
unchanged

step "another PATH is another data directory: a copy with the same identifier"
mkdir -p copy/global copy/pg_wal
cp main/global/pg_control copy/global/
cp main/PG_VERSION copy/
change() { cp "main/pg_wal/$1" copy/pg_wal/ && printf 'changed' | dd of="copy/pg_wal/$1" bs=1 seek="${2:-100000}" conv=notrunc status=none; }

step "the segment that the server still writes: refused by hand, with what to do; finished it is stored, and nothing is in its way" # wound: pgbackrest#584, #1399, #1753
server_start main
name=$(sql main "select pg_walfile_name(pg_current_wal_insert_lsn())")
push 1
expect_output "\"pg_wal/$name\" is not archived: the server may still write to it .*neither .ready nor .done"
expect_output "hint:.*pg_switch_wal\(\)"
unchanged
sql main "insert into t values (0)" "select pg_switch_wal()" >/dev/null
expect_true "it is marked" test -e "main/pg_wal/archive_status/$name.ready"
push 0
stored "$name"
mv "main/pg_wal/archive_status/$name".{ready,done} # as the server does
push 0
server_stop main
object_sums >before

step "other content under a stored name: refused, whatever the kind; a .partial is kept beside the first"
change "$first" && name=$first && push 1 copy
expect_output "other content|different content|another content"
expect_output "hint:"
unchanged
change 00000002.history 40 && name=00000002.history && push 1 copy
unchanged
change "$partial" && name=$partial && push 0 copy
beside=$partial.$(sha256sum <"copy/pg_wal/$partial" | cut -c1-8)
expect_equal "new objects" "$(wal_key "$beside")" "$(object_sums | comm -13 before - | cut -d' ' -f1)"
stored "$beside" "copy/pg_wal/$partial"
push 0 copy # once more: the same
object_sums >before

step "what is not what its name says: refused, nothing stored"
refused() { # WHAT: copy/pg_wal/$third
    echo "-- $1"
    name=$third
    push 1 copy
    expect_output "error:"
    unchanged
}
target=copy/pg_wal/$third
head -c 16777216 /dev/urandom >$target && refused "garbage"
head -c 16777216 /dev/zero >$target && refused "zeroes"
head -c 8388608 "main/pg_wal/$third" >$target && refused "truncated"
: >$target && refused "empty"
{ cat "main/pg_wal/$third" && printf x; } >$target.x && mv $target.x $target && refused "one byte too long"
cp "main/pg_wal/$first" $target && refused "recycled: an older segment under a new name"
cp "$fork" $target && refused "a later timeline's segment under this one's name"
rm $target && refused "not there"
server_create foreign
rm -rf foreign/pg_wal/archive_status
cp foreign/pg_wal/000000010000000000000001 $target && refused "another cluster's segment"
# wound: plugin-barman-cloud#263, barman#11
name=000000010000000000000001
push 1 foreign # as a whole: its system identifier is not this repository's
expect_output "system identifier|repository-init|belongs"
unchanged

step "a segment of another size than the repository's, in no data directory that could tell"
mkdir -p loose/pg_wal
name=$(printf '00000001%08X%08X' 0 $((16#${first:16} * 16))) # the same address in segments of 1 MiB
head -c 1048576 "main/pg_wal/$first" >"loose/pg_wal/$name"
printf '\x00\x00\x10\x00' | dd of="loose/pg_wal/$name" bs=1 seek=32 conv=notrunc status=none
sed '/^pgdata/d' "$CONFIG" >lone.conf && chmod 600 lone.conf
expect_status 1 wal-push --config "$T/lone.conf" "loose/pg_wal/$name"
expect_output "expects WAL segments of 16777216 bytes, \"$name\" comes from a server with 1048576"
unchanged

step "usage and configuration: 2, nothing stored"
expect_status 2 wal-push
expect_status 2 wal-push one two
expect_status 2 wal-push --nonsense pg_wal/$third
expect_status 2 wal-push --config "$T/nowhere.conf" "main/pg_wal/$third"
wrong() { # WHAT PATTERN: the configuration in $T/wrong.conf
    echo "-- $1"
    expect_status 2 wal-push --config "$T/wrong.conf" "$T/main/pg_wal/$third"
    expect_output "$2"
    rm -f wrong.conf
}
copy_config() { sed "$1" "$CONFIG" >wrong.conf && chmod 600 wrong.conf; }
copy_config 's/^name/nmae/' && wrong "an unknown key" 'line 2.*nmae'
copy_config 's|^.cluster.|[clutser]|' && wrong "an unknown section" 'clutser|cluster'
copy_config 's/^url/url = x\nurl/' && wrong "a key given twice" 'twice'
copy_config '/^url/d' && wrong "no url" 'url|repository'
copy_config '/^name/d' && wrong "no name" 'name'
copy_config '$a [wal-push]\ntimeout = soon' && wrong "no number" 'timeout'
copy_config '' && chmod 604 wrong.conf && wrong "readable by others" 'permission|others|mode'
copy_config '' && chmod 620 wrong.conf && wrong "writable by the group" 'permission|group|mode'
copy_config '' && chmod 200 wrong.conf && wrong "not readable by the server's user" 'must be able to read it.*chown'
secret_place closed/wrong.conf links/data
mkdir closed && copy_config '' && cp wrong.conf closed/ && chmod 600 closed
expect_status 2 wal-push --config "$T/closed/wrong.conf" "$T/main/pg_wal/$third"
expect_output 'search the directories above it'
chmod 700 closed
expect_status 1 wal-push "$third" # archive_command with %f
expect_output "is it archive_command = 'wal-push %p'"
copy_config '' && chmod 640 wrong.conf && expect_status 0 wal-push --config "$T/wrong.conf" "$T/main/pg_wal/$first"
mkdir -p links && cp wrong.conf links/data && ln -s data links/walferry.conf # as a Kubernetes Secret
expect_status 0 wal-push --config "$T/links/walferry.conf" "$T/main/pg_wal/$first"
unchanged

step "a store that cannot be asked: 1, within the time limit"
if [ "$STORE" = file ]; then mv repository away && mkdir repository
else sed -i 's|^endpoint.*|endpoint = https://127.0.0.1:9|' "$CONFIG"; fi
printf '[wal-push]\ntimeout = 3\n' >>"$CONFIG"
name=$third
began=$SECONDS
push 1
expect_true "at most 6 s" test $((SECONDS - began)) -le "$(slowly 6)"
