#!/bin/bash
# goal: each allocation, and each call of the kernel, refused once where wal-push looks ahead or lets go, where wal-fetch reads ahead or finds nothing, and where file systems lack something
# stores:
# turns: file s3
# limit: 600
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"
. "$here/refuse.sh"
[ -z "$FULL" ] || export REFUSE_DEPTH=4

step "a cluster with segments that wait"
keys=repository
[ "$STORE" = file ] || { fault_server faults && script && keys=faults/objects/$S3_BUCKET/$S3_PREFIX; }
config_write $'[wal-push]\nparallel = 2\n[wal-fetch]\nhole_wait = 0\nread_ahead = 3MB\nparallel = 2'
cluster_create
mkdir main/pg_wal/archive_status
waiting() { # NUMBER...
    local number
    rm -f main/pg_wal/archive_status/*
    for number; do : >"main/pg_wal/archive_status/$(S "$number").ready"; done
}
object() { echo "$keys/$(wal_key "$(S "$1")")"; } # NUMBER
is_stored() { lz4 -dcq "$(object "$1")" 2>/dev/null | cmp -s - "main/pg_wal/$(S "$1")"; }
nothing_half() { # each object is what its segment is
    local file
    for file in "$keys/main/$system/wal"/*/0*; do
        case $file in *'*' | *.gap | *.history) continue ;; esac
        lz4 -dcq "$file" | cmp -s - "main/pg_wal/${file##*/}" || fail "half an object: $file"
    done
}
expect_status 0 repository-init
landed=target/pg_wal/RECOVERYXLOG
touch target/recovery.signal

