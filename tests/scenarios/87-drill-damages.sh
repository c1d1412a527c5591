#!/bin/bash
# goal: a drill fails on each damage, and names the step: missing WAL, a flipped byte, a lost manifest, a wrong key
# stores:
# encrypted: file
# full-stores: file s3
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../drill.sh"

step "a backup, and WAL behind it"
mkdir scratch
drill_section
server_create main --data-checksums
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t (i int)"
expect_status 0 basebackup-push --checkpoint=fast
last=$(tail -1 <<<"$output")
for _ in 1 2 3; do sql main "insert into t select generate_series(1, 1000)" && archived main; done

step "each damage fails, and the step is named"
take() { object_get "$1" "$T/taken" && object_delete "$1"; }
needed=$(object_list | sed -n "s|.*/wal/.*/\([0-9A-F]\{24\}\) .*|\1|p" | tail -3 | head -1)
take "$(wal_key "$needed")"
fails replay "WAL segment $needed|$needed"
object_put "$(wal_key "$needed")" taken
part=$(object_list | sed -n "s|^\([^ ]*/base/$last/main-00000001\) .*|\1|p")
raw_get "$part" whole
python3 - <<'PY'
data = bytearray(open("whole", "rb").read())
data[len(data) // 2] ^= 1
open("flipped", "wb").write(data)
PY
raw_put "$part" flipped
fails fetch "basebackup-fetch: error"
raw_put "$part" whole
raw_get "main/$system/base/$last/manifest.json" manifest
object_delete "main/$system/base/$last/manifest.json"
fails choose "there is no complete (base )?backup" --backup "$last"
raw_put "main/$system/base/$last/manifest.json" manifest
if [ -n "${ENCRYPTED:-}" ]; then
    key_write other
    sed -i "s|^encryption_key_file.*|encryption_key_file = $T/other|" "$CONFIG"
    fails choose "key"
    drill_section
fi
drill 0
expect_equal "reports of drills that failed, once a backup was chosen" 2 "$(reports '.*failed ')"
expect_status 0 basebackup-verify --quiet

step "a page that was wrong before the backup was taken: found by the scan"
sql main "create table victim as select i, repeat('x', 400) from generate_series(1, 1000) i"
victim=$(sql main "select pg_relation_filepath('victim')")
server_stop main
printf damage | dd of="main/$victim" bs=1 seek=$((8192 + 4000)) conv=notrunc status=none
server_start main
expect_status 0 basebackup-push --checkpoint=fast --page-errors warn
archived main
fails checks "victim in database \"postgres\" can't be read: invalid page in block 1"

step "a file that was missing before the backup was taken: it is no library"
sql main "drop table victim" "create table lost as select generate_series(1, 10) i"
lost=$(sql main "select pg_relation_filepath('lost')")
server_stop main
rm "main/$lost"
server_start main
expect_status 0 basebackup-push --checkpoint=fast
archived main
fails checks "lost in database \"postgres\" can't be read: could not open file"
sql main "drop table lost"

step "an index that does not know all of its table: pg_amcheck"
if [ -n "$FULL" ] && [ "$major" -ge 14 ]; then
    sql main "create table indexed as select i from generate_series(1, 10000) i" "create index on indexed (i)"
    index=$(sql main "select pg_relation_filepath('indexed_i_idx')")
    server_stop main
    pg_checksums --disable -D main >/dev/null # two entries of the root are in the wrong order
    python3 - "main/$index" <<'PY'
import struct, sys
path = sys.argv[1]
data = bytearray(open(path, "rb").read())
root = struct.unpack_from("<I", data, 24 + 8)[0] * 8192
one, two = root + 24 + 4 * 5, root + 24 + 4 * 6
data[one:one + 4], data[two:two + 4] = data[two:two + 4], data[one:one + 4]
open(path, "wb").write(data)
PY
    server_start main
    expect_status 0 basebackup-push --checkpoint=fast
    archived main
    drill 0
    drill_section "scan = amcheck"
    fails checks "pg_amcheck ended with status 2"
    expect_output "pg_amcheck: .*indexed_i_idx"
    mkdir bin && ln -s "$PG_BIN"/* bin && rm bin/pg_amcheck # one that says nothing on standard output
    printf '#!/bin/sh\nexit 3\n' >bin/pg_amcheck && chmod +x bin/pg_amcheck
    sed -i "s|^pg_bin.*|pg_bin = $T/bin|" "$CONFIG"
    fails checks "pg_amcheck ended with status 3"
fi
server_stop main
