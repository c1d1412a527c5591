#!/bin/bash
# goal: a full verification with a budget of bytes or time covers all in turn, what was not verified for longest first; it goes on where it was cut short or killed, and needs no right but to read and to write reports/
# stores: s3
# full-stores: file
. "$(dirname "$0")/../lib.sh"

reports() { object_list | sed -n "s|^main/$system/reports/\([^ ]*\) .*|\1|p"; }
everything() { # what is to be read: the parts, the indexes and the WAL
    object_list | grep -E "^main/$system/(base/[^/]*/(files|[a-z0-9]*-[0-9]{8})|wal/[0-9A-F]{16}/)" | awk '{ n++; bytes += $2 } END { print n, bytes }'
}
read_so_far() { python3 -c 'import json; one = json.load(open("verify.json"))["repositories"][0]; print(one["objects_read"], one["bytes_read"], int(one["cut_short"]))'; }
verify() { # STATUS [OPTION...]
    local expected=$1 status=0
    shift
    basebackup-verify --full --json "$@" >verify.json 2>verify.log || status=$?
    expect_equal "exit status of verify $* ($(cat verify.log))" "$expected" $status
}

step "three backups, and WAL in two folders"
config_write $'[basebackup]\njobs = 2\n[compression]\ncodec = none'
server_create main --wal-segsize=1
server_start main
system=$(system_identifier main)
expect_status 0 repository-init
for _ in 1 2 3; do
    sql main "create table if not exists t (i int)" "insert into t select generate_series(1, 1000)"
    expect_status 0 basebackup-push --checkpoint=fast
done
archived main
server_stop main
read -r _ bytes < <(everything)
backups=$(basebackup-list --json | grep -c '"id"')
echo "$bytes bytes"

step "a night's budget is a part: each night goes on, and nothing is read twice before all was read"
done_units() { reports | grep -v '+' | sed -E 's/^[0-9TZ.]*-verified-//'; }
units=$((backups + $(object_list | sed -nE "s|^main/$system/wal/([0-9A-F]{16})/.*|\1|p" | sort -u | wc -l)))
most=$((bytes / 5)) nights=0
until [ "$(done_units | wc -l)" -ge $units ]; do
    verify 0 --max-bytes "$((most / 1024))kB"
    read -r n read cut < <(read_so_far)
    echo "night $nights: $n objects, $read bytes, cut short: $cut"
    expect_true "within its budget" test "$read" -le "$most"
    expect_true "something is read" test "$n" -gt 0
    expect_equal "cut short" 1 "$cut"
    nights=$((nights + 1))
    [ "$nights" -lt 12 ] || fail "it does not come to an end"
done
expect_true "several nights: $nights" test "$nights" -ge 5
expect_equal "units that were done before one was done again" $units "$(done_units | head -$units | sort -u | wc -l)"

step "a limit of time"
verify 0 --max-time 1 --max-rate 8MB
read -r n read cut < <(read_so_far)
expect_equal "cut short" 1 "$cut"