step "wal-push looks ahead"
push_case() { # NAME NUMBER
    name=$1 failing=1 expected=0 command=(wal-push "main/pg_wal/$(S "$2")")
}
ahead_reset() { rm -rf "$keys/main/$system" state && waiting 1 2 3 4; }
ahead_whole() { is_stored 1; }
ahead_check() { # what is remembered is true: what the next calls say is there, is there
    local number
    nothing_half
    for number in 1 2 3 4; do
        expect_status 0 wal-push "main/pg_wal/$(S $number)"
        is_stored $number || fail "segment $number was remembered, but is not stored"
    done
}
push_case ahead 1
thin=$([ "$STORE" = file ] && echo 3 || echo 6) unsynced=sync # of what is remembered, and of a later segment
every_call
thin=$([ "$STORE" = file ] && echo 1 || echo 3) unsynced=
step "the call for what is stored already"
hit_reset() { ahead_reset && wal-push "main/pg_wal/$(S 1)" 2>/dev/null; }
hit_whole() { is_stored 2; }
hit_check() { nothing_half; }
push_case hit 2
every_call
step "a history file; a segment that its ancestor's pages begin; a .partial that another server has stored under its name"
rm -rf "$keys/main/$system" state && waiting
printf '1\t0/600100\tno recovery target specified\n' >main/pg_wal/00000002.history
segment_write 6 "main/pg_wal/$(S 6 2)" 1
cp "main/pg_wal/$(S 6 2)" "main/pg_wal/$(S 6 2).partial"
: >"main/pg_wal/archive_status/$(S 6 2).done"
{ head -c 524288 "main/pg_wal/$(S 6)" && head -c 524288 /dev/zero; } >other.partial
of_name() { echo "$keys/$(wal_key "${command[1]##*/}")"; }
is_object() { lz4 -dcq "$1" 2>/dev/null | cmp -s - "${command[1]}"; } # FILE
kind_reset() { rm -rf "$keys/main/$system"; }
kind_whole() { is_object "$(of_name)"; }
kind_check() { [ ! -e "$(of_name)" ] || kind_whole || fail "half an object"; }
rival_reset() { # both are kept
    kind_reset
    mkdir -p taken && cp other.partial "taken/$(S 6 2).partial"
    wal-push "taken/$(S 6 2).partial"
}
rival_whole() { is_object "$(of_name)".????????; }
rival_check() {
    lz4 -dcq "$(of_name)" | cmp -s - other.partial || fail "what was stored first is not what it was"
    ! compgen -G "$(of_name).*" >/dev/null || rival_whole || fail "half an object"
}
fresh=1
for kind in 00000002.history "$(S 6 2)"; do
    push_case kind 1
    command[1]=main/pg_wal/$kind
    every_call
done
push_case rival 1
command[1]=main/pg_wal/$(S 6 2).partial
every_call
fresh=
rm "main/pg_wal/$(S 6 2)"*
step "wal-push lets go of segments"
cp "$CONFIG" kept.conf
sed -i 's|^\[wal-push\]|&\nqueue_limit = 2MB\non_full = drop\ntimeout = 1|' "$CONFIG"
drop_reset() { rm -rf "$keys/main/$system" state && waiting 1 2 3 4 && mkdir -m 700 state && mv "$keys/main" away; }
gap_of() { find state -name 'gap-*' ! -name '*.json' | wc -l; }
drop_whole() { [ "$(gap_of)" = 1 ]; }
drop_check() { # nothing is let go of without a marker, and what was is told before any later segment
    if [ "$status" != 0 ] && [ "$(gap_of)" = 1 ]; then # it has its name, but was not synced: asked again, the next call must do it
        ! REFUSE=wal-push:0:5 REFUSE_LOG=$T/ignored REFUSE_LACKS=sync LD_PRELOAD=$T/refuse.so wal-push "main/pg_wal/$(S 1)" 2>/dev/null ||
            fail "let go of, and nothing is synced"
    fi
    mv away "$keys/main"
    if [ "$status" = 0 ]; then
        waiting 2
        expect_status 0 wal-push "main/pg_wal/$(S 2)"
        expect_true "the marker is in the repository" test -e "$(object 1)-$(S 1).gap"
    fi
    nothing_half
}
push_case drop 1
[ "$STORE" != file ] || every_call # the fault server would make the directory anew
cp kept.conf "$CONFIG"

step "wal-fetch reads ahead"
rm -rf state "$keys/main/$system" && waiting 1 2 3 4 6
for number in 1 2 3 4 6; do expect_status 0 wal-push "main/pg_wal/$(S $number)"; done
fetch() { (cd target && wal-fetch --config "$CONFIG" "$(S "$1")" pg_wal/RECOVERYXLOG); } # NUMBER
fetch_case() { # NAME NUMBER STATUS
    name=$1 failing=200 expected=$3 command=(wal-fetch "$(S "$2")" "$T/$landed")
}
helpers() { pgrep -x wal-fetch-ahead | while read -r pid; do ! grep -qsF "$CONFIG" "/proc/$pid/cmdline" || echo "$pid"; done; }
no_helper() { [ -z "$(helpers)" ]; }
started=1700000000
reading_reset() {
    rm -f $landed
    sleep 3600 &
    postmaster=$!
    started=$((started + 1))
    printf '%s\n' $postmaster "$T/target" $started 5432 >target/postmaster.pid
    fetch 1 && rm $landed
    [ "$name" != handed ] || { fetch 2 && rm $landed && wait_until 10 "segment 3 ahead" eval 'compgen -G "state/ahead-*/'"$(S 3)"'-*" >/dev/null'; }
}
reading_whole() { cmp -s $landed "main/pg_wal/${command[1]}"; }
reading_check() {
    local number
    [ ! -e $landed ] || reading_whole || fail "something that is not the segment has its name"
    for number in 2 3 4; do
        rm -f $landed
        fetch $number || fail "status $? of the call for segment $number"
        cmp -s $landed "main/pg_wal/$(S $number)" || fail "segment $number is not what it was"
    done
    kill $postmaster
    rm target/postmaster.pid $landed
    wait_until 20 "the end of the helper" no_helper
}
fetch_case reading 2 0
thin=$((thin * 3))
every_call
step "wal-fetch hands over what was read ahead"
for part in reset whole check; do eval "handed_$part() { reading_$part; }"; done
fetch_case handed 3 0
every_call
thin=$((thin / 3))
rm -rf state

step "wal-fetch finds nothing"
absent_reset() { rm -f $landed; }
absent_whole() { [ ! -e $landed ]; }
absent_check() { absent_whole || fail "a file for what is not there"; }
fetch_case absent 7 1
every_call
fetch_case absent 5 200
every_call
cp "main/pg_wal/$(S 5)" target/pg_wal/ # the server is told to use that: with its last page it was written to its end
dd if=template of="target/pg_wal/$(S 5)" bs=1 count=2 seek=$((127 * 8192)) conv=notrunc status=none
printf '\x00\xe0\x5f\x00\x00\x00\x00\x00' | dd of="target/pg_wal/$(S 5)" bs=1 seek=$((127 * 8192 + 8)) conv=notrunc status=none
fetch_case absent 5 1
fresh=1 every_call
rm "target/pg_wal/$(S 5)"
fetch_case absent 7 1
command[1]=00000003.history
every_call

step "wal-fetch by hand, into a name that the server does not make durable itself"
hand_reset() { rm -f "target/pg_wal/$(S 1)"; }
hand_whole() { cmp -s "target/pg_wal/$(S 1)" "main/pg_wal/$(S 1)"; }
hand_check() { [ ! -e "target/pg_wal/$(S 1)" ] || hand_whole || fail "something that is not the segment has its name"; }
fetch_case hand 1 0
command[2]=target/pg_wal/$(S 1)
fresh=1 every_call
hand_reset

if [ "$STORE" = file ]; then
    step "file systems without unnamed files, and without hard links"
    lone_reset() { rm -rf "$keys/main/$system" && waiting 1; }
    lone_whole() { is_stored 1; }
    lone_check() { nothing_half; }
    single_reset() { rm -f $landed; }
    single_whole() { cmp -s $landed "main/pg_wal/$(S 1)"; }
    single_check() { [ ! -e $landed ] || single_whole || fail "something that is not the segment has its name"; }
    for REFUSE_LACKS in tmpfile "tmpfile links"; do
        export REFUSE_LACKS
        push_case lone 1
        every_call
        wal-push "main/pg_wal/$(S 1)"
        fetch_case single 1 0
        every_call
    done
fi
expect_rows 100+
