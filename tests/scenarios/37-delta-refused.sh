#!/bin/bash
# goal: --delta refuses what is not this cluster's own stopped directory, and follows no link in it, whatever it leads to
# stores: file
. "$(dirname "$0")/../lib.sh"

step "a backup of a server with a tablespace, and a copy of it"
config_write $'[basebackup]\njobs = 2'
server_create main --data-checksums
expect_status 0 repository-init
server_start main
mkdir one
sql main "create tablespace one location '$T/one'" "create table a tablespace one as select i from generate_series(1, 20000) i" \
    "create database other"
expect_status 0 basebackup-push --checkpoint=fast
sql main "insert into a values (0)"
archived main
mapped=(-T "$T/one=$T/moved")
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}"
files() { find "$@" -printf '%i %n %m %s %T@ %p %l\n' | sort -k 6; }
untouched() { # PATTERN DIRECTORY...: refused, and all there is as it was
    files "${@:2}" >files.before
    expect_status 1 basebackup-fetch -D "$T/$2" "${mapped[@]}" --delta
    expect_output "$1"
    files "${@:2}" >files.now
    expect_same "what is there" files.before files.now
}

step "a running server's, also where postmaster.pid is gone; one that may run elsewhere; what a crash has left is no server"
status=0
basebackup-fetch -D "$T/main" "${mapped[@]}" --delta >refused.log 2>&1 || status=$?
cat refused.log
expect_equal "status" 1 $status
expect_true "it says why" grep -q "in use by process [0-9]*, a server" refused.log
expect_true "the server lives" sql_is main 1 "select 1"
expect_status 0 recovery-config -D "$T/copy"
server_start copy
wait_open copy
mv copy/postmaster.pid kept.pid
status=0
output=$(basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta 2>&1) || status=$?
expect_equal "status" 1 $status
expect_output "in use by process"
mv kept.pid copy/postmaster.pid
server_kill copy
expect_true "its postmaster.pid is stale" test -s copy/postmaster.pid
cd copy # a shell that stands there is no server
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
cd "$T"
expect_absent copy/postmaster.pid
rm -rf copy.pg_wal-*
: >copy/postmaster.pid
untouched "whether a server runs in \"$T/copy\" can't be told: its postmaster.pid names no process" copy
expect_output "hint: .*then remove postmaster.pid"
rm copy/postmaster.pid

step "one that another restore is at work in, or a tablespace's place where one is"
for place in copy moved; do
    files copy moved >files.before
    expect_status 1 flock $place basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
    expect_output "another restore is at work in \"$T/$place\""
    files copy moved >files.now
    expect_same "what is there" files.before files.now
done
mkdir empty
expect_status 1 flock empty basebackup-fetch -D "$T/fresh" -T "$T/one=$T/empty"
expect_output "another restore is at work in \"$T/empty\""
rmdir empty fresh

step "another cluster's, also half restored; what is no data directory; one whose pg_control can't be read"
initdb -D foreign -U postgres -A trust --no-sync >initdb.log
untouched "belongs to another cluster: its system identifier is $(system_identifier foreign), that of backup" foreign
mkdir half && sed "s/$(system_identifier main)/$(system_identifier foreign)/" <<<"{}" >half/restore.walferry
untouched "damaged" half
rm -r half && mkdir -p half/global && cp foreign/global/pg_control half/global/pg_control.walferry
untouched "belongs to another cluster" half
mkdir documents && : >documents/thesis
untouched "neither empty nor a data directory of PostgreSQL: there is \"thesis\"" documents
cp -r foreign torn && printf x | dd of=torn/global/pg_control bs=1 seek=100 conv=notrunc status=none
untouched "checksum does not match" torn
cp -r copy linked && mv linked/global away && ln -s "$T/main/global" linked/global
untouched "neither empty nor a data directory" linked main/global
rm -rf foreign half documents torn linked away

step "one in which walferry's own files lie: they would be removed"
ln -s copy seen
refused() { WALFERRY_CONFIG=$1 untouched "$2 \"$3\" lies in \"$T/copy\", where it would be removed" copy; } # CONFIG WHAT PATH
cp "$CONFIG" copy/walferry.conf && chmod 600 copy/walferry.conf
refused "$T/copy/walferry.conf" "configuration file" "$T/copy/walferry.conf"
mv copy/walferry.conf . && ln -s "$T/walferry.conf" copy/linked.conf
refused "$T/copy/linked.conf" "configuration file" "$T/copy/linked.conf"
rm copy/linked.conf
sed "s|^state_dir = .*|state_dir = $T/seen/state|" "$CONFIG" >other.conf && chmod 600 other.conf && mkdir -m 700 copy/state
refused other.conf "state_dir" "$T/seen/state"
rmdir copy/state
{ cat "$CONFIG" && printf '[repository there]\nurl = file://%s\n' "$T/copy/repository"; } >other.conf && mkdir copy/repository
refused other.conf "repository" "$T/copy/repository"
rmdir copy/repository
version=$(cd moved && echo PG_*)
{ cat "$CONFIG" && printf '[repository there]\nurl = file://%s\n' "$T/moved/$version/repository"; } >other.conf && mkdir "moved/$version/repository"
WALFERRY_CONFIG=other.conf expect_status 1 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
expect_output "repository \"$T/moved/$version/repository\" lies in \"$T/moved/$version\""
rmdir "moved/$version/repository"
rm seen other.conf

