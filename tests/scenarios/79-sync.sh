#!/bin/bash
# goal: repository-sync copies what the other repository lacks, verified; killed at any moment and run again it goes on; nothing damaged is copied, nor a manifest before all that it needs; one object that fails does not keep the others; an outage of the target fails it and the next call mends that; the copy alone restores
# stores: file s3
# full-encrypted: file
. "$(dirname "$0")/../lib.sh"

with() { # CODEC-OF-COPY [LINES-OF-COPY]: the repository under test, and a directory beside it
    config_write "[repository copy]
url = file://$T/copy
codec = $1
required = no
${2:-}
[basebackup]
jobs = 2
split_size = 2MB"
}
listed() { # here|copy: "KEY BYTES", without what is each one's own and what a killed one leaves (docs/leftovers.md)
    if [ "$1" = here ]; then object_list | plain_bytes; else (cd copy && find . -type f -printf '%P %s\n'); fi | LC_ALL=C sort |
        grep -vE "/cluster.json |/heartbeat.json |/(reports|notes|index)/|\\.walferry " || true
}
plain_bytes() { # of what is encrypted, the length of its content (docs/encryption.md); the copy is not
    if [ -z "${ENCRYPTED:-}" ]; then cat; else awk -F '[/ ]' '$2 ~ /^[0-9]+$/ { sealed = $NF - 152; chunks = int((sealed - 1024 + 65551) / 65552)
        sub(/ [0-9]+$/, " " (sealed - (chunks > 0 ? 16 * chunks : 0))) } 1'; fi
}
sync() { # STATUS [OPTION...]
    expect_status "$1" repository-sync --from here --to copy "${@:2}"
}
is_copied() { # the same objects are in both
    listed here >here.txt
    listed copy >copy.txt
    expect_same "objects of the copy" here.txt copy.txt
}

step "a server with two tablespaces archives and is backed up to one repository; the other knows nothing yet"
CONFIG=$T/server.conf
config_write $'[basebackup]\nsplit_size = 1MB'
server_create main --wal-segsize=1
CONFIG=$T/walferry.conf
server_start main
system=$(system_identifier main)
mkdir one two
expect_status 0 repository-init --config "$T/server.conf"
sql main "create tablespace one location '$T/one'" "create tablespace two location '$T/two'"
ledger_create main
sql main "create table a tablespace one as select generate_series(1, 100000) i" "create table b tablespace two as select i, md5(i::text) from generate_series(1, 50000) i"
ledger_start main 1
for _ in 1 2; do expect_status 0 basebackup-push --config "$T/server.conf" --checkpoint=fast; done
ledger_stop
archived main
ledger main >ledger.txt
with lz4

step "to a place that is none it does not copy"
sync 1
expect_output "there is no walferry repository here|is not there"
expect_status 0 repository-init --repository copy

step "a dry run copies nothing"
sync 0 --dry-run
expect_output "would be copied"
expect_equal "objects of the copy" "" "$(listed copy)"

step "the target goes away meanwhile"
repository-sync --from here --to copy --jobs 1 --max-rate 2MB >sync.log 2>&1 &
pid=$!
sleep 1
mv copy copy.away
wait $pid && fail "it did not notice" || status=$?
expect_equal "exit status without a target ($(tail -3 sync.log))" 1 $status
mv copy.away copy

step "killed at any moment, and run again"
listed here >here.txt
for try in $(seq $((FULL ? 100 : 10))); do
    before=$(listed copy | wc -l)
    repository-sync --from here --to copy --jobs 2 >sync.log 2>&1 &
    pid=$!
    sleep 0.$((RANDOM % 3))$((RANDOM % 10))
    kill -KILL $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    listed copy >copy.txt
    cmp -s here.txt copy.txt && break
    echo "$try: $before objects, then $(wc -l <copy.txt)"
    for id in $(sed -n 's|.*/base/\(.*\)/manifest.json .*|\1|p' copy.txt); do
        expect_equal "what backup $id lacks" "" "$(LC_ALL=C comm -23 here.txt copy.txt | grep -E "/wal/|/base/$id/" || true)"
    done
