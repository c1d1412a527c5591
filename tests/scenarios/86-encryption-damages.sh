#!/bin/bash
# goal: every byte class of every kind of encrypted object whose content is read, gap markers too, flipped, cut, swapped or replayed from another cluster is found and named, and nothing of it is handed on; the whole is recovered without walferry
# turns: file s3
# limit: 600
ENCRYPTED=1
. "$(dirname "$0")/../lib.sh"
. "$here/by-hand.sh"

step "WAL, a history, restore points, two backups, a pin"
config_write $'[basebackup]\njobs = 2\nsplit_size = 1MB'
server_create main --wal-segsize=1
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
ledger_create main
sql main "create table t as select i, md5(i::text) from generate_series(1, 20000) i" "checkpoint" >/dev/null
expect_status 0 basebackup-push --checkpoint=fast
older=$(tail -1 <<<"$output")
sql main "select pg_create_restore_point('one')" "insert into ledger values (1, 1, 1, clock_timestamp())" >/dev/null
archived main
sql main "insert into ledger values (1, 1, 2, clock_timestamp())" "select pg_create_restore_point('two')" >/dev/null
archived main
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")
expect_status 0 basebackup-pin --reason "for the test" "$older"
for ((i = 0; i < 3; i++)); do
    sql main "insert into ledger values (1, 2, $i, clock_timestamp())" "select pg_switch_wal()" >/dev/null
done
archived main
ledger_instant main expected
sql main "insert into ledger values (1, 3, 1, clock_timestamp())"
archived main
ledger main >newest
server_stop main
printf '1\t0/1000000\tno recovery target specified\n' >main/pg_wal/00000002.history
(cd main && expect_status 0 wal-push pg_wal/00000002.history)
gap=wal/0000000100000000/000000010000000000000080-000000010000000000000081.gap # far behind all that is there
python3 - "$system" >marker <<'PY'
import hashlib, sys
text = ('{"walferry":1,"kind":"gap","system_identifier":"%s","segment_bytes":1048576,"first":"000000010000000000000080","last":"000000010000000000000081",'
        '"segments":2,"since":"2026-01-01T00:00:00.000000Z","until":"2026-01-01T00:00:01.000000Z","host":"here"' % sys.argv[1])
print(text + ',"sha256":"%s"}' % hashlib.sha256(text.encode()).hexdigest())
PY
object_put "main/$system/$gap" marker
expect_status 0 basebackup-verify --full
raw_list | sed -n "s|^main/\($system/[^ ]*\) .*|\1|p" | LC_ALL=C sort >names
while read -r name; do
    mkdir -p "right/$(dirname "$name")" && raw_get "main/$name" "right/$name"
done <names

# kind_of NAME
kind_of() {
    case ${1#*/} in
    wal/*.history) echo history ;; wal/*.gap) echo gap ;; wal/*.backup) echo backup-file ;; wal/*) echo segment ;; restore-points/*) echo restore-points ;; index/*) echo index ;;
    notes/*) echo note ;; reports/* | */heartbeat.json) echo other ;; */manifest.json) echo manifest ;; */files) echo files ;; */started.json) echo started ;; */main-*) echo part ;; *) echo other ;;
    esac
}
declare -A of=() second=()
while read -r name; do
    kind=$(kind_of "$name")
    if [ -z "${of[$kind]:-}" ]; then of[$kind]=$name; else second[$kind]=$name; fi
done < <(if [ $((SEED % 2)) = 0 ]; then cat names; else tac names; fi)
echo "kinds: ${!of[*]}"
for kind in segment gap history restore-points note manifest files started part; do expect_true "an object of kind $kind" test -n "${of[$kind]:-}"; done

