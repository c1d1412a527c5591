#!/bin/bash
# goal: wal-fetch brings whole verified files, says 1 only when a file is beyond doubt not there, and leaves nothing when it fails
# stores: file s3
. "$(dirname "$0")/../lib.sh"

step "an archive of two timelines"
limits=$'[wal-fetch]\ntimeout = 3\nstandby_timeout = 2\nhistory_wait = 2\nswitch_wait = 2\nhole_wait = 1'
config_write "$limits"
server_create main
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t (i int)" >/dev/null
for _ in 1 2 3 4 5 6; do sql main "insert into t values (1)" "select pg_switch_wal()" >/dev/null; done
archived main
cp -r main/pg_wal originals
server_stop main
cp -r main/pg_wal/* originals/
S() { printf '%08X00000000%08X' "${2:-1}" "$1"; } # NUMBER [TIMELINE]: a segment's name
last=1
while object_exists "$(wal_key "$(S $((last + 1)))")"; do last=$((last + 1)); done
echo "timeline 1 has segments 1 to $last"
expect_true "at least six segments" test $last -ge 6
# The history of a second timeline, that left the first in the segment behind the last one.
printf '1\t0/%X000100\tno recovery target specified\n' $((last + 1)) >00000002.history
mkdir -p second/pg_wal second/global
cp main/global/pg_control second/global/ && cp main/PG_VERSION second/ && cp 00000002.history second/pg_wal/
expect_status 0 wal-push second/pg_wal/00000002.history

mkdir -p target/pg_wal target/global
cp main/global/pg_control target/global/
cp main/PG_VERSION target/
# fetch STATUS MODE NAME: MODE is recovery, standby or none (no signal file)
fetch() {
    rm -f "$T"/target/*.signal
    [ "$2" = none ] || touch "$T/target/$2.signal"
    path=pg_wal/RECOVERYXLOG
    case $3 in *.history) path=pg_wal/RECOVERYHISTORY ;; esac
    cd "$T/target"
    expect_status "$1" wal-fetch "$3" $path
    cd "$T"
    expect_absent "target/$path.walferry"
    if [ "$1" != 0 ]; then expect_absent "target/$path"; else mv "target/$path" fetched; fi
}

step "what is there"
for mode in recovery standby none; do
    fetch 0 $mode "$(S 2)"
    expect_same "segment 2" "originals/$(S 2)" fetched
done
fetch 0 recovery 00000002.history
expect_same "history" 00000002.history fetched
printf stale >target/pg_wal/RECOVERYXLOG.walferry # of a call that was killed
fetch 0 recovery "$(S 1)"
expect_same "segment 1" "originals/$(S 1)" fetched

step "what is not there, beyond the end: 1"
for mode in recovery standby none; do
    fetch 1 $mode "$(S $((last + 1)))"
    fetch 1 $mode "$(S 1 2)"
    fetch 1 $mode 00000003.history
    fetch 1 $mode "$(S 1).00000028.backup"
done

step "a hole: 200 in recovery, at any distance; a standby asks again"
object_get "$(wal_key "$(S 3)")" saved
object_delete "$(wal_key "$(S 3)")"
fetch 200 recovery "$(S 3)"
expect_output "$(S 4)"
expect_output "accept-end|end_at"
fetch 1 standby "$(S 3)"
cp "originals/$(S 3)" target/pg_wal/ # the lost server's pg_wal has it: PostgreSQL shall look there
fetch 1 recovery "$(S 3)"
expect_output "pg_wal"
head -c 8388608 "originals/$(S 3)" >"target/pg_wal/$(S 3)"
fetch 200 recovery "$(S 3)"
cp "originals/$(S 2)" "target/pg_wal/$(S 3)"
fetch 200 recovery "$(S 3)"
half() { # BYTES-OF-IT FILE-OF-THE-REST STATUS: a server that died, or a standby that was cut off, leaves such a segment
    { head -c "$1" "originals/$(S 3)" && tail -c "+$(($1 + 1))" "$2"; } >"target/pg_wal/$(S 3)"
    fetch "$3" recovery "$(S 3)"
}
head -c "$(stat -c %s "originals/$(S 3)")" /dev/zero >zeros
used=$({ cmp -l "originals/$(S 3)" zeros || true; } | tail -1 | awk '{ print int(($1 + 8191) / 8192) * 8192 }') # the rest, behind a switch, is zero
cp zeros recycled # the file of another segment, used again
dd if="originals/$(S 2)" of=recycled bs=8192 count=1 seek=$((used / 8192)) conv=notrunc status=none
half 64 zeros 200
expect_output "not written to its end"
half $((used - 8192 + 64)) zeros 200
half "$used" recycled 200
half "$used" zeros 1
rm "target/pg_wal/$(S 3)"
sed -i "\$a end_at = $(S 3)" "$CONFIG"
fetch 1 recovery "$(S 3)"
expect_output "accepted"
fetch 1 recovery "$(S 4)"
fetch 0 recovery "$(S 2)"
sed -i '/^end_at/d' "$CONFIG"
object_put "$(wal_key "$(S 3)")" saved
fetch 0 recovery "$(S 3)"

step "a hole that only the history shows: the last segment before the second timeline"
object_get "$(wal_key "$(S $last)")" saved
object_delete "$(wal_key "$(S $last)")"
fetch 1 recovery "$(S $last)"
cp 00000002.history target/pg_wal/
fetch 200 recovery "$(S $last)"
fetch 1 recovery "$(S $((last + 1)))" # the second timeline has it, under its own name
rm target/pg_wal/00000002.history
sed "s|$|.partial|" <<<"$(S $last)" >partial.name
cp "originals/$(S $last)" "second/pg_wal/$(cat partial.name)"
expect_status 0 wal-push "second/pg_wal/$(cat partial.name)"
fetch 1 recovery "$(S $last)"
expect_output "partial"
object_put "$(wal_key "$(S $last)")" saved

step "PATH is a directory, or a link to one, as pg_wal may be: nothing takes its place"
rm -rf elsewhere && mkdir elsewhere && ln -s ../elsewhere target/link
for name in pg_wal link; do
    expect_status 200 wal-fetch "$(S 2)" "$T/target/$name"
    expect_output "is a directory"
done
expect_true "the link is there" test -L target/link
rm target/link

step "a damaged object: 200 in recovery, 1 on a standby, nothing handed over"
key=$(wal_key "$(S 4)")
object_get "$key" good
size=$(stat -c %s good)
flip() { cp good damaged && printf '\xa5\x5a\xa5' | dd of=damaged bs=1 seek="$1" conv=notrunc status=none; }
damaged() { # WHAT
    echo "-- $1"
    object_put "$key" damaged
    fetch 200 recovery "$(S 4)"
    expect_output "damaged|longer|not segment"
    fetch 1 standby "$(S 4)"
    expect_output "damaged|longer|not segment"
}
flip 0 && damaged "magic"
flip $((size / 2)) && damaged "data"
flip $((size - 1024)) && damaged "the trailer's frame"
flip $((size - 900)) && damaged "the trailer"
head -c $((size / 2)) good >damaged && damaged "truncated"
tail -c 1024 good >damaged && damaged "only the trailer"
: >damaged && damaged "empty"
cat good good >damaged && damaged "twice"
head -c 100000 /dev/urandom >damaged && damaged "garbage"
lz4 -qc "originals/$(S 4)" >damaged && damaged "no trailer"
object_get "$(wal_key "$(S 2)")" damaged && damaged "another segment's object"
object_put "$key" good
fetch 0 recovery "$(S 4)"

step "not the right place, not the right system: 200 whatever the mode"
rm -rf state
cp "$CONFIG" good.conf
wrong() { # WHAT [NAME...]
    echo "-- $1"
    shift
    [ $# -gt 0 ] || set -- "$(S 2)" "$(S $((last + 1)))"
    for name; do for mode in recovery standby none; do fetch 200 $mode "$name"; done; done
    fetch 200 recovery 00000003.history
    cp good.conf "$CONFIG"
}
object_sums >before
mkdir "$T/repositoryx" # an empty directory is what is left where nothing is mounted
sed -i 's|^\(url.*\)$|\1x|' "$CONFIG" && wrong "a mistyped prefix, or a directory that is not mounted"
expect_equal "made by a reader" "" "$(ls -A repositoryx)"
sed -i 's|^name = main|name = mian|' "$CONFIG" && wrong "a mistyped name"
object_get main/cluster.json cluster.json
object_delete main/cluster.json && rm -rf state && wrong "an emptied place: nothing is beyond doubt not there" "$(S $((last + 1)))"
object_put main/cluster.json cluster.json
sed -i '2a colour = blue' "$CONFIG" && wrong "configuration"
server_create foreign
cp foreign/global/pg_control target/global/ && wrong "another system"
cp main/global/pg_control target/global/
expect_status 200 wal-fetch
expect_status 200 wal-fetch "$(S 2)"
expect_status 200 wal-fetch --nonsense "$(S 2)" x
expect_status 200 wal-fetch --end-at nonsense "$(S 2)" x
expect_output "must be the name of a WAL segment"
expect_status 200 wal-fetch --timeline nonsense "$(S 2)" x
expect_output "must be the number of a timeline"
expect_status 200 wal-fetch --config "$T/nowhere.conf" "$(S 2)" x
expect_absent x x.walferry
fetch 0 recovery "$(S 2)"
object_sums >now
expect_same "the repository: readers make nothing" before now

step "an absolute path and no signal file, as pg_rewind has it: 200 on failure"
cd "$T"
expect_status 0 wal-fetch "$(S 2)" "$T/target/pg_wal/$(S 2)"
expect_same "segment 2" "originals/$(S 2)" "target/pg_wal/$(S 2)"
rm "target/pg_wal/$(S 2)"

step "a store that cannot be asked"
away() { if [ "$STORE" = file ]; then mv "$T/repository" "$T/away"; else sed -i 's|^endpoint.*|endpoint = https://127.0.0.1:9|' "$CONFIG"; fi; }
away
for name in "$(S 2)" "$(S $((last + 1)))" 00000002.history; do
    began=$SECONDS
    fetch 200 recovery "$name"
    expect_true "at most 8 s" test $((SECONDS - began)) -le "$(slowly 8)"
done
fetch 1 recovery 00000001.history # without a request
fetch 1 none 00000001.history
if [ "$STORE" = s3 ]; then # a directory that is away can't be told from a mistyped one: 200
    fetch 1 standby "$(S 2)"
    expect_output "warning"
    fetch 1 standby 00000003.history
    expect_output "promotion"
fi
# After the point of no return: what lies beside PATH is good enough, else the directory is lost.
fetch 200 none 00000002.history
expect_output "do not start"
cp 00000002.history target/pg_wal/
fetch 1 none 00000002.history
