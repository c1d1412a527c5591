#!/bin/bash
# goal: --delta brings a stopped server's directory to the state of a backup and fetches only what differs; nothing outside is touched
# stores: file
# full-encrypted: s3
# full-stores: s3
# limit: 300
. "$(dirname "$0")/../lib.sh"

step "a server with two tablespaces, and a backup of it"
config_write $'[basebackup]\njobs = 2'
server_create main --data-checksums --wal-segsize=1
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
mkdir one two
sql main "create tablespace one location '$T/one'" "create tablespace two location '$T/two'" \
    "create table big as select i, md5(i::text) as pad from generate_series(1, 100000) i" \
    "create table a tablespace one as select i from generate_series(1, 20000) i" "create table b tablespace two as select 1 as i"
for i in $(seq 30); do echo "create table small$i as select $i as i;"; done | psql -X -q -h "$T/run/main"
sql main "vacuum freeze" # later reading changes nothing
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")
sql main "insert into a values (0)"
archived main
sql main "select sum(i) from a" "select count(*) from big" >expected
mapped=(-T "$T/one=$T/moved one" -T "$T/two=$T/moved two")
places=(copy "moved one" "moved two")
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}"
fetched() { sed -n 's/.*right already; \([0-9.]*\) \([KM]\?\)i\?\(B\|bytes\) were fetched .*/\1\2/p' <<<"$output" | numfmt --from=iec; } # bytes
stored() { object_list | awk -v base="main/$system/base/$id/" 'index($1, base) == 1 && $1 ~ /-0/ {sum += $2} END {print sum}'; }
# What a restore would have given: all but pg_wal, and the time of what was right already.
image() { (cd "$T" && find "${places[@]}" -name pg_wal -prune -o \( -type f -printf '%m %s %p\n' -o ! -type f -printf '%m %y %p %l\n' \) | LC_ALL=C sort); }
image >image
expect_whole() { # after a delta
    image >image.now
    expect_same "the places" image image.now
    expect_status 0 pg_verifybackup -n copy
}

step "nothing differs: only pg_control is fetched"
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
expect_output "right already; [0-9.]+ (bytes|KiB) were fetched with 1 requests"
expect_whole

step "after recovery and changes of every kind: in proportion"
restart() {
    expect_status 0 recovery-config -D "$T/copy"
    server_start copy
    wait_open copy
    sql copy "select sum(i) from a" "select count(*) from big" >found
    expect_same "rows" expected found
}
restart
sql copy "update small3 set i = 0" "create table new as select 1" "drop table small4" "create database new" "checkpoint" "vacuum full b"
server_stop copy
expect_true "most of it is stored in some MB ($(stored))" test "$(stored)" -gt 2000000
chmod 400 copy/base/1/PG_VERSION && touch -d yesterday copy/base/1/PG_VERSION
mkdir -p copy/extra/deep && : >copy/extra/deep/file && : >"copy/an extra file" && chmod 0 copy/extra && chmod 500 copy/base/1 copy/global
mkfifo copy/pipe
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
expect_output "\"0000[0-9A-F]*\" in pg_wal is not in repository \"here\".*kept as \"$T/copy.pg_wal-"
expect_output "removed [0-9]+ files and [0-9]+ directories that the backup does not have"
expect_true "no more than a third was fetched ($(fetched) of $(stored))" test "$(fetched)" -lt $(($(stored) / 3))
expect_equal "WAL that was kept" 1 "$(ls -d copy.pg_wal-* | wc -l)"
expect_true "with its segments" test -n "$(ls copy.pg_wal-*/ | grep '^0000000')"
rm -r copy.pg_wal-*
expect_whole
restart
server_stop copy

