#!/bin/bash
# goal: basebackup-push writes the index of a log that is complete, which says what the trailers say, once; where it cannot, the backup is complete all the same
# stores: file s3
. "$(dirname "$0")/../lib.sh"

step "a server in its third log; of the second the repository has all sixteen segments, with nothing in them, and what they say"
config_write $'[wal-push]\ntimeout = 60'
server_create main --wal-segsize=256
printf '%s\n' "wal_recycle = off" "min_wal_size = 512MB" "max_wal_size = 1GB" >>main/postgresql.conf
pg_resetwal -D main -l 000000010000000200000000 >/dev/null
expect_status 0 repository-init
system=$(system_identifier main)
index=main/$system/index/0000000100000001
mkdir objects
python3 - "$system" <<'END'
import hashlib, json, struct, sys
for number in range(16):
    name, plain = "00000001%08X%08X" % (1, number), b"%d" % number
    trailer = {"walferry": 1, "kind": "segment", "name": name, "codec": "none", "plain_bytes": len(plain),
               "plain_sha256": hashlib.sha256(plain).hexdigest(), "frame_bytes": len(plain), "system_identifier": sys.argv[1],
               "timeline": 1, "postgresql_version": 15,
               "records": {"whole": True, "transactions": number + 1,
                           "times": ["2026-11-20T14:%02d:00.000000Z" % number, "2026-11-20T14:%02d:59.999999Z" % number],
                           "last_lsn": "1/%X" % (number << 28 | 0x28), "xids": [1000 + number, 2000 - number], "restore_points": 1}}
    text = json.dumps(trailer, separators=(",", ":"))[:-1].encode()
    text += b',"sha256":"%s"}' % hashlib.sha256(text).hexdigest().encode()
    with open("objects/" + name, "wb") as file:
        file.write(plain + struct.pack("<II", 0x184D2A5F, 1016) + text.ljust(1015) + b"\n")
END
for path in objects/*; do object_put "$(wal_key "${path##*/}")" "$path"; done
server_start main

if [ "$STORE" = file ]; then
    step "where it cannot be written there is a warning"
    : >"repository/main/$system/index"
    expect_status 0 basebackup-push --checkpoint=fast
    expect_output "warning: the indexes of the WAL in repository \"here\" could not all be written"
    rm "repository/main/$system/index"
fi

step "what it says"
expect_status 0 basebackup-push --checkpoint=fast
expect_equal "a warning" 0 "$(grep -c warning <<<"$output" || true)"
expect_equal "indexes" "$index" "$(object_list | grep /index/ | cut -d' ' -f1)"
object_get "$index" object
lz4 -dcq object >lines
tail -c 1016 object >trailer
python3 - <<'END'
import glob, json
header, *lines = [json.loads(line) for line in open("lines")]
trailer = json.load(open("trailer"))
assert header == {"log": "0000000100000001", "segment_bytes": 256 << 20, "segments": 16}, header
assert (trailer["kind"], trailer["name"]) == ("index", "0000000100000001"), trailer
for line, path in zip(lines, sorted(glob.glob("objects/*")), strict=True):
    of = json.loads(open(path, "rb").read()[-1016:])
    expected = {"segment": path[-24:], "bytes": of["frame_bytes"] + 1024, "sha256": of["plain_sha256"], "records": of["records"]}
    assert line == expected, (line, expected)
assert trailer["records"] == {"whole": True, "transactions": 136, "times": ["2026-11-20T14:00:00.000000Z", "2026-11-20T14:15:59.999999Z"],
                              "last_lsn": "1/F0000028", "xids": [1000, 2000], "restore_points": 16}, trailer
END

step "it is written once, and no other"
object_sums | grep /index/ >before
expect_status 0 basebackup-push --checkpoint=fast
object_sums | grep /index/ >now
expect_same "the indexes" before now
