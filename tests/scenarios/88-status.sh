#!/bin/bash
# goal: walferry-status tells truly where we stand: without a backup, well, with a hole, with a lagging archive, with a repository that does not answer
# stores: file
# full-encrypted: file
# full-stores: s3
# limit: 300
. "$(dirname "$0")/../lib.sh"

config() { # [STATUS-LINES [MORE]]
    config_write "${2:-}
[wal-fetch]
hole_wait = 0
[status]
${1:-}"
}
status() { # STATUS OPTION...; $output
    expect_status "$1" walferry-status "${@:2}"
}
picture() { # STATUS EXPRESSION: of the JSON document d
    walferry-status --json >picture.json 2>picture.log && found=0 || found=$?
    expect_equal "exit status" "$1" "$found"
    python3 -c 'import json, sys; d = json.load(open("picture.json")); r = d["repositories"][0]; print(eval(sys.argv[1], {"d": d, "r": r}))' "$2"
}
no_colour() { [[ $output != *$'\033'* ]] || fail "a terminal's codes in \"$output\""; } # not to a file, and never a repository's
kinds() { picture "$1" '" ".join(sorted(p["kind"] for p in d["problems"]))'; }

step "usage and configuration"
status 2 --nonsense
config "backup_age = soon"
status 2
config

step "no backup at all"
server_create main --wal-segsize=1
server_start main
expect_status 0 repository-init
status 1
expect_output "can I recover\? +NO"
expect_output "repository here.*: there is no complete base backup"
expect_output "Run basebackup-push"
expect_equal "problems" "no_backup" "$(kinds 1)"
no_colour

step "all is well; limits that are not met are told"
sql main "create table t (i int)"
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")
system=$(system_identifier main)
sql main "insert into t values (1)"
archived main
expect_equal "new: never proven" "drill_old verification_old" "$(kinds 1)"
status 1
expect_output "last verified +never"
expect_output "last drill passed +never"
expect_output "restore-drill, from cron"
config $'drill_age = 0 days\nverify_age = 0 days'
status 0
expect_output "cluster main, 20.* UTC: nothing is wrong"
expect_output "can I recover\? +yes, to any instant after 20.*, to 20.* UTC"
expect_output "from +here"
expect_output "archiving +nothing waits"
expect_output "^here +1 "
expect_equal "the backup" "$id" "$(picture 0 'r["backups"][0]["id"]')"
expect_equal "objects" "$(raw_list | wc -l | tr -d " ")" "$(picture 0 'r["objects"]')"
recovery-window --json >window.json
expect_equal "the newest safe commit is recovery-window's" \
    "$(python3 -c 'import json; print(json.load(open("window.json"))["repositories"][0]["systems"][0]["timelines"][0]["windows"][-1]["before"])')" \
    "$(picture 0 'r["windows"][-1]["end"]')"

step "verified"
config 'drill_age = 0 days'
expect_status 0 basebackup-verify --full
expect_equal "problems" "" "$(kinds 0)"
expect_true "the backup is verified" test -n "$(picture 0 'r["backups"][0]["verified"]')"

step "the newest backup is older than it may be"
cc -shared -fPIC -o clock.so "$SOURCE/tests/clock.c" -ldl
tomorrow=$(($(date +%s) + 27 * 3600))
expect_status 1 env LD_PRELOAD="$T/clock.so" ASAN_OPTIONS=verify_asan_link_order=0 WALFERRY_TEST_TIME=${tomorrow}000000 walferry-status
expect_output "repository here.*: the newest backup ended 27 h [0-9] min ago: $id"
expect_equal "problems" "" "$(kinds 0)"

step "what was found damaged, and a drill that failed"
reports=main/$system/reports
document() { # MEMBERS: as docs/format.md has them
    python3 -c 'import hashlib, sys
text = "{\"walferry\":1,\"kind\":\"drill\"," + sys.argv[1]
print(text + ",\"sha256\":\"" + hashlib.sha256(text.encode()).hexdigest() + "\"}")' "$1" >document
}
later=$(date -u -d '20 seconds' +%Y%m%dT%H%M%S)
document '"passed":false,"problem":"check \u001b[31m orders failed"'
object_put "$reports/$later.000000Z-drill-$id+1500.failed" document
object_put "$reports/$later.000000Z-verified-base-$id.damaged" document
expect_equal "problems" "damaged drill_failed" "$(kinds 1)"
status 1
expect_output "the last restore drill failed, 0.0 s ago: check .?.31m orders failed"
no_colour
object_delete "$reports/$later.000000Z-verified-base-$id.damaged"
document '"passed":true,"rpo_seconds":2.5'
object_put "$reports/$later.000001Z-drill-$id+61500" document
config ''
expect_equal "problems" "" "$(kinds 0)"
status 0
expect_output "last drill passed +0.0 s ago: restored in 62 s, 2.5 s of commits lost"
config 'drill_age = 0 days'

