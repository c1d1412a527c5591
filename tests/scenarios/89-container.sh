#!/bin/bash
# goal: in containers beside one another (read-only root, no capabilities, users without a passwd entry, no HOME, each with its own processes) every program does its work, and says what a container lacks
# stores: s3
# full-stores: file
# full-encrypted: s3
# as: caller
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || skip "only root can be two other users"
unshare --mount --pid --fork --mount-proc true 2>/dev/null || skip "mount and process namespaces are not to be had here"

# A directory repository belongs to one user; S3 has none.
group=71000 server_user=71001 side_user=71001 job_user=71003 private=(--allow-group-access)
if [ "$STORE" = s3 ]; then side_user=71002; else job_user=71001 private=(); fi
! getent passwd $server_user $side_user $job_user || skip "these users are there"

# container USER PLACES COMMAND...: PLACES are the volumes that it can write, "FROM:TO" or one directory
container() {
    unshare ${pod:+--ipc} --mount --pid --fork --kill-child --mount-proc bash "$T/inside.sh" "$@" || return
}
cat >inside.sh <<SH
set -eu
user=\$1 places=\$2
shift 2
for place in \$places; do mount --bind "\${place%:*}" "\${place#*:}"; done
for mounted in \$(findmnt -rno TARGET | grep -Ev '^(/proc|/sys|/dev)'); do
    case " \$places " in
    *" \$mounted "* | *":\$mounted "*) ;;
    *) mount -o remount,bind,ro "\$mounted" 2>/dev/null || true ;;
    esac
done
cd /
exec setpriv --reuid=\$user --regid=\$user --groups=$group --no-new-privs --bounding-set=-all --inh-caps=-all \
    env -i PATH="$PATH" WALFERRY_CONFIG="$T/secret/walferry.conf" WALFERRY_TEST="$T" TMPDIR="$T/tmp" "\$@"
SH
volume() { # NAME...: as the kubelet makes it with fsGroup
    mkdir -p "$@" && chgrp $group "$@" && chmod 2775 "$@"
}
secret_volume() { # as the kubelet mounts a Secret: links, root's, readable for the group
    rm -rf secret
    mkdir -p secret/..now && ln -s ..now secret/..data
    cp "$@" secret/..now
    chgrp -R $group secret && chmod -R u=rwX,g=rX,o= secret/..now && chmod 440 secret/..now/*
    for file; do ln -s "..data/${file##*/}" "secret/${file##*/}"; done
}
secret_place 'secret/..now/*'

step "volumes: the data, the socket, what each container keeps for itself, the Secret"
volume volume run/main state state-server state-side tmp-server tmp-side tmp repository scratch restored
config_write "keep_last = 1
[drill]
scratch = $T/scratch/here
pg_bin = $PG_BIN"
sed -i "s|^pgdata.*|pgdata = $T/volume/main|; s|^state_dir.*|state_dir = $T/state/main|; s|^encryption_key_file.*|encryption_key_file = $T/secret/key|" "$CONFIG"
files=("$CONFIG")
if [ "$STORE" = s3 ]; then
    cp "$S3_CA" ca && files+=(ca)
    sed -i "s|^ca_file.*|ca_file = $T/secret/ca|" "$CONFIG"
fi
[ -z "$ENCRYPTED" ] || files+=(key)
secret_volume "${files[@]}"
server_places="$T/volume $T/run/main $T/state-server:$T/state $T/tmp-server:$T/tmp"
side_places="$T/run/main $T/state-side:$T/state $T/tmp-side:$T/tmp"
[ "$STORE" = s3 ] || { server_places+=" $T/repository" && side_places+=" $T/repository"; }
in_server() { container $server_user "$server_places" "$@"; }
in_side() { container $side_user "$side_places" "$@"; }
expect_status 1 in_side touch "$T/volume/written"
expect_output "read-only file system"
expect_status 0 in_server touch "$T/volume/written"
rm volume/written

