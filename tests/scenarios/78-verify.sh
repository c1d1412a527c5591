#!/bin/bash
# goal: every hole, damage and orphan that is planted in a real repository is found and named by basebackup-verify, as its page says, and nothing is found in a healthy one
# stores: file s3
# full-encrypted: s3
# limit: 900
. "$(dirname "$0")/../lib.sh"

# ---- what is said

# findings [OPTION...]: sets $status, and $found to "KIND OBJECT" lines; keys without the system's folder.
findings() {
    status=0
    basebackup-verify --json "$@" >verify.json 2>verify.log || status=$?
    found=$(python3 -c '
import json, sys
document = json.load(open("verify.json"))
assert document["status"] == int(sys.argv[2]), document
for one in document["findings"]:
    assert one["message"] and one["repository"] == "here"
    print(one["kind"], one["object"].removeprefix(sys.argv[1]))' "main/$system/" "$status" | LC_ALL=C sort -u) || fail "verify.json"
}
healthy() { # [OPTION...]
    findings "$@"
    expect_equal "found in a healthy repository ($*)" "" "$found$(grep -E ': (warning|error): ' verify.log || true)"
    expect_equal "exit status" 0 $status
}
# finds WHAT "KIND OBJECT..." [OPTION...]: these and nothing else. Orphans alone are no error.
finds() {
    local what=$1 expected
    expected=$(LC_ALL=C sort -u <<<"$2")
    shift 2
    findings "$@"
    [ "$found" = "$expected" ] || cat verify.log
    expect_equal "$what ($*)" "$expected" "$found"
    if grep -qv '^orphan' <<<"$expected"; then expect_equal "exit status of $what" 1 $status; else expect_equal "exit status of $what" 0 $status; fi
}
# planted WHAT "KIND OBJECT..." quick|full KEY...: found so, also by --full; then the objects are as they were, and that is seen.
planted() {
    local what=$1 expected=$2 mode=$3 key
    shift 3
    echo "-- $what: $*"
    [ "$mode" = full ] || finds "$what" "$expected"
    if [ "$mode" = quick ]; then
        findings --full
        expect_true "$what is found by --full: $found" grep -qxF "$(head -1 <<<"$expected")" <<<"$found"
    else
        finds "$what" "$expected" --full
        findings # known from reports/
        expect_equal "exit status while it is known" 1 $status
    fi
    for key; do
        if [ -e "right/$key" ]; then object_put "main/$system/$key" "right/$key"; else object_delete "main/$system/$key"; fi
    done
    age_signs
    healthy --full
}

# ---- what is there

pick() { local list=("$@"); picked=${list[RANDOM % $#]}; }
keys() { sed -n "s|^main/$system/||p" right.txt | cut -d' ' -f1 | grep -E "$1" || true; } # REGEX
# expected_without SEGMENT-KEY: what is found when it is missing
expected_without() {
    python3 - "$1" <<'PY'
import json, sys
name = sys.argv[1].rsplit("/", 1)[1]
number = int(name[8:16], 16) * 4096 + int(name[16:], 16)
found = set()
for backup in json.load(open("backups.json"))["backups"]:
    lsn = lambda member: sum(int(part, 16) << shift for part, shift in zip(backup[member].split("/"), (32, 0)))
    first, last = lsn("start_lsn") >> 20, lsn("stop_lsn") - 1 >> 20
    if int(name[:8], 16) == backup["timeline"] and first <= number <= last:
        found.add("incomplete " + backup["id"])
    elif number > last:
        found.add("hole " + sys.argv[1])
print("\n".join(sorted(found)))
PY
}
# damage_of KIND KEY OTHER-KEY [INDEX NAME]: puts a copy with one damage, chosen at random, in KEY's place; $harmless: what is none here
damage_of() {
    local kind=$1 key=$2 other=$3 list
    shift 3
    rm -rf damaged
    mkdir damaged
    "$here/damage" "$kind" "right/$key" "right/$other" "$@" "$T/damaged" >damages.txt || fail "tests/damage $kind"
    mapfile -t list < <(grep -vE "^(harmless${harmless:+|$harmless})" damages.txt)
    damage=${list[RANDOM % ${#list[@]}]}
    object_put "main/$system/$key" "damaged/$damage"
}

# ---- a real repository

step "two timelines, three backups, a tablespace; the first backup and its WAL packed with LZ4, the others with zstd, or the other way round"
pick lz4 zstd
codec=$picked
config_write $'[wal-fetch]\nhole_wait = 0\n[basebackup]\njobs = 2\nsplit_size = 2MB\n[compression]\ncodec = '"$codec"
server_create main --wal-segsize=1
server_start main
system=$(system_identifier main)
mkdir space
expect_status 0 repository-init
sql main "create tablespace space location '$T/space'" "create table t tablespace space as select generate_series(1, 150000) i"
archived main
expect_status 0 basebackup-push --checkpoint=fast
sed -i "s/^codec = .*/codec = $(sed s/$codec// <<<lz4zstd)/" "$CONFIG"
for _ in 1 2 3; do sql main "insert into t select generate_series(1, 100)"; archived main; done
expect_status 0 basebackup-push --checkpoint=fast
for _ in 1 2 3; do sql main "insert into t select generate_series(1, 100)" "select pg_create_restore_point('a point')" >/dev/null; archived main; done
server_stop main
expect_status 0 basebackup-fetch --quiet -D "$T/next" -T "$T/space=$T/space.next"
expect_status 0 recovery-config --quiet --archive=keep -D "$T/next"
mv main main.old && mv next main
server_start main
wait_open main
for _ in 1 2 3; do sql main "insert into t select generate_series(1, 100)"; archived main; done
expect_status 0 basebackup-push --checkpoint=fast
sql main "insert into t select generate_series(1, 100)"
archived main
server_stop main
basebackup-list --json >backups.json
for id in $(grep -oE '"id": ?"[^"]*"' backups.json | cut -d'"' -f4 | head -2); do expect_status 0 basebackup-pin --reason "for the test" "$id"; done
# Indexes of WAL that is long gone.
python3 - "$system" <<'PY'
import hashlib, json, struct, sys
records = {"whole": True, "transactions": 0}
for log in ("0000000100000001", "0000000100000002"):
    lines = [{"log": log, "segment_bytes": 1 << 20, "segments": 4096}]
    lines += [{"segment": "%s%08X" % (log, n), "bytes": 5000, "sha256": "%064x" % n, "records": records} for n in range(4096)]
    plain = b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
    trailer = {"walferry": 1, "kind": "index", "name": log, "codec": "none", "plain_bytes": len(plain), "plain_sha256": hashlib.sha256(plain).hexdigest(),
               "frame_bytes": len(plain), "system_identifier": sys.argv[1], "timeline": 1, "postgresql_version": 15, "records": records}
    text = json.dumps(trailer, separators=(",", ":"))[:-1].encode()
    text += b',"sha256":"%s"}' % hashlib.sha256(text).hexdigest().encode()
    with open(log, "wb") as file:
        file.write(plain + struct.pack("<II", 0x184D2A5F, 1016) + text.ljust(1015) + b"\n")
PY
for log in 0000000100000001 0000000100000002; do object_put "main/$system/index/$log" $log; done
# age_signs: all began long ago by the clock of a directory; in S3 what is not complete is young, and may be at work
age_signs() { [ "$STORE" = s3 ] || find "repository/main/$system/base" -name started.json -exec touch -d '1 day ago' {} +; }
age_signs
object_list >right.txt
for key in $(keys .); do mkdir -p "right/$(dirname "$key")" && object_get "main/$system/$key" "right/$key"; done

step "healthy"
healthy
healthy --wal
healthy --full
healthy --full --wal
healthy --backup latest
healthy --full --sample 2
healthy --full --backup latest

mapfile -t ids < <(python3 -c 'import json; [print(b["id"]) for b in json.load(open("backups.json"))["backups"]]')
first_needed=$(python3 -c 'import json; b = json.load(open("backups.json"))["backups"][0]; high, low = b["start_lsn"].split("/"); print("%08X%08X%08X" % (b["timeline"], int(high, 16), int(low, 16) >> 20))')
mapfile -t segments < <(keys '^wal/[0-9A-F]{16}/[0-9A-F]{24}$' | awk -F/ -v first="$first_needed" '$3 >= first' | sed '$d')
history=wal/00000002.history
for kind in restore-points index notes; do expect_true "two objects in $kind/" test "$(keys "^$kind/" | wc -l)" -ge 2; done

step "a segment that comes after the one behind it is late, not missing"
late=${segments[-2]} behind=${segments[-1]}
sed -i 's/^hole_wait = .*/hole_wait = 60/' "$CONFIG"
object_delete "main/$system/$late"
object_put "main/$system/$behind" "right/$behind"
basebackup-verify --wal >late.log 2>&1 & pid=$!
sleep 1
object_put "main/$system/$late" "right/$late"
wait $pid || fail "what was late is called missing: $(cat late.log)"
if [ "$STORE" = file ]; then
    step "one behind the hole that tells a time to come is waited for no longer"
    object_delete "main/$system/$late"
    touch -d '1 hour' "repository/main/$system/$behind"
    sed -i 's/^hole_wait = .*/hole_wait = 1/' "$CONFIG"
    expect_status 1 timeout 60 basebackup-verify --wal
    expect_output "${late##*/} is missing"
    object_put "main/$system/$late" "right/$late"
    object_put "main/$system/$behind" "right/$behind"
fi
sed -i 's/^hole_wait = .*/hole_wait = 0/' "$CONFIG"

without() { # WHAT KEY EXPECTED [quick]
    object_delete "main/$system/$2"
    planted "$1" "$3" "${4:-both}" "$2"
}
shortened() { # WHAT KEY
    head -c -1 "right/$2" >short
    object_put "main/$system/$2" short
    planted "$1" "damaged $2" both "$2"
}
missing_segment() { without "a missing segment" "$segment" "$(expected_without "$segment")"; }
missing_first() {
    local key
    key=$(keys '^wal/0000000200000000/[0-9A-F]{24}$' | head -1)
    without "the first segment of a timeline" "$key" "$(expected_without "$key")"
}
missing_part() { without "a missing part" "$part" "missing $part"; }
missing_file() {
    if [ "$STORE" = s3 ]; then pick tablespace_map files; else pick manifest.json tablespace_map files; fi
    without "missing $picked" "base/$id/$picked" "missing base/$id/$picked"
}
missing_history() { without "a missing history" $history "missing $history" quick; }
short_part() { shortened "a part that lost its last byte" "$part"; }
short_index() { shortened "an index that lost its last byte" "base/$id/files"; }
renamed_part() {
    object_delete "main/$system/$part"
    object_put "main/$system/base/$id/main-00000099" "right/$part"
    planted "a part that was renamed" "missing $part
orphan base/$id/main-00000099" both "$part" "base/$id/main-00000099"
}
empty_segment() {
    : >empty
    object_put "main/$system/$segment" empty
    planted "an empty segment" "damaged $segment" both "$segment"
}
another_segment() {
    object_put "main/$system/$segment" "right/$other_segment"
    planted "another segment under its name" "damaged $segment" full "$segment"
}
damaged_segment() {
    local harmless=trailer-forged-records # no recovery needs them
    damage_of sealed "$segment" "$other_segment"
    planted "a segment with $damage" "damaged $segment" full "$segment"
}
damaged_history() {
    local harmless=trailer-forged-records
    damage_of sealed $history "$segment"
    planted "a history with $damage" "damaged $history" both $history
}
damaged_part() {
    { lz4 -dcq "right/base/$id/files" 2>/dev/null || zstd -dcq "right/base/$id/files"; } >index
    damage_of part "$part" "$(printf '%s\n' "${parts[@]}" | grep -v "$part" | head -1)" "$T/index" "${part##*/}"
    planted "a part with $damage" "damaged $part" full "$part"
}
damaged_manifest() {
    damage_of document "base/$id/manifest.json" "base/$(printf '%s\n' "${ids[@]}" | grep -v "$id" | head -1)/manifest.json"
    case $damage in
    document-forged-*) object_put "main/$system/base/$id/manifest.json" "right/base/$id/manifest.json" ;; # a right one, but for a value
    *) planted "a manifest with $damage" "damaged base/$id/manifest.json" both "base/$id/manifest.json" ;;
    esac
}
# two_of FOLDER: sets $key and $other to two of its objects
two_of() { { read -r key; read -r other; } < <(keys "^$1/" | shuf -n 2 --random-source=<(yes "$RANDOM")); }
damaged_small() { # KIND FOLDER [HARMLESS]
    local key other harmless=${3:-}
    two_of "$2"
    damage_of "$1" "$key" "$other"
    planted "$2/ with $damage" "damaged $key" full "$key"
}
damaged_index() { damaged_small sealed index; }
damaged_points() { damaged_small document restore-points; }
damaged_note() { damaged_small document notes; }
damaged_started() {
    local harmless=document-forged # a right one, but for a value that nobody needs any more
    damage_of document "base/$id/started.json" "base/$(printf '%s\n' "${ids[@]}" | grep -v "$id" | head -1)/started.json"
    planted "started.json with $damage" "damaged base/$id/started.json" full "base/$id/started.json"
}
short_small() {
    local key other
    pick restore-points index notes
    two_of "$picked"
    head -c 70 "right/$key" >short
    object_put "main/$system/$key" short
    planted "an object in $picked/ that is too short" "damaged $key" both "$key"
}
lonely_partial() {
    local key=wal/00000001000000FF/00000001000000FF00000001.partial
    damage_of sealed "$segment" "$other_segment"
    object_put "main/$system/$segment" "right/$segment"
    object_put "main/$system/$key" "damaged/$damage"
    planted "a .partial without segments beside it, with $damage" "damaged $key" full "$key"
}
damaged_cluster() {
    object_get main/cluster.json right.json
    head -c 100 right.json >short
    object_put main/cluster.json short
    finds "a short cluster.json" "damaged main/cluster.json"
    finds "a short cluster.json" "damaged main/cluster.json" --full
    object_put main/cluster.json right.json
    healthy
}
all=(missing_segment missing_first missing_part missing_file missing_history short_part short_index renamed_part empty_segment
    another_segment damaged_segment damaged_history damaged_part damaged_manifest damaged_index damaged_points damaged_note damaged_started
    short_small lonely_partial damaged_cluster)

step "planted"
[ -n "$FULL" ] || mapfile -t all < <(shuf -n 5 --random-source=<(yes "$SEED") -e "${all[@]}")
for _ in $(seq $([ -n "$FULL" ] && echo 4 || echo 1)); do
    for row in "${all[@]}"; do
        pick "${segments[@]}"
        segment=$picked
        mapfile -t others < <(printf '%s\n' "${segments[@]}" | grep -v "$segment")
        pick "${others[@]}"
        other_segment=$picked
        pick "${ids[@]}"
        id=$picked
        mapfile -t parts < <(keys "^base/$id/[a-z0-9]*-[0-9]{8}$")
        pick "${parts[@]}"
        part=$picked
        $row
    done
done

read_count() { python3 -c 'import json; print(json.load(open("verify.json"))["repositories"][0]["objects_read"])'; }
if [ "$STORE" = file ]; then
    step "what can't be read is told, and all else is read"
    part=$(keys "^base/${ids[0]}/main-[0-9]{8}$" | head -1)
    rm -f "repository/main/$system/reports"/*
    healthy --full
    count=$(read_count)
    chmod 000 "repository/main/$system/$part" "repository/main/$system/${segments[0]}"
    finds "two unreadable objects" "unreadable $part
unreadable ${segments[0]}" --full
    expect_equal "objects that were looked at" "$count" "$(read_count)"
    chmod 600 "repository/main/$system/$part" "repository/main/$system/${segments[0]}"
    healthy --full
    chmod 000 "repository/main/$system/base/${ids[0]}/manifest.json"
    finds "an unreadable manifest" "unreadable base/${ids[0]}/manifest.json"
    chmod 600 "repository/main/$system/base/${ids[0]}/manifest.json"
    echo "-- a unit that can't be read is told, and the others are read"
    chmod 000 "repository/main/$system/wal/0000000100000000"/*
    rm "repository/main/$system/reports"/*
    findings --full --jobs 16
    expect_equal "exit status" 1 $status
    expect_true "it is told" grep -q "could not read 10 objects of wal-0000000100000000 in repository .* in a row" verify.log
    reports=$(ls "repository/main/$system/reports" | sed 's/.*-verified-//' | LC_ALL=C sort -u)
    expect_true "it is reported, as a whole: $reports" grep -qxF wal-0000000100000000.damaged <<<"$reports"
    expect_true "behind it another folder is read: $reports" grep -qxF wal-0000000200000000 <<<"$reports"
    chmod 600 "repository/main/$system/wal/0000000100000000"/*
    healthy --full
    rm "repository/main/$system/reports"/*
fi

# beside LINE KEY... -- [OPTION...]: these are removed when a full verification has come so far; it finds nothing
beside() {
    local line=$1 removed=() pid
    shift
    while [ "$1" != -- ]; do removed+=("$1") && shift; done
    shift
    { object_list | grep -oE "^main/$system/reports/[^ ]*" || true; } | while read -r key; do object_delete "$key"; done
    : >verify.log
    basebackup-verify --full --verbose --jobs 1 "$@" >verify.log 2>&1 & pid=$!
    has_come() { grep -q "$line" verify.log; }
    wait_until 60 "$line" has_come
    for key in "${removed[@]}"; do object_delete "main/$system/$key"; done
    wait $pid || fail "what is removed beside a verification is called missing: $(cat verify.log)"
    expect_equal "errors" 0 "$(grep -c 'error: "' verify.log || true)"
    for key in "${removed[@]}"; do object_put "main/$system/$key" "right/$key"; done
}
if [ "$STORE" = file ] || [ -n "$FULL" ]; then
    step "what is expired meanwhile is no finding"
    mapfile -t others < <(keys "^base/${ids[-1]}/" | grep -vE "/(manifest.json|files)$")
    beside "read .*base/${ids[0]}/main-" "base/${ids[-1]}/manifest.json" "base/${ids[-1]}/files" "${others[@]}" -- --max-rate 4MB
    mapfile -t lasts < <(keys '^wal/0000000100000000/[0-9A-F]{24}$' | tail -3)
    bytes=$(awk '/\/wal\// { bytes += $2 } END { print bytes }' right.txt)
    beside 'read .*/wal/0000000100000000/' "${lasts[@]}" -- --wal --max-rate "$((bytes / 3 / 1024))kB"
    healthy --full
fi

if [ "$STORE" = file ]; then
    step "a manifest that is lost is an error; where an expiry was killed is none: started.json goes first, then the manifest, then the index"
    folder=base/${ids[0]}
    object_delete "main/$system/$folder/manifest.json"
    finds "a lost manifest" "missing $folder/manifest.json"
    object_delete "main/$system/$folder/started.json"
    finds "a folder with an index only" "orphan $folder/"
    object_delete "main/$system/$folder/files"
    finds "a folder without an index" "orphan $folder/"
    for key in files manifest.json; do object_put "main/$system/$folder/$key" "right/$folder/$key"; done
    finds "a backup without started.json" "orphan $folder/started.json"
    finds "a backup without started.json" "orphan $folder/started.json" --full
    object_put "main/$system/$folder/started.json" "right/$folder/started.json"
    age_signs
    healthy
fi

step "WAL without backups"
middle=$(keys '^wal/0000000100000000/[0-9A-F]{24}$' | sed -n 3p)
object_delete "main/$system/$middle"
for id in "${ids[@]}"; do object_delete "main/$system/base/$id/manifest.json"; done
finds "a hole where no backup leads" "hole $middle" --wal
if [ "$STORE" = file ]; then # in S3 they are young, and may be at work
    findings
    expect_true "no backup: $found" grep -qxF "missing base/" <<<"$found"
fi
object_put "main/$system/$middle" "right/$middle"
for id in "${ids[@]}"; do object_put "main/$system/base/$id/manifest.json" "right/base/$id/manifest.json"; done
healthy

step "orphans"
orphan() { # WHAT OBJECT KEY...
    finds "$1" "orphan $2"
    shift 2
    for key; do object_delete "main/$system/$key"; done
    healthy
}
echo x >short
object_put "main/$system/base/${ids[0]}/main-00000099" short
orphan "a surplus part" "base/${ids[0]}/main-00000099" "base/${ids[0]}/main-00000099"
object_put "main/$system/base/notes.txt" short
orphan "a stray file" base/notes.txt base/notes.txt
object_put "main/$system/wal/0000000100000000/notes.txt" short
orphan "a stray file in wal/" wal/ wal/0000000100000000/notes.txt
for folder in index restore-points notes; do
    object_put "main/$system/$folder/notes.txt" short
    orphan "a stray file in $folder/" $folder/notes.txt $folder/notes.txt
done
old=20200101T000000Z-00000001-0000000001000028
object_put "main/$system/base/$old/started.json" "right/base/${ids[0]}/started.json"
object_put "main/$system/base/$old/main-00000001" "right/base/${ids[0]}/main-00000001"
healthy # it was stored a moment ago, whatever clock wrote it: it may still run
if [ "$STORE" = s3 ]; then
    for key in started.json main-00000001; do object_delete "main/$system/base/$old/$key"; done
else
    age_signs
    orphan "an unfinished backup" "base/$old/" "base/$old/started.json" "base/$old/main-00000001"
    rmdir "repository/main/$system/base/$old"
fi
if [ "$STORE" = file ]; then
    pick wal wal/0000000100000000 index notes restore-points
    temporary=$picked/.0123456789abcdef.walferry-tmp
    : >"repository/main/$system/$temporary"
    healthy # it may be at work
    touch -d '1 hour ago' "repository/main/$system/$temporary"
    orphan "a temporary file" $temporary $temporary
    pick "${ids[@]}"
    temporary=base/$picked/.0123456789abcdef.walferry-tmp
    : >"repository/main/$system/$temporary"
    orphan "a temporary file of a moment ago in a complete backup" "$temporary" "$temporary"
else
    s3 request POST "$S3_PREFIX/main/$system/wal/0000000100000000/000000010000000000000001?uploads" >/dev/null
    healthy # it may be at work
    step "it is the store's clock that tells: this machine's is three days ahead"
    cc -shared -fPIC -o clock.so "$here/clock.c" -ldl
    python3 -c 'import struct; open("clock", "wb").write(struct.pack("<q", 3 * 86400 * 1000000))'
    object_put "main/$system/base/$old/started.json" "right/base/${ids[0]}/started.json"
    (export WALFERRY_TEST_CLOCK=$T/clock LD_PRELOAD=$T/clock.so ASAN_OPTIONS=verify_asan_link_order=0
        findings # and it warns of the clocks
        expect_equal "found" "" "$found")
    object_delete "main/$system/base/$old/started.json"
    pick "${ids[@]}"
    s3 request POST "$S3_PREFIX/main/$system/base/$picked/main-00000001?uploads" >/dev/null
    finds "an upload into a complete backup" "orphan base/$picked/main-00000001"
    s3 uploads "$S3_PREFIX/" | while read -r key upload; do s3 abort "$key" "$upload"; done
    healthy
fi

if [ "$STORE" = file ]; then
    step "what keep_wal lets go of between two backups is no hole, once they are older than that"
    cc -shared -fPIC -o clock.so "$here/clock.c" -ldl
    python3 -c 'import struct; open("clock", "wb").write(struct.pack("<q", 3 * 86400 * 1000000))'
    mapfile -t between < <(for key in "${segments[@]}"; do [ "$(expected_without "$key")" != "hole $key" ] || echo "$key"; done |
        grep ^wal/0000000100000000/ | awk -F/ -v last="$(python3 -c 'import json; b = json.load(open("backups.json"))["backups"][1]; high, low = b["start_lsn"].split("/"); print("%08X%08X%08X" % (1, int(high, 16), int(low, 16) >> 20))')" '$3 < last')
    expect_true "there are some" test ${#between[@]} -gt 0
    for key in "${between[@]}"; do object_delete "main/$system/$key"; done
    finds "WAL between two backups" "hole ${between[0]}"
    sed -i 's|^url = .*|&\nkeep_wal = 1 day\nkeep_last = 5|' "$CONFIG"
    finds "the same, of today" "hole ${between[0]}"
    export WALFERRY_TEST_CLOCK=$T/clock LD_PRELOAD=$T/clock.so ASAN_OPTIONS=verify_asan_link_order=0
    healthy
    object_put "main/$system/${between[-1]}" "right/${between[-1]}"
    healthy # as an expiry that was killed leaves it
    expect_status 0 recovery-window --json
    expect_equal "windows that end at a hole" 0 "$(grep -c '"ends_at_hole": *true' <<<"$output" || true)"
    object_delete "main/$system/${between[-1]}"
    for id in "${ids[@]:1}"; do object_delete "main/$system/base/$id/manifest.json"; done
    finds "the same where no later backup is complete" "$(printf 'missing base/%s/manifest.json\n' "${ids[@]:1}")
hole ${between[0]}"
    for id in "${ids[@]:1}"; do object_put "main/$system/base/$id/manifest.json" "right/base/$id/manifest.json"; done
    sed -i '/^keep_/d' "$CONFIG"
    finds "the same without a policy" "hole ${between[0]}"
    sed -i 's|^url = .*|&\nkeep_wal = 1 day|' "$CONFIG"
    object_delete "main/$system/${segments[-1]}"
    findings
    expect_true "a hole that is none of it: $found" grep -qv "${between[0]}" <<<"$found"
    unset LD_PRELOAD
fi

if [ "$STORE" = s3 ]; then
    step "further versions"
    bucket=verify-$SEED-$$
    s3 make-bucket "$bucket"
    s3 -b "$bucket" versioning on
    s3 move "$S3_PREFIX/" "$bucket"
    sed -i "s|^url = s3://$S3_BUCKET/|url = s3://$bucket/|" "$CONFIG"
    S3_BUCKET=$bucket
    mv main main.found && mv main.old main
    expect_status 0 repository-init --probe
    mv main main.old && mv main.found main
    healthy
    mapfile -t once < <(keys . | grep -v '/heartbeat.json$')
    expected=
    for _ in 1 2 3; do
        pick "${once[@]}"
        object_put "main/$system/$picked" "right/$picked"
        expected+="orphan $picked"$'\n'
    done
    finds "second versions" "${expected%$'\n'}"
fi