step "archiving fails: WAL waits, and this repository is behind"
config $'drill_age = 0 days\nwal_age = 1 min'
printf "archive_command = 'false'\n" >>main/postgresql.conf
pg_ctl -D main -s reload
sql main "insert into t values (2)" "select pg_switch_wal()" "insert into t values (3)" >/dev/null
wait_until 20 "a file that waits" sh -c 'ls main/pg_wal/archive_status/*.ready'
expect_equal "it waits" True "$(picture 0 'd["archiving"]["segments"] >= 1 and d["archiving"]["bytes"] == 1048576 * d["archiving"]["segments"] and d["archiving"]["seconds"] >= 0')"
find main/pg_wal/archive_status -name '*.ready' -exec touch -d '5 minutes ago' {} +
expect_equal "problems" "wal_lag" "$(kinds 1)"
status 1
expect_output "waits? in pg_wal, and the oldest has waited for archive_command for 5 min"
expect_output "with the server, commits of the last .* would be lost now"
sed -i "/^archive_command = 'false'/d" main/postgresql.conf
pg_ctl -D main -s reload
archived main
expect_equal "problems" "" "$(kinds 0)"

step "a hole"
segment=$(sql main "select pg_walfile_name(pg_current_wal_lsn())")
sql main "insert into t values (4)" "select pg_switch_wal()" "insert into t values (5)" "select pg_switch_wal()" >/dev/null
archived main
object_get "$(wal_key "$segment")" saved
object_delete "$(wal_key "$segment")"
expect_equal "problems" "hole" "$(kinds 1)"
status 1
expect_output "WAL is missing: 1 hole"
object_put "$(wal_key "$segment")" saved
expect_equal "problems" "" "$(kinds 0)"

step "a damaged manifest is told, and the rest"
object_get "main/$system/base/$id/manifest.json" manifest
head -c -20 manifest >shorter
object_put "main/$system/base/$id/manifest.json" shorter
expect_equal "problems" "damaged no_backup unreadable" "$(kinds 1)"
object_put "main/$system/base/$id/manifest.json" manifest

if [ "$STORE" = file ]; then
    step "WAL that can't be listed: whether it can be recovered is not known, and not told as NO and 0"
    chmod 000 "repository/main/$system/wal"
    walferry-status --prometheus metrics || true
    expect_equal "problems" "unreadable" "$(kinds 1)"
    expect_equal "what is not known is missing" "False False False" "$(picture 1 'str("is_recoverable" in d) + " " + str("holes" in r) + " " + str("wal_segments" in r)')"
    status 1
    chmod 700 "repository/main/$system/wal"
    expect_output "can I recover\? +not known"
    expect_equal "samples" 0 "$(grep -Ec '^walferry_(recoverable|wal_holes|wal_segments)\{' metrics)"
    expect_equal "problems" "" "$(kinds 0)"
fi

step "a repository that does not answer keeps nobody from being told of the others"
python3 - >silent.port <<'PY' &
import socket, time
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(64)
print(listener.getsockname()[1], flush=True)
time.sleep(120)
PY
silent=$!
wait_until 10 "the silent server" test -s silent.port
config $'drill_age = 0 days\nverify_age = 0 days\ntimeout = 4' "[repository there]
url = s3://bucket/x
endpoint = http://127.0.0.1:$(cat silent.port)
access_key = a
secret_key = b"
begun=$SECONDS
expect_equal "problems" "unreachable" "$(kinds 1)"
expect_true "in $((SECONDS - begun)) s" test $((SECONDS - begun)) -le "$(slowly 10)"
expect_equal "the other one" "True False" "$(picture 1 'str(r["is_complete"]) + " " + str(d["repositories"][1]["is_up"])')"
status 1
expect_output "can I recover\? +yes"
expect_output "there +can't be asked"
expect_output "repository there: it can't be asked: "
expect_output "repository-check --repository there"
status 0 --repository here
kill $silent

step "a directory that hangs, in a call that nothing ends: it is given up, and the rest is told"
mkdir stuck
config $'drill_age = 0 days\nverify_age = 0 days\ntimeout = 3' "[repository there]
url = file://$T/stuck"
expect_status 0 repository-init --repository there
cat >hang.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
int statvfs64(const char *path, struct statvfs64 *out)
{
    while (strstr(path, "/stuck") != NULL)
        pause();
    return ((int (*)(const char *, struct statvfs64 *))dlsym(RTLD_NEXT, "statvfs64"))(path, out);
}
C
cc -shared -fPIC -o hang.so hang.c -ldl
begun=$SECONDS
expect_status 1 env LD_PRELOAD="$T/hang.so" ASAN_OPTIONS=verify_asan_link_order=0 walferry-status
expect_true "in $((SECONDS - begun)) s" test $((SECONDS - begun)) -le "$(slowly 8)"
expect_output "can I recover\? +yes"
expect_output "repository there: it can't be asked: it did not tell all within 3 s"
expect_equal "problems" "no_backup" "$(kinds 1)"