step "pg_wal that is a mount point can't be kept: nothing is changed"
restart
sql copy "update small3 set i = 1"
server_stop copy
segment=$(cd copy/pg_wal && ls -d 0000* | grep -v history | tail -1)
cp "copy/pg_wal/$segment" segment
inside() { unshare --user --map-current-user --keep-caps --mount "$@"; }
if inside true 2>/dev/null; then
    expect_status 1 inside bash -c 'mount --bind copy/pg_wal copy/pg_wal && basebackup-fetch "$@"' - -D "$T/copy" "${mapped[@]}" --delta
    expect_output "error: could not rename .*busy"
    expect_output "hint: It is a mount point"
    expect_absent copy/restore.walferry
    expect_true "it can still be started" test -e copy/global/pg_control
    expect_true "its WAL is there" cmp segment "copy/pg_wal/$segment"
else
    echo "not tried: user and mount namespaces are not to be had here"
fi
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
expect_true "its WAL is kept" cmp segment copy.pg_wal-*/"$segment"
rm -r copy.pg_wal-* segment
expect_whole
if inside true 2>/dev/null; then # what is mounted in it, from the same file system
    mkdir copy/extra outside && echo mine >outside/file
    expect_status 1 inside bash -c 'mount --bind outside copy/extra && basebackup-fetch "$@"' - -D "$T/copy" "${mapped[@]}" --delta
    expect_output "hint: It is, or holds, a mount point"
    expect_equal "what was mounted" mine "$(cat outside/file)"
    expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
    rm -r outside
    expect_whole
fi

step "another segment size since the backup"
restart
server_stop copy
pg_resetwal -D copy --wal-segsize=16 >resetwal.log
segment=$(ls copy/pg_wal | grep '^0000')
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
expect_output "\"$segment\" in pg_wal is not in repository \"here\".*kept as"
rm -r copy.pg_wal-*
expect_whole

step "pg_wal whose segments are all in the repository, and one that was recycled: emptied"
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta # from a clean state
rm -rf copy.pg_wal-*
segment=$(sed -n 's/^START WAL LOCATION: .*(file \(.*\))/\1/p' copy/backup_label)
expect_status 0 wal-fetch "$segment" "$T/copy/pg_wal/$segment"
cp "copy/pg_wal/$segment" copy/pg_wal/0000000100000000000000F0
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
expect_equal "WAL that was kept" "" "$(find . -maxdepth 1 -name 'copy.pg_wal-*')"
expect_equal "WAL that is left" "" "$(ls copy/pg_wal | grep '^0000' || true)"
expect_status 0 wal-fetch "$segment" "$T/copy/pg_wal/$segment"
printf x | dd of="copy/pg_wal/$segment" bs=1 seek=500000 conv=notrunc status=none
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
expect_output "\"$segment\" in pg_wal is not in repository \"here\"" # not with that content
rm -r copy.pg_wal-*
expect_whole

step "what is written is on disk: each file and directory by itself, or each file system"
if command -v strace >/dev/null; then
    synced() { # COMMAND...: its calls are in trace
        ASAN_OPTIONS=detect_leaks=0 strace -f -qq -y -o trace -e trace=prctl,fsync,syncfs -e inject=prctl:retval=0 "$@" >fetch.log 2>&1 || { cat fetch.log; fail "$*"; }
    }
    calls() { grep -c "$1" trace || true; }
    for file in 1247 1249; do printf x | dd of=copy/base/1/$file bs=1 seek=5000 conv=notrunc status=none; done
    synced basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
    kept=$(find copy one two -type f 2>/dev/null | wc -l)
    expect_true "syncfs, or $kept times fsync" test "$(calls "syncfs.*= 0")" -ge 1 -o "$(calls "fsync.*= 0")" -ge "$kept"
    synced basebackup-fetch -D "$T/full" -T "$T/one=$T/full one" -T "$T/two=$T/full two"
    many=$(find full "full one" "full two" -type f | wc -l)
    expect_true "syncfs once, or $many times fsync" test "$(calls "syncfs.*= 0")" = 1 -o "$(calls "fsync.*= 0")" -ge "$many"
    rm -r full "full one" "full two"
    if [ "$(setarch --uname-2.6 uname -r 2>/dev/null | cut -c1-4)" = 2.6. ]; then # a kernel whose syncfs tells nothing
        for option in "" --delta; do # with --delta everything is kept, but nobody knows that it is on disk
            synced setarch --uname-2.6 basebackup-fetch -D "$T/full" -T "$T/one=$T/full one" -T "$T/two=$T/full two" $option
            expect_equal "syncfs" 0 "$(calls syncfs)"
            find full "full one" "full two" \( -type f -o -type d \) ! -empty | while read -r path; do
                [ "$path" = full/global/pg_control ] || grep -Fq "<$T/$path>" trace || fail "no fsync of $path"
            done
        done
        rm -r full "full one" "full two"
    fi