step "killed on its way: what was read is not read again"
verify 0
before=$(reports | wc -l)
basebackup-verify --full --max-rate 8MB --jobs 1 --verbose >verify.log 2>&1 &
pid=$!
has_read() { [ "$(grep -c 'debug: read "' verify.log)" -ge 2 ]; }
wait_until 60 "two objects" has_read
kill -TERM $pid
wait $pid && fail "it was not interrupted" || true
expect_true "a report of what was done: $(reports | tail -3)" test "$(reports | wc -l)" -gt "$before"

step "it goes on behind the object that it did last, whatever was removed before that"
server_start main
for i in $(seq 6); do sql main "select pg_create_restore_point('point $i')" "select pg_switch_wal()" >/dev/null; done
archived main
server_stop main
mapfile -t points < <(object_list | grep -oE "^main/$system/restore-points/[^ ]*" | sort)
expect_equal "restore points" 6 ${#points[@]}
object_list | grep -oE "^main/$system/reports/[^ ]*" | while read -r key; do object_delete "$key"; done
verify 0 --wal --max-bytes 1kB
expect_true "two are done: $(reports)" grep -qF "+${points[1]##*/}" <<<"$(reports)"
object_delete "${points[0]}"
object_get "${points[2]}" point
sed 's/point 3/point 5/' point >wrong
object_put "${points[2]}" wrong
verify 1 --wal --max-bytes 1kB
expect_true "the third is the next" grep -qF "${points[2]##*/}" verify.log
object_put "${points[2]}" point
verify 1 --wal # behind it, and it is known
verify 0

if [ "$STORE" = s3 ]; then
    step "a report tells the store's time: this machine's clock is three days ahead"
    cc -shared -fPIC -o clock.so "$here/clock.c" -ldl
    python3 -c 'import struct; open("clock", "wb").write(struct.pack("<q", 3 * 86400 * 1000000))'
    (export WALFERRY_TEST_CLOCK=$T/clock LD_PRELOAD=$T/clock.so ASAN_OPTIONS=verify_asan_link_order=0
        verify 0 --wal --max-bytes 1kB)
    expect_true "no report is of a day to come: $(reports | tail -1)" test "$(reports | tail -1 | cut -c1-8)" -le "$(date -u -d '1 day' +%Y%m%d)"
fi

step "damage is remembered until it was looked at again, also where a report is of a time that is still to come"
backup=$(object_list | grep -oE "^main/$system/base/[^/]*" | head -1)
object_put "main/$system/reports/20991231T000000.000000Z-verified-base-${backup##*/}" point
key=$(object_list | grep -oE "^$backup/main-[0-9]{8}" | tail -1)
object_get "$key" right
cp right wrong
printf '\x5a\xa5' | dd of=wrong bs=1 seek=$(($(stat -c %s wrong) / 2)) conv=notrunc status=none
object_put "$key" wrong
verify 1
expect_true "it is named" grep -q "${key##*/}.*is damaged" verify.log
expect_true "it is told behind the one that is still to come, too" grep -q "^20991231T000000.000001Z.*damaged" <<<"$(reports)"
known() {
    expect_status 1 basebackup-verify
    expect_output "was found damaged at .*, and has not been verified since"
}
known
verify 1 --backup "${backup##*/}" --max-bytes 1kB # ends before it comes to that part
cut=$(reports | grep -F -- "-base-${backup##*/}" | grep -v '^2099' | tail -1)
expect_true "cut short, without damage: $cut" grep -q '+[^ ]*[0-9]$' <<<"$cut"
known
object_put "$key" right
verify 0 # the rest of it is right, too
expect_status 0 basebackup-verify

step "damage that a clock told of that was ahead: it counts until all of that backup was read"
object_put "main/$system/reports/21000101T000000.000000Z-verified-base-${backup##*/}.damaged" point
known
verify 0
expect_status 0 basebackup-verify

if [ "$STORE" = file ]; then
    step "a tester may read all and write reports/ only"
    chmod -R a-w repository
    chmod u+w "repository/main/$system/reports"
    verify 0
    chmod -R u+w repository
fi

step "of several repositories each gets its share of the limits, which are the call's"
config_write "[repository second]
url = file://$T/second
codec = none
[basebackup]
jobs = 2
[compression]
codec = none"
expect_status 0 repository-init --repository second
expect_status 0 repository-sync --from here --to second
verify 0 --max-bytes "$((2 * most / 1024))kB"
python3 - $((2 * most)) <<'PY'
import json, sys
here, second = json.load(open("verify.json"))["repositories"]
print(here, second)
assert here["objects_read"] > 0 and second["objects_read"] > 0, "each comes to its turn"
assert here["bytes_read"] + second["bytes_read"] <= int(sys.argv[1]), "the limit is the call's"
assert here["cut_short"] and second["cut_short"]
PY

if [ "$(id -u)" != 0 ]; then
    step "where what was read can't be remembered, a call with a limit fails like any other"
    chmod 500 "second/main/$system/reports"
    verify 1 --repository second --max-bytes 1kB # it ends within a unit
    expect_true "that is told: $(<verify.log)" grep -q "reports.*Permission denied" verify.log
    chmod 700 "second/main/$system/reports"
    verify 0 --repository second --max-bytes 1kB
fi

step "of two reports of damage the one that holds for longer is stored first: the other may be lost"
. "$here/faults.sh"
(
    trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
    fault_server faults
    mkdir -p "faults/objects/$S3_BUCKET/$S3_PREFIX"
    cp -r second/main "faults/objects/$S3_BUCKET/$S3_PREFIX/"
    cd "faults/objects/$S3_BUCKET/$S3_PREFIX/main/$system"
    rm -f reports/*
    printf x >"reports/20991231T000000.000000Z-verified-base-${backup##*/}"
    printf x >"base/${backup##*/}/main-00000001"
    printf '[cluster]\nname = main\nstate_dir = %s\n[repository here]\nurl = s3://%s/%s\nregion = %s\nendpoint = %s\naccess_key = %s\nsecret_key = %s\n' \
        "$T/state" "$S3_BUCKET" "$S3_PREFIX" "$S3_REGION" "$S3_ENDPOINT" "$S3_ACCESS_KEY" "$S3_SECRET_KEY" >"$CONFIG"
    script "PUT *reports/* 2 - status=403 code=AccessDenied"
    verify 1 --backup "${backup##*/}"
    expect_equal "reports" "20991231T000000.000000Z-verified-base-${backup##*/}
20991231T000000.000001Z-verified-base-${backup##*/}.damaged" "$(ls reports)"
)