step "pg_wal or state_dir hang: this machine is told as not known, and the repository all the same"
cat >hang.c <<'C'
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static void hang_at(const char *path)
{
    while (strstr(path, getenv("HANGS")) != NULL)
        pause();
}
DIR *opendir(const char *path)
{
    hang_at(path);
    return ((DIR *(*)(const char *))dlsym(RTLD_NEXT, "opendir"))(path);
}
int access(const char *path, int mode)
{
    hang_at(path);
    return ((int (*)(const char *, int))dlsym(RTLD_NEXT, "access"))(path, mode);
}
int lstat64(const char *path, struct stat64 *out)
{
    hang_at(path);
    return ((int (*)(const char *, struct stat64 *))dlsym(RTLD_NEXT, "lstat64"))(path, out);
}
C
cc -shared -fPIC -o hang.so hang.c -ldl
config $'drill_age = 0 days\nverify_age = 0 days\ntimeout = 3'
for hangs in main/pg_wal state; do
    begun=$SECONDS
    expect_status 1 env HANGS="$T/$hangs" LD_PRELOAD="$T/hang.so" ASAN_OPTIONS=verify_asan_link_order=0 timeout 60 walferry-status
    expect_true "in $((SECONDS - begun)) s" test $((SECONDS - begun)) -le "$(slowly 8)"
    expect_output "cluster main, .*: 1 problem, see below"
    expect_output "can I recover\? +yes"
    expect_output "blind.*: whe.* is not known: no answer within 1 s"
done

step "what may not be looked at is not well: pgdata that is not there, a state_dir of somebody else"
config $'drill_age = 0 days\nverify_age = 0 days'
expect_equal "problems" "" "$(kinds 0)"
sed -i "s|^pgdata = .*|pgdata = $T/mian|" "$CONFIG"
expect_equal "problems" "blind" "$(kinds 1)"
status 1
expect_output "archiving +not known"
expect_output "blind.*: whether WAL waits.*mian/pg_wal/archive_status.*: No such file or directory"
sed -i "/^pgdata = /d" "$CONFIG"
expect_equal "no server is here: nothing is hidden" "" "$(kinds 0)"
config $'drill_age = 0 days\nverify_age = 0 days'
chmod 750 state
expect_equal "problems" "blind" "$(kinds 1)"
status 1
expect_output "blind.*: whether the last backup, verification or drill failed is not known: state directory"
chmod 700 state

step "a file of this machine's pg_wal that can't be read is not the repository's fault"
cat >deny.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
int open64(const char *path, int flags, ...)
{
    if (strstr(path, "/pg_control") != NULL) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64"))(path, flags, 0600);
}
C
cc -shared -fPIC -U_FORTIFY_SOURCE -o deny.so deny.c -ldl
expect_status 1 env LD_PRELOAD="$T/deny.so" ASAN_OPTIONS=verify_asan_link_order=0 walferry-status --prometheus metrics
expect_equal "it is up" " 1" "$(sed -n 's/^walferry_repository_up{.*}//p' metrics)"
expect_equal "problems" blind "$(sed -n 's/^walferry_problem{.*kind="\(.*\)"} 1$/\1/p' metrics | tr '\n' ' ' | sed 's/ $//')"

step "a directory that is not there"
config $'drill_age = 0 days\nverify_age = 0 days' "[repository there]
url = file://$T/nowhere"
expect_equal "problems" "unreachable" "$(kinds 1)"

step "a server that was opened on a timeline of which the repository knows nothing, and does not archive"
config $'drill_age = 0 days\nverify_age = 0 days'
archived main
status 0
expect_output "newest safe commit .*; the server has no later one"
server_stop main
printf "archive_mode = off\n" >>main/postgresql.conf
touch main/standby.signal
server_start main
pg_ctl -D main -s -w promote
sql main checkpoint "insert into t values (6)" >/dev/null
status 0 # not yet for longer than the RPO
expect_output "newest safe commit .*; this server is on timeline 2, of which nothing can be recovered from here"
later=$(($(date +%s) + 3600))
expect_status 1 env LD_PRELOAD="$T/clock.so" ASAN_OPTIONS=verify_asan_link_order=0 WALFERRY_TEST_TIME=${later}000000 walferry-status
expect_output "repository here.*: this server is on timeline 2, of which nothing can be recovered from here: for .* its commits"
walferry-status --prometheus metrics
expect_equal "it is not behind by 0 s" 0 "$(grep -c '^walferry_wal_behind_seconds{' metrics)"
server_stop main

step "after pg_upgrade nothing is proven of the new system by what was of the old one"
config ''
walferry-status >page || true
expect_true "the old one was verified and drilled" grep -Eq 'last drill passed +[0-9]' page
server_create upgraded --wal-segsize=1
sed -i "s|^pgdata = .*|pgdata = $T/upgraded|" "$CONFIG"
expect_status 0 repository-init --add-generation
expect_equal "problems" "no_backup" "$(kinds 1)"
status 1
expect_output "there is no complete base backup of the present system"
expect_output "last verified +never"
expect_output "last drill passed +never"
expect_equal "what there is of the old one is listed" 1 "$(picture 1 'len(r["backups"])')"