done
sync 0
is_copied
sync 0
expect_output "0 WAL files, 0 backups copied .*: 0 objects"

step "what a complete backup of the copy has lost is copied again"
mapfile -t ids < <(sed -n 's|.*/base/\(.*\)/manifest.json .*|\1|p' copy.txt)
base=copy/main/$system/base
rm "$base/${ids[0]}/main-00000002" "$base/${ids[1]}/files"
sync 0
expect_output 'backup .* has a manifest in repository "copy", but its folder does not hold what that tells of'
expect_output "0 WAL files, 2 backups copied .*: 2 objects"
is_copied

step "what it has besides, or has lost without harm, is basebackup-verify's to tell"
cp "$base/${ids[0]}/started.json" started.json
rm "$base/${ids[0]}/started.json"
cp "$base/${ids[1]}/main-00000001" "$base/${ids[1]}/main-00000099"
sync 0
expect_output "0 WAL files, 0 backups copied .*: 0 objects"
cp started.json "$base/${ids[0]}/"
mv "$base/${ids[1]}/main-00000001" "$base/${ids[1]}/main-00000098" # two to spare hide none that is missing
sync 0
expect_output "backup ${ids[1]} has a manifest in repository \"copy\", but its folder does not hold what that tells of"
expect_output "0 WAL files, 1 backups copied .*: 1 objects"
rm "$base/${ids[1]}"/main-000000{01,99} # nor does one of the same length
sync 0
expect_output "0 WAL files, 1 backups copied .*: 1 objects"
rm "$base/${ids[1]}"/main-00000098
is_copied

step "a backup that was packed anew for the copy is let be; what it has lost can't come from here"
cp -r "$base/${ids[0]}" kept
printf x >>"$base/${ids[0]}/main-00000002"
python3 - "$base/${ids[0]}/manifest.json" <<'END'
import hashlib, re, sys
text = open(sys.argv[1]).read().rpartition(',"sha256"')[0]
text = re.sub('"files_sha256":"[0-9a-f]*"', '"files_sha256":"' + "0" * 64 + '"', text)
text = re.sub('"stored_bytes":([0-9]+)', lambda found: f'"stored_bytes":{int(found[1]) + 1}', text)
open(sys.argv[1], "w").write(text + ',"sha256":"' + hashlib.sha256(text.encode()).hexdigest() + '"}\n')
END
sync 0
expect_output "0 WAL files, 0 backups copied .*: 0 objects"
rm "$base/${ids[0]}/main-00000001"
sync 1
expect_output "can't be made whole from repository \"here\": it was packed anew"
expect_absent "$base/${ids[0]}/main-00000001"
rm -r "$base/${ids[0]}"
mv kept "$base/${ids[0]}"

