#!/bin/bash
# goal: whatever happens to what an interrupted backup had stored, the backup that goes on from it comes back whole, or the damage is named
# stores: file
# full-encrypted: file
# limit: 400
. "$(dirname "$0")/../lib.sh"

step "a backup that had stored all its parts when it failed"
config_write $'[basebackup]\njobs = 1\nsplit_size = 1MB\nwal_timeout = 1'
server_create main --wal-segsize=1
mkdir main/quiet main/silent # seven of these fill a part; "large" goes in pieces, each a part of its own
for number in $(seq 16); do head -c 1900000 /dev/urandom >"main/quiet/$number"; done
head -c 5000000 /dev/urandom >main/silent/large
cp -r main/quiet main/silent .
echo "autovacuum = off" >>main/postgresql.conf
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
archives() { sql main "alter system $1" "select pg_reload_conf()" >/dev/null; } # how to set archive_command
archives "set archive_command = '/bin/false'"
expect_status 1 basebackup-push --checkpoint=fast
archives "reset archive_command"
archived main
sed -i 's/^wal_timeout = .*/wal_timeout = 60/' "$CONFIG"
old=$(grep -o 'backup [0-9A-Z-]* begins' <<<"$output" | cut -d' ' -f2)
backups=repository/main/$system/base
cp -r "$backups" kept
cp -r state kept.state
# PART FILES a line, of those that hold nothing but what nobody changes
python3 - "kept.state/backup-$old.index-0" >parts <<'PYTHON'
import json, sys
parts = []
for line in map(json.loads, open(sys.argv[1])):
    if "part" in line: parts.append((line, []))
    if "file" in line: parts[-1][1].append(line)
for part, files in parts:
    if sum(line["stored"] for line in files) == part["bytes"] and all(line["file"].startswith(("quiet/", "silent/")) for line in files):
        if "of" in files[0] or len(files) > 2:
            print("pieces" if "of" in files[0] else "bundle", part["part"])