else
    echo "not tried: strace is not installed"
fi

step "killed at random points: it can't be started, only --delta goes on, and that to the end"
damage() { # so that there is something to do
    find copy/base copy/global -type f ! -name pg_control -size +8k | shuf -n 60 --random-source=<(yes "$SEED$1") | while read -r file; do
        case $((RANDOM % 3)) in
        0) rm "$file" ;;
        1) printf x | dd of="$file" bs=1 seek=$((RANDOM % 8000)) conv=notrunc status=none ;;
        2) : >"$file" ;;
        esac
    done
    : >"copy/base/1/not-in-the-backup"
}
killed=0
for try in $(seq ${FULL:+30} 10); do
    damage "$try"
    basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta --jobs $((1 + RANDOM % 3)) >fetch.log 2>&1 &
    fetch=$!
    sleep 0.$(printf %03d $((RANDOM % 250)))
    kill -KILL $fetch 2>/dev/null || true
    status=0
    wait $fetch || status=$?
    [ $status = 137 ] || { expect_equal "status" 0 $status && continue; }
    [ -e copy/restore.walferry ] || continue # it had not begun, or was done but for its name
    killed=$((killed + 1))
    expect_absent copy/global/pg_control
    expect_status 1 basebackup-fetch -D "$T/copy" "${mapped[@]}"
    expect_output "not empty"
    expect_output "interrupted there: the same command with --delta goes on"
done
expect_true "some were killed in the middle ($killed)" test $killed -gt 0
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
expect_whole

step "a restore into an empty directory that was killed: --delta goes on with it"
rm -r "${places[@]}"
basebackup-fetch -D "$T/copy" "${mapped[@]}" --jobs 1 >fetch.log 2>&1 &
fetch=$!
while [ ! -e copy/base/1/1259 ] && [ -d /proc/$fetch ]; do :; done
kill -KILL $fetch 2>/dev/null || true
wait $fetch || true
expect_status 1 basebackup-fetch -D "$T/copy" "${mapped[@]}"
expect_output "with --delta goes on"
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
expect_whole

step "other places for the tablespaces: the former one is left, and told"
expect_status 0 basebackup-fetch -D "$T/copy" -T "$T/one=$T/elsewhere" -T "$T/two=$T/moved two" --delta
expect_output "tablespace [0-9]+ was in \"$T/moved one\", which is left as it is"
expect_true "its files are there" test -n "$(find "moved one" -type f)"
expect_equal "the links" "$T/elsewhere
$T/moved two" "$(find copy/pg_tblspc -type l -printf '%l\n' | sort)"
expect_status 0 pg_verifybackup -n copy
expect_status 1 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta # that is not its own any more
expect_output "\"$T/moved one\" for tablespace .* is not empty"
rm -r "moved one" elsewhere
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
expect_whole

step "a tablespace that the backup does not have: only the directory of this version goes"
restart
mkdir third && : >third/mine
sql copy "select 1" >/dev/null
mkdir fourth
sql copy "create tablespace fourth location '$T/fourth'" "create table c tablespace fourth as select 1"
server_stop copy
: >fourth/mine && mkdir fourth/PG_14_1 && : >fourth/PG_14_1/mine
expect_status 0 basebackup-fetch -D "$T/copy" "${mapped[@]}" --delta
expect_equal "what is left there" "PG_14_1 PG_14_1/mine mine" "$(cd fourth && find . -mindepth 1 -printf '%P\n' | sort | paste -sd' ')"
rm -r copy.pg_wal-*
expect_whole
restart
server_stop copy