step "what is removed from a folder while a copy goes on: it gets no manifest" # as by an expiry that had begun before
parts=("$base/${ids[0]}"/*-0000*)
expect_true "several parts: ${#parts[@]}" test ${#parts[@]} -ge 5
rm "$base/${ids[0]}"/{files,manifest.json} "${parts[@]: -3}"
repository-sync --from here --to copy --jobs 1 --max-rate 1500kB >sync.log 2>&1 &
pid=$!
has_gone_on() { [ -e "${parts[-1]}" ] || [ -e "${parts[-2]}" ] || [ -e "${parts[-3]}" ]; }
wait_until 30 "one of the parts" has_gone_on
rm "${parts[0]}" "$base/${ids[0]}/started.json"
wait $pid && fail "it did not notice" || status=$?
expect_equal "exit status" 1 $status
expect_equal "what is told" 2 "$(grep -c "was there, and is not there any more" sync.log)"
expect_absent "$base/${ids[0]}/files" "$base/${ids[0]}/manifest.json"
sync 0
is_copied
rm "$base/${ids[0]}"/{files,manifest.json,tablespace_map}
repository-sync --from here --to copy --verbose --max-rate 40kB >sync.log 2>&1 & # the index takes it more than a second
pid=$!
wait_until 30 "all but the index" grep -q "copied .*tablespace_map" sync.log
rm "${parts[0]}"
wait $pid && fail "it did not notice" || status=$?
expect_equal "exit status" 1 $status
expect_absent "$base/${ids[0]}/manifest.json"
sync 0
is_copied

step "the copy is whole, and restores alone"
expect_status 0 basebackup-verify --repository copy --full
sed '/^\[repository here\]/,/^\[repository copy\]/{/^\[repository copy\]/!d}' "$CONFIG" >alone.conf
chmod 600 alone.conf
expect_status 0 basebackup-fetch --config "$T/alone.conf" -D "$T/restored" -T "$T/one=$T/one.restored" -T "$T/two=$T/two.restored"
expect_status 0 pg_verifybackup -n -q restored
expect_status 0 recovery-config --config "$T/alone.conf" -D "$T/restored"
server_start restored
wait_open restored
expect_ledger restored ledger.txt
expect_equal "rows in tablespaces" "100000|50000" "$(sql restored 'select (select count(*) from a), (select count(*) from b)')"
server_stop restored

step "two calls at once, as when one takes longer than a night: both end well, with one whole copy"
rm -r copy
expect_status 0 repository-init --repository copy
both=()
for i in 1 2; do
    repository-sync --from here --to copy --jobs 2 --max-rate 8MB >both.$i.log 2>&1 &
    both+=($!)
done
for pid in "${both[@]}"; do wait "$pid" || fail "one of two at once failed: $(cat both.?.log)"; done
is_copied
expect_status 0 basebackup-verify --repository copy --full

step "more comes, another codec there: only what is new is copied"
with zstd
for _ in 1 2 3; do sql main "insert into ledger select 2, 1, max(n) + 1, now() from ledger"; archived main; done
sync 0
expect_output "0 backups copied"
listed here | cut -d' ' -f1 >here.txt
listed copy | cut -d' ' -f1 >copy.txt
expect_same "names in the copy" here.txt copy.txt

step "a damaged segment, one under another's name, and a damaged part are not copied, and named; all else is; and no backup without its WAL"
expect_status 0 basebackup-push --checkpoint=fast --repository here
for _ in 1 2 3; do sql main "insert into ledger select 3, 1, max(n) + 1, now() from ledger"; archived main; done
id=$(basebackup-list --repository here --json | sed -n 's/.*"id": "\(.*\)".*/\1/p' | tail -1)
part=main/$system/base/$id/main-00000002
mapfile -t missing < <(comm -23 <(listed here | cut -d' ' -f1) <(listed copy | cut -d' ' -f1) | grep -E '/wal/[0-9A-F]{16}/[0-9A-F]{24}$')
segment=${missing[-3]} other=${missing[-2]} lsn=$((16#${id##*-}))
own=$(wal_key "$(printf '00000001%08X%08X' $((lsn >> 32)) $(((lsn & 0xFFFFFFFF) >> 20)))")
object_get "$other" "right.${other##*/}"
object_get "${missing[-1]}" wrong
object_put "$other" wrong
for key in "$part" "$segment" "$own"; do
    object_get "$key" "right.${key##*/}"
    cp "right.${key##*/}" wrong
    printf '\x5a\xa5' | dd of=wrong bs=1 seek=$(($(stat -c %s wrong) / 2)) conv=notrunc status=none
    object_put "$key" wrong
done
sync 1
expect_output "${segment##*/}.* is damaged"
expect_output "${own##*/}.* is damaged"
expect_output "${other##*/} holds .*${missing[-1]##*/}"
expect_output "backup $id is of no use in repository \"copy\": WAL segment ${own##*/}, which it needs, is not there"
expect_equal "what there is of the backup" "started.json" "$(ls "copy/main/$system/base/$id")"
object_put "$own" "right.${own##*/}"
sync 1
expect_output "main-00000002.* is damaged"
expect_absent "copy/$part" "copy/$segment" "copy/$other" "copy/main/$system/base/$id/manifest.json"
expect_true "later WAL is there" test -e "copy/$(listed here | cut -d' ' -f1 | grep -E '/wal/[0-9A-F]{16}/[0-9A-F]{24}$' | tail -1)"
for key in "$part" "$segment" "$other"; do object_put "$key" "right.${key##*/}"; done

if [ "$(id -u)" != 0 ]; then
    step "what can't be read, or stored, is told, and keeps nothing else"
    for _ in 1 2 3; do sql main "insert into ledger select 4, 1, max(n) + 1, now() from ledger"; archived main; done
    mapfile -t missing < <(comm -23 <(listed here | cut -d' ' -f1) <(listed copy | cut -d' ' -f1) | grep -E '/wal/[0-9A-F]{16}/[0-9A-F]{24}$')
    mkdir "copy/${missing[-2]}" # where an object was to be
    if [ "$STORE" = file ]; then chmod 000 "repository/${missing[-3]}" "repository/$part" "repository/main/$system/base/${ids[0]}/manifest.json"; fi
    sync 1
    expect_output "${missing[-2]##*/}.*is not a regular file"
    if [ "$STORE" = file ]; then
        expect_output "could not open file .*${missing[-3]##*/}"
        expect_output "could not open file .*main-00000002"
        expect_output "backup $id is not complete"
        expect_output "; 4 problems"
        expect_absent "copy/main/$system/base/$id/manifest.json"
        chmod 600 "repository/${missing[-3]}" "repository/$part" "repository/main/$system/base/${ids[0]}/manifest.json"
    fi
    expect_true "the last of the WAL" test -e "copy/${missing[-1]}"
    rmdir "copy/${missing[-2]}"

    step "nor where some are damaged or there already in between"
    folder=$(dirname "copy/${missing[-1]}")
    chmod -R u+w "$folder" && rm -rf kept && cp -r "$folder" kept
    mapfile -t stored < <(ls "$folder" | grep -E '^[0-9A-F]{24}$' | tail -20)
    expect_equal "segments of the folder" 20 ${#stored[@]}
    for i in {0..18..2}; do
        rm "$folder/${stored[i]}"
        printf x >>"$folder/${stored[i + 1]}"
    done
    chmod a-w "$folder"
    sync 1 --jobs 1
    expect_output "8 objects in a row could not be stored"
    chmod u+w "$folder" && rm -r "$folder" && mv kept "$folder"

    step "where nothing can be stored it does not try on and on, and goes on when it can"
    rm -r copy
    expect_status 0 repository-init --repository copy
    mkdir copy/main/$system
    chmod a-w copy/main/$system
    sync 1 --jobs 1
    expect_output "8 objects in a row could not be stored"
    expect_output "0 WAL files.*; 8 problems"
    chmod u+w copy/main/$system

    if [ "$STORE" = file ]; then
        step "backups that can't be read, as when they are archived, keep no other; of each no more parts are tried after the first"
        unreadable=("repository/main/$system/base/${ids[0]}"/*-0000* "repository/main/$system/base/${ids[1]}"/*-0000*)
        expect_true "more than may fail in a row: ${#unreadable[@]}" test ${#unreadable[@]} -gt 8
        chmod 000 "${unreadable[@]}"
        sync 1 --jobs 1
        expect_output "backup ${ids[0]} is not complete"
        expect_output "backup ${ids[1]} is not complete"
        expect_absent "copy/main/$system/base/${ids[0]}/manifest.json" "copy/main/$system/base/${ids[1]}/manifest.json"
        expect_true "the later backup is there" test -e "copy/main/$system/base/$id/manifest.json"
        expect_output "; [2-6] problems"
        chmod 600 "${unreadable[@]}"
    fi
fi
sync 0
expect_status 0 basebackup-verify --repository copy --full
expect_true "the backup is there" test -e "copy/main/$system/base/$id/manifest.json"

step "what is there with other content is not overwritten"
first=$(listed here | cut -d' ' -f1 | grep -E '/wal/[0-9A-F]{16}/[0-9A-F]{24}$' | head -1)
second=$(listed here | cut -d' ' -f1 | grep -E '/wal/[0-9A-F]{16}/[0-9A-F]{24}$' | sed -n 2p)
with lz4
object_get "$second" other
if [ "$(stat -c %s other)" = "$(stat -c %s "copy/$first")" ]; then printf x >>other; fi
cp "copy/$first" kept
cp other "copy/$first"
sync 1
expect_output "with other content than in|is damaged"
expect_same "what was there" other "copy/$first"
cp kept "copy/$first"
sync 0

step "only the newest backup, and its WAL; that its started.json is gone does no harm"
rm -r copy
expect_status 0 repository-init --repository copy
object_get "main/$system/base/$id/started.json" started.json
object_delete "main/$system/base/$id/started.json"
sync 0 --last 1
object_put "main/$system/base/$id/started.json" started.json
expect_equal "backups of the copy" "$id" "$(basename "$(dirname "$(listed copy | grep -o '.*manifest.json')")")"
expect_status 0 basebackup-verify --repository copy --full

step "a damaged started.json keeps its backup waiting, and no other"
rm -r copy
expect_status 0 repository-init --repository copy
printf '{}' >wrong
object_put "main/$system/base/$id/started.json" wrong
sync 1
expect_output "started.json.* is damaged"
expect_output "backup $id is not complete"
expect_absent "copy/main/$system/base/$id/manifest.json"
expect_equal "the others" $(($(listed here | grep -c manifest.json) - 1)) "$(listed copy | grep -c manifest.json)"
object_put "main/$system/base/$id/started.json" started.json

step "what the copy's own policy does not keep is not copied, and not copied again when it has gone there" # a nightly expiry and a nightly copy
sync 0
backups=$(listed copy | grep -c manifest.json)
expect_true "several backups: $backups" test "$backups" -ge 3
for policy in "keep_last = 2" "keep_daily = 1" "keep_wal = 1 hour"; do
    with lz4 "$policy"
    rm -r copy
    expect_status 0 repository-init --repository copy
    sync 0
    expect_status 0 basebackup-expire --repository copy
    expect_output " 0 backups .*, 0 unfinished ones and 0 segments of WAL .* go"
    expect_status 0 basebackup-verify --repository copy
    sync 0
    expect_output "0 WAL files, 0 backups copied .*: 0 objects"
done
expect_equal "backups that are within an hour" "$backups" "$(listed copy | grep -c manifest.json)"
with lz4 "keep_last = 1"
expect_status 0 basebackup-expire --repository copy
listed copy >expired.txt
sync 0 --json
expect_output "would not keep them"
expect_output "\"backups_left_out\": $((backups - 1))"
listed copy >now.txt
expect_same "the copy" expired.txt now.txt

step "an expiry between the copy of the WAL and that of its backup removes nothing that it needs"
with lz4 "keep_last = 3"
rm -r copy
expect_status 0 repository-init --repository copy
sync 0 --last 1
before=$(listed copy | grep -c /wal/)
repository-sync --from here --to copy --jobs 1 --max-rate 200kB >sync.log 2>&1 &
pid=$!
has_wal() { [ "$(listed copy | grep -c /wal/)" -ge $((before + 3)) ]; }
wait_until 60 "some WAL" has_wal
kill -KILL $pid
wait $pid || true
listed copy >killed.txt
expect_equal "complete backups" 1 "$(grep -c manifest.json killed.txt)"
expect_status 0 basebackup-expire --repository copy
listed copy >now.txt
expect_same "the copy" killed.txt now.txt
sync 0
expect_status 0 basebackup-verify --repository copy

step "unless all is asked for"
with lz4 "keep_last = 1"
sync 0 --all
expect_equal "backups of the copy" "$backups" "$(listed copy | grep -c manifest.json)"
server_stop main

step "a copy that was made after pg_upgrade gets what came before"
server_create upgraded --wal-segsize=1
sed "s|^pgdata = .*|pgdata = $T/upgraded|" "$CONFIG" >upgraded.conf
chmod 600 upgraded.conf
expect_status 0 repository-init --config "$T/upgraded.conf" --repository here --add-generation
rm -r copy
expect_status 0 repository-init --config "$T/upgraded.conf" --repository copy
sync 0 --all --dry-run
expect_output "would accept 1 earlier generations"
sync 0 --all
is_copied
expect_status 0 basebackup-verify --repository copy
rm -r copy
expect_status 0 repository-init --repository copy
sync 1 --all # to what came afterwards nobody has told it
expect_output 'repository "copy" is the home of another cluster'
is_copied

step "a copy is as old as what it was made of: no older backup comes to be the one that keep_wal begins with"
synthetic() { # DIRECTORY LINES
    rm -rf "$1" && python3 "$here/synthetic.py" "$1" <<<"$2" >/dev/null
}
cp "$CONFIG" real.conf
sed -i '/^encryption_key_file/d' "$CONFIG" # what is synthetic is not encrypted
sed -i "s|^url = .*|url = file://$T/copy|; 0,/^url = /s|^url = .*|url = file://$T/old|" "$CONFIG"
sed -i 's|^codec = .*|keep_wal = 7 days|' "$CONFIG"
rm -rf old copy
mapfile -t ids < <(python3 "$here/synthetic.py" old <<<$'wal 1 1 45 1\nbackup 1 5 5 14\nbackup 1 10 10 11\nbackup 1 30 30 9\nbackup 1 35 35 6\nbackup 1 40 40 1\nobject restore-points/000000010000000000000002.0123cdef')
mkdir -p copy/main && cp old/main/cluster.json copy/main/
sync 1 --dry-run # nothing in them can be read
expect_output "16 WAL files, 0 backups would be copied"
expect_output "29 WAL files and 2 backups are left out"
cp -r old/main copy # with new times
(cd copy/main/7400000000000000001 && rm -r restore-points "base/${ids[0]}" "base/${ids[1]}" wal/0000000100000000/0000000100000000000000{0?,1[0-9A-D]})
sync 0 --dry-run
expect_output "0 WAL files, 0 backups would be copied .*: 0 objects"
expect_output "29 WAL files and 2 backups are left out"
sync 1 --dry-run --all
expect_output "29 WAL files, 0 backups would be copied"

if [ "$(id -u)" != 0 ]; then
    step "manifests that can't be read keep nothing from being copied, however many they are, but the WAL since they began"
    synthetic old "wal 1 1 45 1$(for i in {1..9}; do printf '\nbackup 1 %d %d 9' $i $i; done)"
    rm -r copy/main/7400000000000000001
    chmod 000 old/main/*/base/*/manifest.json
    sync 1 --dry-run
    expect_output "45 WAL files, 0 backups would be copied .*; 9 problems"
    chmod 600 old/main/*/base/*-0000000009001000/manifest.json # keep_wal begins with this one
    rm -r old/main/*/base/*-0000000001001000                   # the rest began later
    sync 1 --dry-run
    expect_output "44 WAL files, 0 backups would be copied .*; 8 problems"
    expect_output "1 WAL files and 0 backups are left out"

    step "where what the copy would keep can't be found out, nothing is copied"
    chmod 600 old/main/*/base/*/manifest.json
    notes=copy/main/7400000000000000001/notes
    mkdir -p $notes
    chmod 000 $notes
    sync 1 --dry-run
    expect_output "would keep can't be found out: nothing is copied"
    expect_output "0 WAL files, 0 backups would be copied"
    chmod 700 $notes
fi

step "histories of timelines that have no WAL are copied, too; a stray folder is passed over"
synthetic old $'wal 1 1 3 1\nhistory 2 1 2\nhistory 3 2 2\nwal 3 3 4 1\nhistory 5 3 4\nwal 5 5 6 1\nobject wal/FFFFFFFF00000000/x\n'
synthetic copy ""
expect_status 1 timeout 20 repository-sync --from here --to copy --all # nor can this WAL be read
expect_equal "histories of the copy" "00000002.history 00000003.history 00000005.history" "$(cd copy/main/*/wal && echo *.history)"

step "where lengths tell nothing, the indexes of both do, and trailers where there are none"
synthetic old $'told 1 256 513\n'
rm -r copy
cp -r old copy
wal=copy/main/7400000000000000001/wal
sync 0 --all # each writes the index of log 1 into the one that it fills
expect_status 0 repository-sync --from copy --to here --all
expect_true "indexes of both" test -e copy/main/7400000000000000001/index/0000000100000001 -a -e old/main/7400000000000000001/index/0000000100000001
printf x >>$wal/0000000100000001/000000010000000100000007
sync 0 --all
printf x >>$wal/0000000100000002/000000010000000200000000
sync 1 --all
expect_output "000000010000000200000000.* is damaged"

step "unpacked segments have one length, and are compared"
rm -r old copy
mkdir old
printf '[compression]\ncodec = none\n' >>"$CONFIG"
expect_status 0 repository-init
segment=$(ls main/pg_wal | grep -E '^[0-9A-F]{24}$' | head -1)
touch "main/pg_wal/archive_status/$segment.done"
cd main
expect_status 0 wal-push --repository here "pg_wal/$segment"
printf x | dd of="pg_wal/$segment" bs=1 seek=1048575 conv=notrunc status=none
expect_status 0 wal-push --repository copy "pg_wal/$segment"
cd "$T"
sync 1 --all
expect_output "$segment.* with other content than in"
cp real.conf "$CONFIG"

if [ "$STORE" = file ]; then
    step "an announcement that another call has put meanwhile is looked for in the end as one's own"
    . "$here/faults.sh"
    fault_server cloud
    printf '[repository cloud]\nurl = s3://%s/%s\nregion = %s\nendpoint = %s\naccess_key = %s\nsecret_key = %s\n' \
        "$S3_BUCKET" "$S3_PREFIX" "$S3_REGION" "$S3_ENDPOINT" "$S3_ACCESS_KEY" "$S3_SECRET_KEY" >>"$CONFIG"
    expect_status 0 repository-init --repository cloud
    started=base/$id/started.json
    object_get "main/$system/$started" started.json
    # the first is lost; the second comes too late
    printf '%s\n' "PUT *$started 1 1 pretend" "PUT *$started 2 1 swap=$T/started.json" "PUT *$id/main-00000001 1 1 delay=3000" >cloud/script
    repository-sync --from here --to cloud --last 1 >sync.log 2>&1 &
    pid=$!
    wait_until 60 "its first part" grep -q "main-00000001.*fault=3" cloud/requests
    expect_same "the announcement" started.json "cloud/objects/$S3_BUCKET/$S3_PREFIX/main/$system/$started"
    rm "cloud/objects/$S3_BUCKET/$S3_PREFIX/main/$system/$started"
    wait $pid && fail "it did not notice" || true
    expect_true "that it has gone is told: $(<sync.log)" grep -q "started.json\" was there, and is not there any more" sync.log
fi