step "the server, process 1 of its container; repository-init and repository-check beside it"
# initdb alone wants a passwd entry (the official image lends it one)
chown postgres volume
expect_status 0 setpriv --reuid=postgres --regid=postgres --clear-groups initdb -D "$T/volume/main" -U postgres -A trust -E UTF8 --locale=C --no-sync --wal-segsize=1 "${private[@]}"
chown root volume && chown -R $server_user:$group volume/main
mkdir config # a ConfigMap
CONFIG=$T/secret/walferry.conf server_settings >config/postgresql.conf
serve() { in_server postgres -D "$T/volume/main" -c config_file="$T/config/postgresql.conf" -k "$T/run/main" -c listen_addresses='' >>main.log 2>&1; }
serve &
server=$!
wait_until 60 "the server" sql main "select 1"
system=$(pg_controldata volume/main | sed -n 's/^Database system identifier: *//p')
expect_status 0 in_side repository-init
expect_status 0 in_side repository-check
[ "$STORE" = file ] || expect_status 0 in_server repository-check

step "a base backup from the sidecar, WAL from the server's container"
ledger_create main
ledger_start main 1
expect_status 0 in_side basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")
[ "$STORE" = file ] || expect_true "something is remembered between calls" test -n "$(ls -A state-side/main)"
sleep 1
ledger_instant main expected
sleep 0.5
archived main
ledger_stop
[ "$STORE" = file ] || expect_true "something is remembered between calls of archive_command" test -n "$(ls -A state-server/main)"
expect_equal "archive_command failed" 0 "$(sql main "select failed_count from pg_stat_archiver")"

step "what needs the repository alone: another user, without volumes of the database"
job_places="$T/tmp"
[ "$STORE" = s3 ] || job_places+=" $T/repository"
in_job() { container $job_user "$job_places ${more:-}" "$@"; }
expect_status 0 in_job basebackup-list
expect_output "$id"
expect_status 0 in_job recovery-window
expect_status 0 in_job basebackup-pin "$id"
manifest() { mapfile -t words < <("$here/manifests" command "$SOURCE/packaging/kubernetes/$1.yaml" "${@:2}"); } # FILE CONTAINER [NAME=VALUE...]
more=$T/scratch
for name in expire verify drill; do
    manifest jobs $name
    expect_status 0 in_job "${words[@]}"
done
expect_equal "left by the drill" "" "$(ls -A scratch/here)"
more=

step "walferry-status from the sidecar: it sees the repository, and how far the server is behind"
expect_status 0 in_side walferry-status --prometheus -
expect_output "^walferry_recoverable.* 1$"
expect_output "^walferry_wal_lag_segments.* 0$"

