#!/bin/bash
# goal: large files are backed up and restored in pieces by several workers, by hand too; a piece that is damaged, missing or another's is found
# stores: file
# full-stores: s3
# limit: 300
. "$(dirname "$0")/../lib.sh"

step "a server with files that are large for the configuration"
config_write $'[basebackup]\nsplit_size = 1MB'
server_create main --data-checksums
expect_status 0 repository-init
mkdir space
server_start main
system=$(system_identifier main)
sql main "create tablespace space location '$T/space'" "create extension amcheck" \
    "create table far tablespace space as select i, md5(i::text) as pad from generate_series(1, 100000) i" \
    "create table busy as select i, md5(i::text) as pad from generate_series(1, 100000) i" "create index on busy (pad)" \
    "create table broken as select i, md5(i::text) as pad from generate_series(1, 100000) i" "vacuum freeze" "checkpoint"
for i in 1 2 3; do sql main "create table t$i as select i, md5((i * $i)::text) as pad from generate_series(1, $i * 50000) i"; done
mkdir main/strange
odd=$'odd \xff name'
head -c 3500123 /dev/urandom >"main/strange/$odd" # no UTF-8
head -c $((2 * 1048576)) /dev/urandom >main/strange/whole
head -c $((2 * 1048576 + 1)) /dev/urandom >main/strange/two
truncate -s 5M main/strange/sparse
chmod 640 main/strange/two

index() { # ID: the lines of its index
    object_get "main/$system/base/$1/files" index.lz4 && lz4 -dcq index.lz4
}
# pieces FILE-OF-THE-INDEX: what lies in pieces, "PATH PIECES BYTES" a line; the rules of docs/format.md hold
pieces() {
    python3 - "$1" <<'PYTHON'
import json, sys
files, part, parts = {}, None, {}
for line in map(json.loads, open(sys.argv[1])):
    part = line if "part" in line else part
    if "of" in line:
        path = line.get("file") or bytes.fromhex(line["path_hex"]).decode("latin-1")
        name, number = part["part"].split("-")
        pieces = files.setdefault(path, [])
        assert line["at"] == sum(piece["bytes"] for piece in pieces), line
        assert part["bytes"] == line["stored"] and part["files"] == (line["at"] == 0), (part, line)
        assert not pieces or parts[path] == (name, int(number) - 1), (part, line)
        pieces.append(line)
        parts[path] = name, int(number)
for path, pieces in sorted(files.items()):
    assert pieces[-1]["at"] + pieces[-1]["bytes"] == pieces[0]["of"], path
    print(path, len(pieces), pieces[0]["of"], sep="\t")
PYTHON
}

step "taken by four workers, while relations grow and shrink"
while [ ! -e stop ]; do
    echo "insert into busy select i, md5(random()::text) from generate_series(1, 2000) i; truncate t3; insert into t3 select i from generate_series(1, 100000) i;"
    sleep 0.05
done | psql -X -q -h "$T/run/main" &
churn=$!
expect_status 0 basebackup-push --checkpoint=fast --jobs 4
: >stop
wait $churn
id=$(tail -1 <<<"$output")
archived main
index "$id" >index
pieces index >found
cat found
for table in far busy broken t1 t2; do
    expect_true "$table is in pieces" grep -q "^$(sql main "select pg_relation_filepath('$table')")	" found
done
expect_equal "the odd one" "3	3500123" "$(sed -n 's/^strange.odd[^	]*	//p' found)"
expect_equal "the smallest one" "2	2097153" "$(sed -n 's/^strange.two	//p' found)"
expect_equal "the largest one that is not" "" "$(grep whole found || true)"
expect_equal "files of the manifest" "$(grep -c '"sha256"' index)" \
    "$(($(basebackup-list --json | grep -o '"file_count": *[0-9]*' | grep -o '[0-9]*$') + $(grep -c '"header":0' index)))"

step "restored by four workers, and by one"
restored() { # DIRECTORY
    local name
    for name in "$odd" whole two sparse; do expect_same "$name" "main/strange/$name" "$1/strange/$name"; done
    expect_equal "mode and time" "$(stat -c '%a %Y' main/strange/two)" "$(stat -c '%a %Y' "$1/strange/two")"
}
for jobs in 4 1; do
    rm -rf copy copy.space
    expect_status 0 basebackup-fetch --jobs $jobs -D "$T/copy" -T "$T/space=$T/copy.space"
    restored copy
    expect_status 0 pg_verifybackup -n copy
    expect_true "CRC-32C of what came in pieces" grep -q '"Checksum-Algorithm": "CRC32C"' copy/backup_manifest
