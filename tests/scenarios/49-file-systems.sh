#!/bin/bash
# goal: on a full file system and on one that is read-only the cause is said, nothing is half visible, and with room again the next call succeeds
# stores: file
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"
# In a mount namespace of our own; as an ordinary user in a user namespace, which not every kernel and container allows.
inside() { unshare --user --map-current-user --keep-caps --mount "$@"; }
inside true 2>/dev/null || skip "user and mount namespaces are not to be had here"

in_bash() { # SCRIPT
    inside bash -Eeuo pipefail -c "trap 'echo \"not so: \$BASH_COMMAND\"' ERR; $1" >said 2>&1 || { cat said; fail "see above"; }
    sed "s|$T/||g" said
}
# on_small SIZE SCRIPT: bash runs it where $T/small is a file system of so many KiB
on_small() { in_bash "mount -t tmpfs -o size=${1}k,mode=700 small small; . ./inside.sh; $2"; }
# on_read_only SCRIPT: where all is read-only but $T/small
on_read_only() {
    in_bash "mount -t tmpfs -o size=200m,mode=700 small small; . ./inside.sh; prepare
        for place in \$(findmnt -rno TARGET | grep -Ev '^(/proc|/sys|/dev)' | grep -vx \"$T/small\"); do mount -o remount,bind,ro \"\$place\" 2>/dev/null || true; done
        ! touch '$T/writable' 2>/dev/null
        $1"
}
cat >inside.sh <<'SH'
fails() { # STATUS PATTERN COMMAND...
    local status=0
    text=$("${@:3}" 2>&1) || status=$?
    printf '%s\n' "${*:3} -> $status" "$text"
    [ $status = "$1" ] || { echo "expected status $1"; exit 1; }
    grep -Eq "$2" <<<"$text" || { echo "expected a message like $2"; exit 1; }
}
whole() { lz4 -dcq "$1" | cmp - "$2"; } # OBJECT FILE
SH

step "what is to be stored: incompressible segments"
cluster_create
mkdir small
config_write
segment=$(S 2) next=$(S 3)
export segment next system

step "a repository in a directory whose file system is full"
sed "s|^url = .*|url = file://$T/small/repository|" "$CONFIG" >small.conf && chmod 600 small.conf
export WALFERRY_CONFIG=$T/small.conf
key=small/repository/main/$system/wal/${segment:0:16}
on_small 1600 "
    repository-init
    wal-push main/pg_wal/$segment
    fails 1 'error: could not .*No space left on device' wal-push main/pg_wal/$next
    [ ! -e $key/$next ]
    whole $key/$segment main/pg_wal/$segment
    find small -type f | LC_ALL=C sort | diff - <(printf '%s\n' $key/$segment small/repository/main/cluster.json)
    fails 1 'No space left on device' repository-check
    find small -type f | LC_ALL=C sort | diff - <(printf '%s\n' $key/$segment small/repository/main/cluster.json)
    mount -o remount,size=4000k small
    wal-push main/pg_wal/$next
    whole $key/$next main/pg_wal/$next"
on_small 8 "
    dd if=/dev/zero of=small/full bs=4096 count=10 2>/dev/null || true
    fails 1 'error: could not .*No space left on device' repository-init
    [ -z \"\$(find small -name cluster.json)\" ]
    rm small/full
    repository-init"
step "a file system that has room, but no inode left"
on_small 40000 "
    repository-init
    used=\$(find small | wc -l)
    for more in 0 1 2 3; do
        mount -o remount,nr_inodes=\$((used + more)) small
        fails 1 'error: could not .*No space left on device' wal-push main/pg_wal/$segment
        find small -type f | diff - <(echo small/repository/main/cluster.json)
    done
    mount -o remount,nr_inodes=\$((used + 4)) small
    wal-push main/pg_wal/$segment
    whole $key/$segment main/pg_wal/$segment
    fails 1 'No space left on device' wal-push main/pg_wal/$next
    mount -o remount,nr_inodes=100 small
    cp -r target small/ && touch small/target/recovery.signal
    mount -o remount,nr_inodes=\$(find small | wc -l) small
    cd small/target
    fails 200 'No space left on device' wal-fetch $segment pg_wal/RECOVERYXLOG
    [ -z \"\$(ls -A pg_wal)\" ]
    mount -o remount,nr_inodes=100 $T/small
    wal-fetch $segment pg_wal/RECOVERYXLOG
    cmp pg_wal/RECOVERYXLOG $T/main/pg_wal/$segment"
export WALFERRY_CONFIG=$CONFIG

step "a data directory whose file system is full"
expect_status 0 repository-init
expect_status 0 wal-push "main/pg_wal/$segment"
on_small 800 "
    cp -r target small/
    touch small/target/recovery.signal
    cd small/target
    fails 200 'error: could not .*No space left on device' wal-fetch $segment pg_wal/RECOVERYXLOG
    [ -z \"\$(ls -A pg_wal)\" ]
    mount -o remount,size=4000k $T/small
    wal-fetch $segment pg_wal/RECOVERYXLOG
    cmp pg_wal/RECOVERYXLOG $T/main/pg_wal/$segment
    rm pg_wal/RECOVERYXLOG
    dd if=/dev/zero of=../full bs=4096 2>/dev/null || true
    fails 1 'error: could not .*No space left on device' recovery-config -D $T/small/target
    [ ! -s postgresql.auto.conf ]
    rm ../full recovery.signal
    recovery-config -D $T/small/target
    grep -q ^restore_command postgresql.auto.conf
    [ -e recovery.signal ]"

step "base backups: no room for the backup, none for the restored directory, none for temporary files"
rm -rf main repository state && mkdir repository
server_create main --wal-segsize=1
server_start main
system=$(system_identifier main)
expect_status 0 repository-init
expect_status 0 basebackup-push --checkpoint=fast
on_small 2000 "
    fails 1 'No space left on device|room|space' basebackup-fetch -D $T/small/copy
    [ -z \"\$(find small -name 'pg_control*')\" ]
    mount -o remount,size=100m small
    rm -rf small/copy
    basebackup-fetch -D $T/small/copy
    pg_verifybackup -n -q small/copy"
on_small 200000 "
    mount -o remount,nr_inodes=400 small
    fails 1 'which has inodes for' basebackup-fetch -D $T/small/copy
    [ -z \"\$(find small -name 'pg_control*')\" ]"
on_small 16 "
    dd if=/dev/zero of=small/full bs=4096 2>/dev/null || true
    find repository -type f | sort >before
    TMPDIR=$T/small; export TMPDIR
    sed 's|^state_dir.*|state_dir = $T/small/state|' $CONFIG >tight.conf; chmod 600 tight.conf
    fails 1 'No space left on device' basebackup-push --config $T/tight.conf --checkpoint=fast
    rm small/full
    mount -o remount,size=10m small
    basebackup-push --config $T/tight.conf --checkpoint=fast"
expect_status 0 basebackup-list --json
expect_equal "backups in the list" 2 "$(grep -c '"id":' <<<"$output")"

step "all is read-only but the repository, or but the data directory: what can work works, the rest says why"
sed "s|^url = .*|url = file://$T/small/repository|" "$CONFIG" >small.conf && chmod 600 small.conf
segment=$(basename "$(find main/pg_wal -maxdepth 1 -name '0*[0-9A-F]' | sort | head -1)")
sed "s|^url = .*|url = file://$T/new|" "$CONFIG" >new.conf && chmod 600 new.conf
cat >>inside.sh <<SH
prepare() { cp -r repository small/; }
SH
on_read_only "
    wal-fetch --config $T/small.conf $segment $T/small/by.hand
    cmp small/by.hand main/pg_wal/$segment
    rm small/repository/main/$system/wal/${segment:0:16}/$segment
    wal-push --config $T/small.conf main/pg_wal/$segment
    whole small/repository/main/$system/wal/${segment:0:16}/$segment main/pg_wal/$segment
    fails 1 'Read-only file system' wal-push main/pg_wal/$segment
    fails 200 'Read-only file system' wal-fetch $segment $T/target/pg_wal/RECOVERYXLOG
    fails 1 'Read-only file system' repository-init --config $T/new.conf
    fails 1 'Read-only file system' recovery-config -D $T/target
    fails 1 'temporary file .*Read-only file system' basebackup-fetch -D $T/small/copy
    fails 1 'variable TMPDIR' basebackup-fetch -D $T/small/copy
    export TMPDIR=$T/small
    fails 1 'Read-only file system' basebackup-fetch -D $T/new
    basebackup-fetch -D $T/small/copy
    pg_verifybackup -n -q small/copy
    recovery-config -D $T/small/copy
    basebackup-list | grep -q walferry
    fails 1 'Read-only file system' repository-check
    TMPDIR=$T/tmp fails 1 'Read-only file system' basebackup-push --config $T/small.conf --checkpoint=fast
    sed 's|^state_dir.*|state_dir = $T/small/state|' small.conf >small/state.conf; chmod 600 small/state.conf
    printf '[basebackup]\nwal_timeout = 1\n' >>small/state.conf
    fails 1 'did not arrive' basebackup-push --config $T/small/state.conf --checkpoint=fast" # the server archives elsewhere
server_stop main
