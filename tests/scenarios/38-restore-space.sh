#!/bin/bash
# goal: a restore asks for room first, on each file system, and writes nothing where there is too little; --delta counts what is there
# stores: file
. "$(dirname "$0")/../lib.sh"
# In a mount namespace of our own; as an ordinary user in a user namespace, which not every kernel and container allows.
inside() { unshare --user --map-current-user --keep-caps --mount "$@"; }
inside true 2>/dev/null || skip "user and mount namespaces are not to be had here"
on_small() { # KIB SCRIPT: bash runs it where $T/small is a file system of that size
    inside bash -Eeuo pipefail -c "trap 'echo \"not so: \$BASH_COMMAND\"' ERR; mount -t tmpfs -o size=${1}k,mode=700 small small; . ./inside.sh; $2" >said 2>&1 ||
        { cat said; fail "see above"; }
    sed "s|$T/||g" said
}
cat >inside.sh <<'SH'
status=0
call() { # STATUS PATTERN COMMAND...
    status=0
    text=$("${@:3}" 2>&1) || status=$?
    printf '%s\n' "${*:3} -> $status" "$text"
    [ $status = "$1" ] || { echo "expected status $1"; exit 1; }
    grep -Eq "$2" <<<"$text" || { echo "expected a message like $2"; exit 1; }
}
SH

step "a backup of a server with a tablespace"
config_write
server_create main
expect_status 0 repository-init
server_start main
mkdir one small
sql main "create tablespace one location '$T/one'" "create table a tablespace one as select i, md5(i::text) from generate_series(1, 100000) i"
expect_status 0 basebackup-push --checkpoint=fast
server_stop main
needed=$(du -sk --apparent-size --exclude=pg_wal main | cut -f1)
table=$(du -sk one | cut -f1)

step "too little room: what is needed and what is free is said, and nothing is made"
restore="basebackup-fetch -D $T/small/data -T $T/one=$T/small/one"
on_small $((needed / 2)) "
    call 1 'the restore needs [0-9.]+ MiB on the file system of .*small/data., where [0-9.]+ MiB are free' $restore
    [ -z \"\$(ls small)\" ]
    call 1 'No space left on device' $restore --ignore-space
    [ ! -e small/data/global/pg_control ]
    mount -o remount,size=$((needed + table + 20000))k small
    call 0 'is restored' $restore --delta
    pg_verifybackup -n small/data"

step "the tablespace's bytes are its own file system's"
on_small $((table / 2)) "call 1 'the restore needs [0-9.]+ MiB on the file system of .*small/one., where' basebackup-fetch -D $T/copy -T $T/one=$T/small/one
    [ -z \"\$(ls small)\" ] && [ ! -e copy ]"
on_small $((table + 1000)) "call 0 'is restored' basebackup-fetch -D $T/copy -T $T/one=$T/small/one"
rm -r copy

step "inodes"
inside bash -Eeuo pipefail -c "mount -t tmpfs -o size=200m,nr_inodes=300,mode=700 small small; . ./inside.sh
    call 1 'the restore needs [0-9]+ files on the file system of .*, which has inodes for 299 more' $restore
    [ -z \"\$(ls small)\" ]" >said 2>&1 || { cat said; fail "see above"; }

step "--delta where there is no room for a second one"
on_small $((needed + table + 6000)) "
    call 0 'is restored' $restore
    for file in small/data/base/*/* small/one/*/*/*; do [ \${file##*/} = PG_VERSION ] || [ \$((RANDOM % 3)) != 0 ] || printf x | dd of=\$file bs=1 seek=0 conv=notrunc status=none; done
    dd if=/dev/zero of=small/data/extra bs=1024 count=3000 status=none
    call 0 'is restored' $restore --delta
    pg_verifybackup -n small/data"