step "an empty one is restored as without --delta"
mkdir empty
expect_status 0 basebackup-fetch -D "$T/empty" -T "$T/one=$T/moved empty" --delta
expect_status 0 pg_verifybackup -n empty
rm -r empty "moved empty"

step "links in it that lead outside are removed, and what they lead to is not touched"
mkdir outside && for name in file 1259 PG_VERSION; do echo mine >outside/$name; done
cp -r outside "$T/outside.base" # under the names of a database directory
files outside outside.base main/global >files.before
oid=$(cd copy/base && ls -d [0-9]* | sort -n | tail -1)
rm -r "copy/base/$oid" && ln -s "$T/outside.base" "copy/base/$oid"
rm copy/base/1/1259 && ln -s "$T/outside/1259" copy/base/1/1259
ln -f outside/file copy/base/1/hard
rm copy/base/1/1249 && cp outside/file twin && ln twin copy/base/1/1249
rm -r copy/pg_xact && ln -s "$T/outside" copy/pg_xact
mkdir copy/base/1/deep && ln -s "$T/outside" copy/base/1/deep/link
ln -s "$T/outside" copy/pg_tblspc/99999 # no tablespace is there
ln -s "$T/outside" copy/pg_tblspc/nonsense
cp copy/PG_VERSION whole && ln whole copy/second # a wanted file with a second name, of the right content
rm copy/PG_VERSION && ln whole copy/PG_VERSION
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
rm -rf copy.pg_wal-*
expect_status 0 pg_verifybackup -n copy
files outside outside.base main/global | sed 's/ [0-9]* \([0-9]* [0-9]* [0-9.]* outside\/file\)/ 1 \1/' >files.now
expect_same "what is outside" files.before files.now
expect_equal "links left" "$(readlink copy/pg_tblspc/*)" "$T/moved"
expect_equal "names of PG_VERSION" 1 "$(stat -c %h copy/PG_VERSION)"
expect_same "the twin" outside/file twin

step "pg_wal that is a link: the link is kept, nothing behind it is touched"
mv copy/pg_wal wal && : >wal/mine && ln -s "$T/wal" copy/pg_wal
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
expect_output "pg_wal is a symbolic link, which is not followed: .*kept as"
expect_true "the file behind it" test -e wal/mine
expect_true "pg_wal is a directory" test -d copy/pg_wal -a ! -L copy/pg_wal
expect_equal "the link" "$T/wal" "$(readlink copy.pg_wal-*)"
rm copy.pg_wal-*

step "a copy of the data directory whose links lead to the living server's tablespace"
cp -r --no-dereference main cloned && rm -f cloned/postmaster.pid
files one >files.before
expect_status 1 basebackup-fetch -D "$T/cloned" --delta
expect_output "tablespace directory \"$T/one\" is in use by process [0-9]+, a server of another directory"
files one >files.now
expect_same "the tablespace" files.before files.now
expect_true "it can still be started" test -e cloned/global/pg_control
sql main "select count(*) from a" >/dev/null
expect_status 0 basebackup-fetch -D "$T/cloned" -T "$T/one=$T/moved clone" --delta
files one >files.now
expect_same "the tablespace" files.before files.now
expect_status 0 pg_verifybackup -n cloned

step "the same of a stopped one: its tablespaces, also one that the backup does not have"
mkdir later
sql main "create tablespace later location '$T/later'" "create table b tablespace later as select 1"
server_stop main
rm -r cloned "moved clone" && cp -r --no-dereference main cloned
files cloned one later >files.before
for option in "$T/one=$T/one" "$T/one=$T/moved clone"; do
    expect_status 1 basebackup-fetch -D "$T/cloned" -T "$option" --delta
    expect_output "belongs to the cluster in \"$T/main\" as well, of which \"$T/cloned\" is a copy"
    rm -rf "moved clone"
done
files cloned one later >files.now
expect_same "what is there" files.before files.now
rm cloned/pg_tblspc/"$(basename "$(find main/pg_tblspc -lname "$T/later")")"
expect_status 0 basebackup-fetch -D "$T/cloned" -T "$T/one=$T/moved clone" --delta
expect_status 0 pg_verifybackup -n cloned
files one later >files.now
grep -v ' cloned' files.before >files.shared
expect_same "the tablespaces" files.shared files.now
mv main renamed # it was no copy
expect_status 0 basebackup-fetch -D "$T/renamed" -T "$T/one=$T/one" --delta

step "--database would empty the other databases of a cluster that is there"
expect_status 1 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta --database other
expect_output "it would lose its other databases"
expect_status 0 pg_verifybackup -n copy
