#!/bin/bash
# goal: a backup is a good neighbour of its server: the page cache stays as it was, --max-rate and max_rate hold, for restores too, priority is set
# stores: file
# full-stores: s3
. "$(dirname "$0")/../lib.sh"

step "a server with some tables"
config_write
server_create main --data-checksums
echo "autovacuum = off" >>main/postgresql.conf # it reads tables, too
expect_status 0 repository-init
server_start main
sql main "create table warm as select i, md5(i::text) as pad from generate_series(1, 60000) i" \
    "create table cold as select i, md5(i::text) as pad from generate_series(1, 60000) i" "vacuum freeze" "checkpoint"
for i in $(seq 20); do echo "create table small$i as select $i as i;"; done | psql -X -q -h "$T/run/main"
server_stop main # so that nobody but the backup reads its files
server_start main
warm=main/$(sql main "select pg_relation_filepath('warm')") cold=main/$(sql main "select pg_relation_filepath('cold')")
small=main/$(sql main "select pg_relation_filepath('small7')")

step "what was in the page cache stays there, what was not is not there afterwards"
cached() { # FILE...: "CACHED-PAGES PAGES" a line
    python3 - "$@" <<'PYTHON'
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
for path in sys.argv[1:]:
    file = os.open(path, os.O_RDONLY)
    size = os.fstat(file).st_size
    pages = -(-size // mmap.PAGESIZE)
    found = (ctypes.c_ubyte * pages)()
    address = libc.mmap(None, size, 1, 1, file, 0)
    assert libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), found) == 0
    print(sum(page & 1 for page in found), pages)
PYTHON
}
forget() { python3 -c 'import os, sys
for path in sys.argv[1:]:
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)' "$@"; }
forgotten() { # FILE...
    forget "$@"
    [ -z "$(cached "$@" | grep -v '^0 ')" ]
}
if [ "$(stat -f -c %T main)" != tmpfs ]; then
    wait_until 30 "the page cache to let go" forgotten "$cold" "$small"
    cat "$warm" >/dev/null
    cached "$warm" "$cold" "$small" >before
    cat before
    expect_status 0 basebackup-push --checkpoint=fast
    cached "$warm" "$cold" "$small" >after
    expect_same "the pages in the cache" before after
else
    echo "not looked at: a tmpfs keeps everything in memory"
    expect_status 0 basebackup-push --checkpoint=fast
fi

step "a rate is kept, by all workers together, within 15 percent"
timed() { # COMMAND...: $took, in milliseconds
    local began
    began=$(date +%s%3N)
    expect_status 0 "$@"
    took=$(($(date +%s%3N) - began))
}
bytes=$(basebackup-list --json | grep -o '"plain_bytes": *[0-9]*' | head -1 | grep -o '[0-9]*$')
rate=$((bytes / 1048576 / 3)) # MB, for three seconds
in_time() { # WHAT UNLIMITED-MILLISECONDS MILLISECONDS
    local due=$((bytes * 1000 / (rate * 1048576)))
    echo "$1: $3 ms; $2 ms without a limit, due are $due ms"
    expect_true "$1 was not faster than it may be" test "$3" -ge $((due * 85 / 100))
    expect_true "$1 was not slower than it must be" test "$3" -le $((due * 115 / 100 + $2))
}
timed basebackup-push --checkpoint=fast --jobs 3
free=$took
timed basebackup-push --checkpoint=fast --jobs 3 --max-rate "${rate}MB"
in_time "the backup" $free $took
timed basebackup-fetch -D "$T/free" --jobs 3
free=$took
timed basebackup-fetch -D "$T/limited" --jobs 3 -r "${rate}MB"
in_time "the restore" $free $took
expect_status 0 pg_verifybackup -n limited
timed basebackup-push --checkpoint=fast --jobs 3 --wal=include --max-rate "${rate}MB"
expect_true "the WAL in a backup keeps to the rate too" test "$took" -ge $(((bytes + 16777216) * 900 / (rate * 1048576)))
expect_status 2 basebackup-push --max-rate 5
expect_output "whole number with a unit"
expect_status 2 basebackup-fetch -D "$T/no" --max-rate fast
printf '[basebackup]\nmax_rate = %sMB\n' $rate >>"$CONFIG"
timed basebackup-push --checkpoint=fast --jobs 1
in_time "the backup by its configuration" $free $took
timed basebackup-push --checkpoint=fast --max-rate 0
expect_true "the option goes before the configuration" test "$took" -lt $((bytes * 850 / (rate * 1048576)))

step "interrupted while it waits for its turn: at once"
sed -i 's/^max_rate = .*/max_rate = 64kB/' "$CONFIG"
env --default-signal=INT basebackup-push --checkpoint=fast >push.log 2>&1 &
push=$!
wait_until 20 "its begin" grep -q "begins at" push.log
sleep 1
kill -INT $push
began=$SECONDS status=0
wait $push || status=$?
expect_equal "status" 130 $status
expect_true "it took $((SECONDS - began)) s to end" test $((SECONDS - began)) -le "$(slowly 5)"

step "priority"
has_threads() { [ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l)" -ge "$2" ]; } # PID COUNT
is_stopped() { ! cut -d ' ' -f 3 "/proc/$1/task"/*/stat | grep -qv T; } # PID
priority_is() { # PRIORITY NICE IO: as the kernel knows them of every thread
    local push task
    sed -i '/^priority/d' "$CONFIG"
    echo "priority = $1" >>"$CONFIG"
    basebackup-push --checkpoint=fast --jobs 2 --max-rate 500kB >push.log 2>&1 & # so that it is still there
    push=$!
    wait_until 20 "its begin" grep -q "begins at" push.log
    wait_until 20 "its workers" has_threads $push 3
    kill -STOP $push # no thread ends while it is looked at
    wait_until 20 "it stands still" is_stopped $push
    for task in "/proc/$push/task"/*; do
        expect_equal "nice of thread ${task##*/}" "$2" "$(awk '{print $19}' "$task/stat")"
        expect_equal "its class for input and output" "$3" "$(ionice -p "${task##*/}")"
    done
    kill -CONT $push
    kill -TERM $push
    wait $push || true
}
priority_is normal 0 "$(ionice -p $$)"
priority_is low 10 "best-effort: prio 7"
priority_is idle 19 "idle"
sed -i '/^priority/d' "$CONFIG"
echo "priority = high" >>"$CONFIG"
expect_status 2 basebackup-push
expect_output "must be normal, low or idle"