PYTHON
cat parts
mapfile -t bundles < <(sed -n 's/^bundle //p' parts)
mapfile -t pieces < <(sed -n 's/^pieces //p' parts)
expect_true "there are pieces" test ${#pieces[@]} -ge 3
expect_true "there are bundles" test ${#bundles[@]} -ge 1

damage() { # WHAT FILE OTHER: "same-" leaves the length as it was
    case $1 in
    none) ;;
    missing) rm "$2" ;;
    cut) truncate -s -1 "$2" ;;
    longer) printf x >>"$2" ;;
    empty) : >"$2" ;;
    a-directory) rm "$2" && mkdir "$2" ;;
    same-flipped) printf '\x5a\xa5' | dd of="$2" bs=1 seek=$(($(stat -c %s "$2") / 2)) conv=notrunc status=none ;;
    same-zeros) head -c "$(stat -c %s "$2")" /dev/zero >zeros && mv zeros "$2" ;;
    same-another) head -c "$(stat -c %s "$2")" <(cat "$3" "$3") >another && mv another "$2" ;;
    *) fail "unknown damage $1" ;;
    esac
}
note() { # WHAT FILE: of the index that state_dir has of it
    python3 - "$@" "${bundles[0]}" "${pieces[1]}" <<'PYTHON'
import json, sys
what, path, bundle, piece = sys.argv[1:]
lines = [json.loads(line) for line in open(path)]
part = next(i for i, line in enumerate(lines) if line.get("part") == bundle)
second = next(i for i, line in enumerate(lines) if line.get("part") == piece)
other = "0" * 64
change = {
    "sha256": lambda: lines[part + 1].update(sha256=other), "size": lambda: lines[part + 1].update(bytes=1899999),
    "path": lambda: lines[part + 1].update(file="quiet/no"), "outside": lambda: lines[part + 1].update(file="../../quiet/1"),
    "mode": lambda: lines[part + 1].update(mode="777"), "offset": lambda: lines[part + 2].update(offset=lines[part + 2]["offset"] + 1),
    "stored": lambda: lines[part + 1].update(stored=lines[part + 1]["stored"] - 1), "codec": lambda: lines[part].update(codec="zstd"),
    "bytes": lambda: lines[part].update(bytes=lines[part]["bytes"] - 1), "part": lambda: lines[part].update(part=piece),
    "file-missing": lambda: lines.pop(part + 2), "file-twice": lambda: lines.insert(part + 1, lines[part + 1]),
    "piece-sha256": lambda: lines[second + 1].update(sha256=other), "piece-crc32c": lambda: lines[second + 1].update(crc32c="00000000"),
    "piece-at": lambda: lines[second + 1].update(at=0), "piece-of": lambda: lines[second + 1].update(of=4999999),
    "piece-missing": lambda: lines.__delitem__(slice(second, second + 2)),
    "pieces-swapped": lambda: lines.__setitem__(slice(second, second + 4), lines[second + 2:second + 4] + lines[second:second + 2]),
    "not-json": lambda: lines.insert(second, "nothing"), "another-backup": lambda: lines[0].update(backup="20000101T000000Z-00000001-0000000000000028"),
}[what]
change()
with open(path, "w") as out:
    for line in lines:
        print(json.dumps(line, separators=(",", ":")), file=out)
PYTHON
}
rows=0 pace=6 all=
[ -z "$FULL" ] || pace=1
# row WHOLE|NAMED LESS COMMAND...: the command damages what is stored, or what state_dir says of it. Then it is gone on with: at
# least so many parts less are taken over than where nothing is damaged. NAMED: what has still the length that it should have may
# be taken over, but it does not come back.
row() {
    local outcome=$1 less=$2 status=0 id taken
    rows=$((rows + 1))
    [ "$4" = none ] || [ $(((rows + SEED) % pace)) = 0 ] || return 0
    step "row $rows: ${*:3}"
    rm -rf "$backups" state copy by-hand
    cp -r kept "$backups" && cp -r kept.state state
    "${@:3}"
    expect_status 0 basebackup-push --checkpoint=fast --jobs $((1 + rows % 3))
    id=$(tail -1 <<<"$output")
    taken=$(sed -n 's/.* \([0-9]*\) of [0-9]* parts of backup .* are taken over.*/\1/p' <<<"$output")
    [ "$4" != none ] || all=$taken # of the server's own files, too, as long as they stay as they are
    expect_true "$less of $all parts less were taken over (${taken:=0})" test "$taken" -le $((all - less))
    output=$(basebackup-fetch --backup "$id" -D "$T/copy" 2>&1) || status=$?
    echo "$output"
    if [ $status = 0 ]; then
        for name in quiet silent; do expect_true "the files are as they were" diff -r $name copy/$name; done
        expect_status 0 pg_verifybackup -n -q copy
        mkdir by-hand
        opened=$backups
        if [ -n "${ENCRYPTED:-}" ]; then
            rm -rf sealed opened && opened=opened/$system/base
            mkdir -p "sealed/$system/base" # without what is damaged of the backup before
            cp -r repository/main/{cluster.json,keys} sealed/ && cp -r "$backups/$id" "sealed/$system/base/"
            expect_status 0 "$SOURCE/docs/walferry-decrypt" --key key sealed opened
        fi
        cat "$opened/$id"/main-* | lz4 -dcq | tar xi -C by-hand
        expect_status 0 pg_verifybackup -n -q by-hand
    else
        expect_equal "the outcome" NAMED "$outcome"
        expect_output "error: .*(part \"|file \"|index)"
        expect_absent copy/global/pg_control
    fi
}

stored=$backups/$old
row WHOLE 0 damage none
expect_true "the $(wc -l <parts) were" test "$all" -ge "$(wc -l <parts)"
for what in missing cut longer empty a-directory; do
    row WHOLE 1 damage $what "$stored/${bundles[0]}"
    row WHOLE ${#pieces[@]} damage $what "$stored/${pieces[1]}" # all or none
done
for what in same-flipped same-zeros same-another; do
    row WHOLE 1 damage $what "$stored/${bundles[0]}" "$stored/${pieces[0]}"
    row WHOLE ${#pieces[@]} damage $what "$stored/${pieces[1]}" "$stored/${pieces[2]}"
done
for what in sha256 size path outside mode offset stored codec bytes part file-missing file-twice \
    piece-sha256 piece-crc32c piece-at piece-of piece-missing pieces-swapped not-json another-backup; do
    row NAMED 0 note $what "state/backup-$old.index-0"
done