damage() { # WHAT FROM TO SECOND: false if it does not apply
    python3 - "$@" <<'PY'
import struct, sys
what, source, target, second = sys.argv[1:]
data = bytearray(open(source, "rb").read())
original = bytes(data)
tail = min(1024, len(data) - 152)
footer = len(data) - 64 - 16 - tail - 8
pieces = 65536 + 16
def flip(at):
    data[at] ^= 1 << at % 8
def need(condition):
    if not condition:
        sys.exit(1)
if what == "magic": flip(0)
elif what == "version": flip(8)
elif what == "chunk-size": flip(14)
elif what == "epoch": flip(16)
elif what == "epoch-id": flip(23)
elif what == "reserved": flip(29)
elif what == "salt": flip(40)
elif what == "chunk": need(footer > 64); flip(64 + (footer - 64) // 2)
elif what == "chunk-tag": need(footer > 64); flip(footer - 3)
elif what == "length": flip(footer + 1)
elif what == "tail": flip(footer + 8 + tail // 2)
elif what == "footer-tag": flip(footer + 8 + tail + 5)
elif what == "last-header": flip(len(data) - 20)
elif what == "last-magic": flip(len(data) - 64)
elif what == "cut-by-one": del data[-1:]
elif what == "cut-in-half": del data[len(data) // 2:]
elif what == "empty": del data[:]
elif what == "longer": data += b"\0"
elif what == "longer-by-its-header": data += data[:64]
elif what == "chunks-swapped": need(footer >= 64 + 2 * pieces); data[64:64 + pieces], data[64 + pieces:64 + 2 * pieces] = original[64 + pieces:64 + 2 * pieces], original[64:64 + pieces]
elif what == "chunk-twice": need(footer >= 64 + 2 * pieces); data[64 + pieces:64 + 2 * pieces] = original[64:64 + pieces]
elif what == "chunk-missing": need(footer >= 64 + 2 * pieces); del data[64:64 + pieces]
elif what == "another-of-its-kind": need(second); data = bytearray(open(second, "rb").read())
elif what == "end-of-another": need(second); data[footer:] = open(second, "rb").read()[-(len(data) - footer):]
open(target, "wb").write(data)
PY
}
found_by_verify() { # NAME WHAT
    local status=0
    basebackup-verify --full --json >verify.json 2>verify.log || status=$?
    expect_equal "$2 of $1: status of basebackup-verify" 1 $status
    expect_true "$2 of $1 is named: $(cat verify.log)" grep -qF "${1##*/}" verify.log
}
names_of=(magic version chunk-size epoch epoch-id reserved salt chunk chunk-tag length tail footer-tag last-header last-magic cut-by-one cut-in-half empty
    longer longer-by-its-header chunks-swapped chunk-twice chunk-missing another-of-its-kind end-of-another)
tried=0
for kind in "${!of[@]}"; do
    name=${of[$kind]}
    [ "$kind" != other ] || continue # of reports of a verification and of heartbeats nothing but the name and the time is read
    step "$kind: $name"
    for what in "${names_of[@]}"; do
        # without --full a part of the rows in turn
        [ -n "$FULL" ] || [ $(((tried++ + SEED) % $([ "$STORE" = s3 ] && echo 6 || echo 2))) = 0 ] || continue
        damage "$what" "right/$name" wrong "${second[$kind]:+right/${second[$kind]}}" || continue
        raw_put "main/$name" wrong
        found_by_verify "$name" "$what"
        if [ "$kind" = segment ]; then
            rm -f fetched
            expect_status 200 wal-fetch "${name##*/}" "$T/fetched"
            expect_absent fetched
        fi
        raw_put "main/$name" "right/$name"
    done
done
rm -rf state/*
expect_status 0 basebackup-verify --full

step "replayed from another cluster with the same key and epoch: under the same names, with another system identifier"
name=${of[segment]}
object_get "main/$name" plain
sealed close "main/7000000000000000007/${name#*/}" plain wrong
raw_put "main/$name" wrong
found_by_verify "$name" "another cluster's"
expect_status 200 wal-fetch "${name##*/}" "$T/fetched"
expect_absent fetched
raw_put "main/$name" plain # not sealed at all, but right: nothing plain is believed
found_by_verify "$name" "plain content"
expect_status 200 wal-fetch "${name##*/}" "$T/fetched"
expect_output "never encrypted"
raw_put "main/$name" "right/$name"

step "it is restored, to a time"
object_delete "main/$system/$gap"
object_delete "$(wal_key 00000002.history)" # a history of our own making leads nowhere
expect_status 0 basebackup-fetch --target-time "$instant" -D "$T/restored"
expect_status 0 recovery-config --target-time "$instant" -D "$T/restored"
server_start restored
wait_paused restored
expect_ledger restored expected
server_stop restored

step "without walferry: docs/walferry-decrypt, and then docs/recover-by-hand.md"
raw_list | while read -r key _; do mkdir -p "raw/$(dirname "$key")" && raw_get "$key" "raw/$key"; done
expect_status 0 "$SOURCE/docs/walferry-decrypt" --key key raw/main plain.d/main
by_hand_read
repository=$T/plain.d
by_hand byhand ""
wait_open byhand
expect_ledger byhand newest
server_stop byhand
printf 'x' | dd of="raw/main/$name" bs=1 seek=300 conv=notrunc status=none
expect_status 1 "$SOURCE/docs/walferry-decrypt" --key key raw/main plain.again
expect_output "${name##*/}: it is not what was encrypted"
expect_absent "plain.again/$name"