done
expect_status 0 recovery-config -D "$T/copy"
server_start copy
wait_open copy
for table in far broken t1 t2; do
    expect_equal "$table" "$(sql main "select count(*), sum(hashtext(pad)::numeric) from $table")" "$(sql copy "select count(*), sum(hashtext(pad)::numeric) from $table")"
done
expect_status 0 pg_amcheck -h "$T/run/copy" -d postgres --heapallindexed --no-dependent-toast
server_stop copy

step "by hand"
base=main/$system/base/$id
object_list | sed -n "s|^$base/\(main-[0-9]*\) .*|\1|p" >names
mkdir by-hand parts
while read -r name; do object_get "$base/$name" "parts/$name"; done <names
cat parts/main-* | lz4 -dcq | tar xi -C by-hand
restored by-hand
mkdir -p by-hand/pg_tblspc && ln -s "$T/copy.space" "by-hand/pg_tblspc/$(ls copy/pg_tblspc)"
expect_status 0 pg_verifybackup -n by-hand

step "a file that shrinks under the backup is filled up with zeros"
head -c 12000000 /dev/urandom >main/strange/shrinks
cp main/strange/shrinks shrinks
python3 - main/strange/shrinks >watch.log <<'PYTHON' & # cuts it when it is read for the first time
import ctypes, os, sys
libc = ctypes.CDLL(None)
watch = libc.inotify_init()
assert libc.inotify_add_watch(watch, sys.argv[1].encode(), 1) >= 0 # IN_ACCESS
print("ready", flush=True)
os.read(watch, 4096)
os.truncate(sys.argv[1], 500000)
PYTHON
watch=$!
wait_until 20 "the watcher" grep -q ready watch.log
expect_status 0 basebackup-push --checkpoint=fast --jobs 2 --max-rate 20MB # slow enough to have more to read
wait $watch
rm -rf copy copy.space
expect_status 0 basebackup-fetch -D "$T/copy" -T "$T/space=$T/copy.space"
expect_equal "its size" 12000000 "$(stat -c %s copy/strange/shrinks)"
expect_true "its beginning" cmp -n 500000 shrinks copy/strange/shrinks
expect_true "its end" cmp -n 1000000 -i 11000000:0 copy/strange/shrinks /dev/zero
expect_status 0 pg_verifybackup -n copy
rm main/strange/shrinks

step "wrong pages in different pieces are named by their number in the relation"
file=$(sql main "select pg_relation_filepath('broken')")
sql main "checkpoint"
cp "main/$file" whole
for block in 3 130 500; do printf damage | dd of="main/$file" bs=1 seek=$((block * 8192 + 4000)) conv=notrunc status=none; done
expect_status 1 basebackup-push --checkpoint=fast --jobs 3
expect_equal "blocks" "3 130 500" "$(grep -oE "$file\", block [0-9]+" <<<"$output" | grep -oE '[0-9]+$' | sort -n | xargs)"
cp whole "main/$file"
server_stop main

step "a piece that is damaged, missing, cut, or another's: nothing that could be started"
refused() { # WHAT
    echo "-- $1"
    rm -rf broken broken.space
    expect_status 1 basebackup-fetch --backup "$id" --jobs 3 -D "$T/broken" -T "$T/space=$T/broken.space"
    expect_output "error:.*(damage|missing|SHA-256|checksum)"
    expect_absent broken/global/pg_control
}
part_of() { # PATH NUMBER: the name of the part with that piece
    python3 -c 'import json, sys
part, number = None, 0
for line in map(json.loads, open("index")):
    part = line.get("part", part)
    number += line.get("file") == sys.argv[1]
    if line.get("file") == sys.argv[1] and number == int(sys.argv[2]): print(part)' "$1" "$2"
}
one=$(part_of "$file" 2) two=$(part_of "$file" 3) three=$(part_of strange/two 1)
echo "pieces in $one, $two, $three"
for name in "$one" "$two" "$three"; do object_get "$base/$name" "right.$name"; done
cp "right.$one" wrong
printf '\x5a\xa5' | dd of=wrong bs=1 seek=$(($(stat -c %s wrong) / 2)) conv=notrunc status=none
object_put "$base/$one" wrong
refused "damaged"
head -c -100 "right.$one" >wrong
object_put "$base/$one" wrong
refused "cut"
object_delete "$base/$one"
refused "missing"
object_put "$base/$one" "right.$two"
refused "the next one's content"
object_put "$base/$two" "right.$one"
refused "two swapped"
object_put "$base/$one" "right.$one"
object_put "$base/$two" "right.$three"
refused "of another file"
object_put "$base/$two" "right.$two"
rm -rf broken broken.space
expect_status 0 basebackup-fetch --backup "$id" --jobs 3 -D "$T/broken" -T "$T/space=$T/broken.space"