step "told to end, as process 1 that no signal ends by default: a backup, and a program that catches none"
send() { # SIGNAL WHAT COMMAND...: $status and $output of a container that gets it as soon as WHAT is so
    local from pid began
    "${@:3}" >ended.log 2>&1 &
    from=$!
    wait_until 20 "$2" eval "$2"
    pid=$(container_of $from)
    began=$SECONDS
    kill "-$1" "$pid"
    if [ -n "${twice:-}" ]; then
        wait_until 20 "the first signal" grep -qx told ended.log
        kill "-$1" "$pid"
    fi
    wait_until 20 "its end" test ! -d "/proc/$pid"
    status=0
    wait $from || status=$?
    output=$(cat ended.log)
    sed 's/^/    /' ended.log
    expect_true "it ended soon" test $((SECONDS - began)) -le 5
    expect_equal "status after SIG$1" $((128 + $(kill -l "$1"))) $status
}
container_of() { # PROCESS: process 1 of the container that it is, or waits for
    local pid=$1 child
    until grep -Eqs '^NSpid:.*\s1$' "/proc/$pid/status"; do
        child=$(pgrep -P "$pid") && pid=$child || return 1
    done
    echo "$pid"
}
export -f container_of
sql main "alter system set archive_command = 'false'" "select pg_reload_conf()" >/dev/null
send TERM "grep -q 'waiting for WAL' ended.log" in_side basebackup-push --checkpoint=fast
expect_output "interrupted by signal 15"
cat >hold.c <<'C'
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
static int hold(const char *call)
{
    if (strcmp(getenv("HOLD"), call) != 0)
        return 0;
    if (write(2, "held\n", 5) < 0)
        _exit(1);
    for (;;) {
        pause();
        if (write(2, "told\n", 5) < 0)
            _exit(1);
    }
}
int nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)time;
    (void)left;
    return hold("nanosleep");
}
int fsync(int fd)
{
    (void)fd;
    return hold("fsync");
}
C
cc -shared -fPIC -o hold.so hold.c
cc -shared -fPIC -o refuse.so "$here/refuse.c" -ldl
held=(env ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD="$T/refuse.so:$T/hold.so")
twice=1 send TERM "grep -qx held ended.log" in_side "${held[@]}" HOLD=nanosleep basebackup-push --checkpoint=fast # it sees no first signal
sql main "alter system reset archive_command" "select pg_reload_conf()" >/dev/null
send TERM "grep -qx held ended.log" in_job "${held[@]}" HOLD=fsync REFUSE_LACKS=tmpfile wal-fetch "$(sql main "select left(last_archived_wal, 24) from pg_stat_archiver")" "$T/tmp/fetched"
expect_absent tmp/fetched tmp/fetched.walferry
mkfifo nobody-writes && chmod 600 nobody-writes && chown $job_user nobody-writes
send TERM "grep -qsx basebackup-list /proc/\$(container_of \$from)/comm" in_job basebackup-list --config "$T/nobody-writes"

step "what a container lacks is said"
places=$side_places side_places="$T/run/main $([ "$STORE" = s3 ] || echo "$T/repository")"
expect_status 0 in_side repository-check
expect_output "note +state_dir .* cannot be used by this user .*; of a volume name a directory in it"
expect_status 1 in_side basebackup-verify --full
expect_output "could not create a temporary file"
expect_output "hint: .*TMPDIR"
side_places=$places

step "restored by a Job in another pod, as the server's user: not while the server seems to run"
mkdir run/copy && chgrp $group run/copy && chmod 2775 run/copy
job_user=$server_user more="$T/volume $T/run/copy $T/state-server:$T/state"
in_pod() { pod=another in_job "$@"; }
manifest restore fetch TARGET="$instant" PGDATA="$T/volume/main"
expect_status 1 in_pod "${words[@]}"
expect_output "postmaster.pid"
kill -KILL "$(container_of $server)"
wait $server || true
expect_status 1 in_pod "${words[@]}"
expect_output "postmaster.pid"
rm volume/main/postmaster.pid
expect_status 0 in_pod "${words[@]}"
manifest restore configure TARGET="$instant" PGDATA="$T/volume/main"
expect_status 0 in_pod "${words[@]}"
serve &
server=$!
wait_until 60 "the restored server" sql main "select 1"
wait_paused main
kill -INT "$(container_of $server)"
wait $server || true

step "not the right moment, perhaps: the same once more"
for container in fetch configure; do
    manifest restore $container TARGET="$instant" PGDATA="$T/volume/main"
    expect_status 0 in_pod "${words[@]}"
done
serve &
server=$!
wait_until 60 "the restored server" sql main "select 1"
wait_paused main
expect_ledger main expected
sql main "select pg_wal_replay_resume()"
wait_until 60 "the end of its recovery" is_open main
archived main
expect_true "its timeline is in the archive" object_exists "$(wal_key 00000002.history)"

step "the server's container ends"
kill -INT "$(container_of $server)"
wait $server || true
expect_absent volume/main/postmaster.pid
