#!/bin/bash
# goal: basebackup-expire where the store fails, refuses, throttles, keeps versions or locks, where it is killed, and where folders are young, old, damaged or another host's: what must stay does, and the next run does the rest
# stores: none
# limit: 300
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"
shopt -s nullglob

system=7400000000000000001
begin() { # also anew: it remembers versions
    [ -z "${server_pid:-}" ] || kill "$server_pid"
    fault_server faults
    objects=$T/faults/objects/$S3_BUCKET/$S3_PREFIX folder=$T/faults/objects/$S3_BUCKET/$S3_PREFIX/main/$system
}
use() { # LINES for [repository here]
    mkdir -p "$objects"
    printf '[cluster]\nname = main\nstate_dir = %s\n[repository here]\nurl = s3://%s/%s\nregion = %s\nendpoint = %s\naccess_key = %s\nsecret_key = %s\nrequest_timeout = 2\n%s\n[basebackup]\nstore_timeout = 3\n' \
        "$T/state" "$S3_BUCKET" "$S3_PREFIX" "$S3_REGION" "$S3_ENDPOINT" "$S3_ACCESS_KEY" "$S3_SECRET_KEY" "$1" >"$CONFIG"
    chmod 600 "$CONFIG"
}
make_repository() { # LINES: anew, and set $ids
    bucket_empty
    mapfile -t ids < <(python3 "$here/synthetic.py" "$objects" <<<"$1")
}
# Four backups of segments 10, 20, 30, 40; what is wanted of it are the last two, and all WAL from 30 on.
four="wal 1 1 45 1
object restore-points/000000010000000000000005.01234567
object restore-points/000000010000000000000023.89abcdef
object wal/0000000100000000/00000001000000000000000A.00000028.backup
object wal/0000000100000000/000000010000000000000008.partial
object wal/0000000100000000/000000010000000000000046-00000001000000000000004F.gap
backup 1 10 11 4
backup 1 20 21 3
backup 1 30 31 2
backup 1 40 41 1"
segments() { find "$folder/wal" -type f -name '0*' -printf '%f\n' 2>/dev/null | grep -Ec "^[0-9A-F]{24}$" || true; }
folders() { find "$folder/base" -type f -printf '%h\n' | sed 's|.*/||' | LC_ALL=C sort -u | paste -sd' '; }
expect_expired() { # all of it is done
    expect_equal "backups" "${ids[2]} ${ids[3]}" "$(folders)"
    expect_equal "segments" 16 "$(segments)"
    expect_equal "the first segment" 00000001000000000000001E "$(ls "$folder/wal/0000000100000000" | head -1)"
    expect_equal "restore points" 000000010000000000000023.89abcdef "$(ls "$folder/restore-points")"
}
expect_whole() { # what must stay does, with all of its parts and WAL
    local id number
    for id in "${ids[@]:2:2}"; do
        expect_equal "files of $id" "files main-00000001 main-00000002 manifest.json started.json" "$(ls "$folder/base/$id" | paste -sd' ')"
    done
    for number in $(seq 30 45); do expect_true "segment $number" test -e "$folder/wal/0000000100000000/$(S "$number")"; done
    # and no manifest without its WAL
    for id in "${ids[@]:0:2}"; do
        [ ! -e "$folder/base/$id/manifest.json" ] ||
            for number in $([ "$id" = "${ids[0]}" ] && echo 10 11 || echo 20 21); do
                expect_true "segment $number of $id" test -e "$folder/wal/0000000100000000/$(S "$number")"
            done
    done
}

# ---- a store that fails

fails() { # STATUS MESSAGE LINE
    make_repository "$four"
    script "$3"
    expect_status "$1" basebackup-expire
    output=${output//$'\n'/ }
    [ "$2" = - ] || expect_output "$2"
    expect_whole
    [ "$1" != 0 ] || expect_expired
    script
    expect_status 0 basebackup-expire # whatever happened
    expect_expired
}
begin
use "keep_last = 2"
step "requests"
make_repository "$four"
script
expect_status 0 basebackup-expire --dry-run
expect_output "goes   backup ${ids[1]}"
expect_output "goes   WAL of timeline 1 up to 00000001000000000000001D, 29 segments"
expect_output "stays  WAL of timeline 1 00000001000000000000001E to the end, 16 segments"
expect_requests 0 "DELETE"
script
expect_status 0 basebackup-expire
expect_expired
expect_requests 0 "DELETE "
expect_equal "what its segment took along" "" "$(cd "$folder/wal/0000000100000000" && echo *.backup *.partial)"
script
expect_status 0 basebackup-expire # nothing left to do
expect_requests 0 "DELETE"
expect_expired

step "a store that fails" # wound: pgbackrest#2742, #2040, #1650
failing_store() {
    server_pid=
    begin
    use "keep_last = 2
orphan_age = 1 hours" # half deleted ones are old enough to be gone on with
    table fails <<'END'
0 | -                                     | DELETES - 1 2 status=503 code=SlowDown
0 | -                                     | DELETES - 3 1 reset=answer
0 | -                                     | DELETES - 1 1 status=500 code=InternalError done
0 | -                                     | DELETES - 7 2 keyerror=*main*:SlowDown
0 | -                                     | DELETES - 9 1 keyerror=*wal*:InternalError
1 | slow|fewer requests again and again   | DELETES - 1 - keyerror=*manifest*:SlowDown
1 | could not delete .*InvalidTag         | DELETES - 1 - keyerror=*manifest*:InvalidTag
1 | AccessDenied.*Grant s3:DeleteObject   | DELETES - 1 - keyerror=*manifest*:AccessDenied
1 | AccessDenied.*Grant s3:DeleteObject   | DELETES - 1 - keyerror=*000002:AccessDenied
1 | AccessDenied                          | DELETES - 1 - status=403 code=AccessDenied
0 | -                                     | DELETES - 1 - status=501 code=NotImplemented
0 | -                                     | DELETES - 1 - status=405 code=MethodNotAllowed
1 | SlowDown                              | DELETES - 1 - status=503 code=SlowDown
1 | SlowDown                              | DELETES - 5 - status=503 code=SlowDown
1 | understood                            | DELETES - 1 - status=200
1 | tries|cut|closed                      | DELETES - 1 - close=middle length=500
1 | -                                     | LIST *wal* 1 - status=500 code=InternalError
1 | -                                     | LIST *base* 1 - status=403 code=AccessDenied
1 | -                                     | GET *manifest* 2 - status=500 code=InternalError
1 | -                                     | GET *manifest* 3 1 status=403 code=AccessDenied
1 | -                                     | GET *cluster.json 1 - reset=answer
END
    expect_rows 21
}
in_shards 6 failing_store

# ---- versions and locks

step "a bucket that keeps versions: all of them go"
versions() { # so many versions and markers
    s3 versions "$S3_PREFIX/main/$system/$1" | wc -l
}
script "set versions on"
make_versioned() { # the same, each object put through the server, so that it has versions
    make_repository "$four"
    rm -rf aside && mv "$objects" aside
    mkdir "$objects"
    s3 load "$S3_PREFIX/" aside
    s3 put "$S3_PREFIX/main/$system/base/${ids[0]}/main-00000001" aside/main/cluster.json # a second version
    s3 delete "$S3_PREFIX/main/$system/wal/0000000100000000/$(S 2)"                      # a marker
    s3 put "$S3_PREFIX/main/$system/base/${ids[3]}/main-00000001" aside/main/cluster.json # of one that stays
}
make_versioned
script "set versions on" "LOCK * 1 - status=403 code=AccessDenied" # who may not ask tries
expect_status 0 basebackup-expire
expect_expired
expect_equal "versions of what is gone" 0 $(($(versions "base/${ids[0]}") + $(versions "base/${ids[1]}") + $(versions "wal/0000000100000000/$(S 2)")))
expect_equal "versions of what stays" 6 "$(versions "base/${ids[3]}")"

step "a store that knows no locks, and answers the question with the object itself"
make_versioned
script "set versions on" "set subresources ignored"
expect_status 0 basebackup-expire
expect_expired

step "a backup that the store has locked stays, with its WAL, and is told"
make_versioned
script "set versions on" "set locked *${ids[1]}*"
expect_status 0 basebackup-expire --dry-run # it asks of each that would go, and tells what the run will do
expect_output "stays  backup ${ids[1]}, .*: locked until 2099-01-01T00:00:00Z"
expect_output "goes   backup ${ids[0]}"
expect_output "goes   WAL of timeline 1 up to $(S 19), 18 segments"
expect_requests 5 "LOCK" # two questions each, behind one to the bucket
plan=$(grep -E '^ +(goes|stays) ' <<<"$output")
expect_status 0 basebackup-expire
expect_output "backup ${ids[1]} is locked until 2099-01-01"
expect_equal "what was planned and what was done" "$plan" "$(grep -E '^ +(goes|stays) ' <<<"$output")"
expect_equal "backups" "${ids[1]} ${ids[2]} ${ids[3]}" "$(folders)"
expect_equal "segments" 26 "$(segments)" # from 20 on, since no keep_wal is set
script "set versions on"
expect_status 0 basebackup-expire
expect_requests 1 "LOCK" # without locks in the bucket objects are not asked: a store that knows none answers with them
expect_expired

step "locked parts and WAL are passed over, and told"
make_versioned
script "set versions on" "set locked *${ids[0]}/main-*"
expect_status 0 basebackup-expire
expect_output "is locked until 2099-01-01"
expect_output "2 objects are locked|3 objects are locked"
expect_equal "left of it" "main-00000001 main-00000002" "$(ls "$folder/base/${ids[0]}" | paste -sd' ')"
expect_equal "segments" 16 "$(segments)"
script "set versions on" "set locked *$(S 7)"
expect_status 0 basebackup-expire # the folder is young: it stays for now, with the WAL that it might need
make_versioned
script "set versions on" "set locked *${ids[0]}/main-*" "DELETES - 1 - keyerror=*/wal/*:AccessDenied"
expect_status 1 basebackup-expire # that parts are locked explains nothing elsewhere
expect_output "could not delete .*/wal/.*AccessDenied"
make_versioned
script "set versions on" "set locked */$(S 7)"
expect_status 0 basebackup-expire
expect_equal "segments" 17 "$(segments)"
expect_true "the locked one" test -e "$folder/wal/0000000100000000/$(S 7)"

# ---- folders without a manifest

begin
step "unfinished backups, of whatever host: young ones stay with their WAL, old ones go" # wound: pgbackrest#2622, #2797; wal-g#636, #1152
use "keep_last = 1
orphan_age = 2 days"
make_repository "wal 1 1 45 1
backup 1 40 41 1
backup 1 5 5 3 unfinished
backup 1 10 10 1.9 unfinished
backup 1 12 12 30 damaged"
script
expect_status 1 basebackup-expire
expect_output "${ids[3]}.* is damaged"
expect_output "goes   backup ${ids[1]}, unfinished"
expect_output "stays  backup ${ids[2]}, unfinished.*: unfinished"
expect_equal "backups" "$(printf '%s\n' "${ids[0]}" "${ids[2]}" "${ids[3]}" | sort | paste -sd' ')" "$(folders)"
expect_equal "segments" 36 "$(segments)"
rm -r "$folder/base/${ids[3]}" # somebody gives it up
touch -d '1 day ago' "$folder/base/${ids[2]}"/*
printf '{}' >"$folder/base/${ids[2]}/heartbeat.json"
touch -d '3 days ago' "$folder/base/${ids[2]}/started.json"
expect_status 0 basebackup-expire
expect_equal "the one whose heart beats" "$(printf '%s\n' "${ids[0]}" "${ids[2]}" | sort | paste -sd' ')" "$(folders)"
touch -d '3 days ago' "$folder/base/${ids[2]}/heartbeat.json"
expect_status 0 basebackup-expire
expect_equal "and when it no longer does" "${ids[0]}" "$(folders)"
expect_equal "segments" 6 "$(segments)"

step "uploads that were never completed: old ones go, but not of a backup that was heard of"
use "keep_last = 1
orphan_age = 2 days"
prepare_uploads() { # in a complete backup, a damaged one, one whose heart beats, one that was given up, among the WAL, beside all
    rm -rf faults/uploads/id*
    make_repository "wal 1 1 45 1
backup 1 40 41 1
backup 1 42 42 1.9 unfinished
backup 1 5 5 3 unfinished"
    uploads=()
    for key in main/$system/base/{${ids[0]},${ids[1]},${ids[2]}}/main-00000002 main/$system/wal/0000000100000000/$(S 40) main/probe-0123456789abcdef other/x; do
        uploads+=("$(s3 request POST "$S3_PREFIX/$key?uploads" | sed -n 's|.*<UploadId>\(.*\)</UploadId>.*|\1|p')")
        [ "$1" = young ] || touch -d '3 days ago' "faults/uploads/${uploads[-1]}"
    done
}
left() { (cd faults/uploads && ls -d -- id* 2>/dev/null | paste -sd' ') || true; }
script
prepare_uploads young
expect_status 0 basebackup-expire
expect_output "stays  upload to main/$system/wal/.*: younger than orphan_age"
expect_equal "uploads" "$(printf '%s\n' "${uploads[@]}" | sort | paste -sd' ')" "$(left)"
prepare_uploads old
script
expect_status 0 basebackup-expire --dry-run
expect_output "goes   upload to main/$system/base/${ids[0]}/main-00000002, begun .*: never finished"
expect_output "stays  upload to main/$system/base/${ids[1]}/main-00000002, begun .*: its backup is unfinished"
expect_requests 0 "ABORT"
script "UPLOADS * 1 - status=403 code=AccessDenied" # the rest is done
expect_status 1 basebackup-expire
expect_output "s3:ListBucketMultipartUploads"
expect_equal "backups" "$(printf '%s\n' "${ids[0]}" "${ids[1]}" | sort | paste -sd' ')" "$(folders)"
expect_equal "segments" 6 "$(segments)"
prepare_uploads old
script "ABORT *probe* 1 - status=403 code=AccessDenied"
expect_status 1 basebackup-expire
expect_output "Grant s3:AbortMultipartUpload|grant s3:AbortMultipartUpload"
expect_equal "segments" 6 "$(segments)"
script "ABORT * 1 1 reset=answer" # it was aborted, and nobody was told
expect_status 0 basebackup-expire --json
expect_equal "uploads" "$(printf '%s\n' "${uploads[1]}" "${uploads[5]}" | sort | paste -sd' ')" "$(left)"
touch -d '3 days ago' "$folder/base/${ids[1]}"/*
script
expect_status 0 basebackup-expire
expect_equal "uploads when its backup was given up" "${uploads[5]}" "$(left)"
expect_requests 1 "ABORT"

step "a manifest was lost: nobody but a user knows whether it is garbage"
make_repository "$four"
rm "$folder/base/${ids[0]}/manifest.json"
script
expect_status 1 basebackup-expire
expect_output "backup ${ids[0]} .*manifest.json is missing, and all else was stored"
expect_output "1 manifests, notes or signs of life are damaged, unreadable or missing"
expect_output "stays  backup ${ids[0]}, damaged"
expect_equal "files" "files main-00000001 main-00000002 started.json" "$(ls "$folder/base/${ids[0]}" | paste -sd' ')"
expect_equal "backups" "${ids[0]} ${ids[3]}" "$(folders)"
expect_equal "segments" 36 "$(segments)"
rm -r "$folder/base/${ids[0]}"
expect_status 0 basebackup-expire
expect_equal "segments" 6 "$(segments)"
make_repository "$four"
script
expect_status 0 basebackup-pin "${ids[0]}"
rm "$folder/base/${ids[0]}"/{manifest,started}.json # as of one that was pinned while an expiry removed it
expect_status 1 basebackup-expire
expect_output "backup ${ids[0]} .*manifest.json is missing, and it is pinned"
expect_equal "what is pinned never goes" "files main-00000001 main-00000002" "$(ls "$folder/base/${ids[0]}" | paste -sd' ')"
expect_equal "segments" 36 "$(segments)"

step "a manifest or a note that can't be read keeps what it may be of; where the store does not answer nothing goes"
make_repository "$four"
unreadable="status=403 code=InvalidObjectState" # archived
script "GET *${ids[1]}/manifest.json 1 - $unreadable" "GET *cluster.json 2 - $unreadable"
expect_status 1 basebackup-expire
expect_equal "segments" 45 "$(segments)"
expect_equal "backups" "${ids[*]}" "$(folders)"
script
expect_status 0 basebackup-pin "${ids[2]}"
script "GET *${ids[1]}/manifest.json 1 - $unreadable" "GET *notes/* 1 - $unreadable"
expect_status 1 basebackup-expire
expect_output "2 manifests, notes or signs of life are damaged, unreadable or missing"
expect_output "stays  backup ${ids[1]}, damaged"
expect_output "stays  backup ${ids[2]}, .*: pinned"
expect_equal "backups" "${ids[1]} ${ids[2]} ${ids[3]}" "$(folders)"
expect_equal "segments" 26 "$(segments)" # from 20 on
script
expect_status 0 basebackup-pin --remove "${ids[2]}"
expect_status 0 basebackup-expire
expect_equal "backups" "${ids[3]}" "$(folders)"

step "nor is a folder garbage whose last sign of life can't be read"
make_repository "wal 1 1 45 1
backup 1 40 41 1
backup 1 10 10 9 unfinished"
script "GET *${ids[1]}/[hs]*.json 1 - $unreadable"
expect_status 1 basebackup-expire
expect_output "1 manifests, notes or signs of life are damaged, unreadable or missing"
expect_output "stays  backup ${ids[1]}, unfinished.*: unfinished"
expect_equal "segments" 36 "$(segments)"
script
expect_status 0 basebackup-expire
expect_equal "backups" "${ids[0]}" "$(folders)"

step "since the plan was made: completed, gone on with, begun anew, pinned; each stays with its WAL"
make_repository "wal 1 1 45 1
backup 1 20 21 9
backup 1 40 41 1"
id=${ids[0]} manifest=base/${ids[0]}/manifest.json
meanwhile() { # MESSAGE LINE-OF-THE-SCRIPT
    script "$2"
    expect_status 0 basebackup-expire
    expect_output "goes   backup $id"
    expect_output "backup $id has been $1 meanwhile: it stays"
    expect_true "its parts" test -e "$folder/base/$id/main-00000002"
    expect_true "its WAL" test -e "$folder/wal/0000000100000000/$(S 21)"
}
cp "$folder/$manifest" manifest.json
cp "$folder/base/$id/started.json" started.json
rm "$folder/$manifest" "$folder/base/$id/files"
meanwhile completed "GET *$manifest 2 1 swap=$T/manifest.json"
rm "$folder/$manifest"
meanwhile "gone on with" "GET *heartbeat.json 2 1 swap=$T/started.json"
rm "$folder/base/$id/heartbeat.json"
cp manifest.json "$folder/$manifest"
touch -d '9 days ago' "$folder/$manifest"
meanwhile "begun anew" "GET *$id/started.json 1 1 swap=$T/started.json" # by repository-sync: the manifest is gone already
cp manifest.json "$folder/$manifest"
script "GET *$manifest 2 1 status=404 code=NoSuchKey" # and one that is gone when the note is there
expect_status 1 basebackup-pin "$id"
expect_output "backup $id was removed while it was being pinned"
script
expect_status 0 basebackup-pin "$id"
expect_status 0 basebackup-pin --remove "$id"
cp "$folder/notes/$id.00000001.json" pin.json
meanwhile pinned "GET *notes/$id.00000002.json 2 1 swap=$T/pin.json"
expect_true "its manifest" test -e "$folder/$manifest"
expect_status 0 basebackup-pin --remove "$id"
pin_during() { # LINE-OF-THE-SCRIPT STATUS: when that request was answered, but expire does not know it yet
    script "$1 delay=2000"
    basebackup-expire >expire.log 2>&1 &
    expire=$!
    wait_until 20 "the request" grep -q "fault=" "$T/faults/requests"
    expect_status "$2" basebackup-pin "$id"
    wait $expire || fail "$(cat expire.log)"
    expect_true "that it stays is told" grep -q "backup $id has been pinned meanwhile: it stays" expire.log
    expect_true "its manifest" test -e "$folder/$manifest"
    script
    expect_status 1 basebackup-pin "$id" # started.json has gone meanwhile: a second call knows when no run is so old
    touch -d '8 days ago' "$folder/notes/$id".*
    expect_status 0 basebackup-pin "$id"
    expect_output "was pinned already"
    expect_status 0 basebackup-pin --remove "$id"
    cp started.json "$folder/base/$id"
}
pin_during "LIST *notes/$id* 1 1" 0
pin_during "DELETES - 1 1" 1
cp -a "$objects" kept
sed -i 's/^request_timeout = .*/request_timeout = 20/; s/^store_timeout = .*/store_timeout = 30/' "$CONFIG"
script "LIST *notes/$id* 2 1 delay=5000" # it has asked for the last time, and the manifest goes
basebackup-expire >expire.log 2>&1 &
expire=$!
wait_until 20 "the request" grep -q "fault=" "$T/faults/requests"
expect_status 1 basebackup-pin "$id"
expect_status 1 basebackup-pin "$id"
expect_output "started.json of backup $id is missing"
wait $expire || fail "$(cat expire.log)"
expect_equal "backups" "${ids[1]}" "$(folders)"
rm -r "$objects" && mv kept "$objects"
script
expect_status 0 basebackup-expire
expect_equal "backups" "${ids[1]}" "$(folders)"
expect_equal "segments" 6 "$(segments)"

step "begun while manifests were removed: its WAL stays, however old"
make_repository "$four"
python3 "$here/synthetic.py" "$T/begun" <<<"backup 1 5 5 0 unfinished" >begun.id
script "DELETES - 1 1 delay=1500"
basebackup-expire >begun.log 2>&1 &
expire=$!
wait_until 20 "its first removal" grep -q '^DELETES' "$T/faults/requests"
cp -r "$T/begun/main/$system/base/$(<begun.id)" "$folder/base"
wait $expire || fail "$(cat begun.log)"
expect_equal "backups" "${ids[3]} $(<begun.id)" "$(folders)"
expect_equal "segments" 41 "$(segments)"

step "the store's clock counts, not this machine's"
use "keep_wal = 2 days"
make_repository "$four"
script "set clock $((4 * 86400))" # by the store all of them are older than that; the newest is five days old
expect_status 0 basebackup-expire --dry-run
expect_output "stays  backup ${ids[3]}.*newest"
expect_output "goes   backup ${ids[2]}"
script "set clock $((400 * 86400))" # backups have stopped, or it jumped
expect_status 0 basebackup-expire --dry-run
expect_output "no backup has been completed for long"
expect_output "stays  backup ${ids[2]}"

# ---- killed

step "killed anywhere: nothing that must stay is harmed, and the next run does the rest"
use "keep_last = 2
orphan_age = 1 hours"
for round in $(seq $((FULL ? 60 : 10))); do # it deletes with ten requests
    make_repository "$four"
    script "DELETES - $(((round - 1) % 10 + 1)) 1 $([ $((round % 3)) = 0 ] && echo hang=start || echo hang=answer)"
    basebackup-expire >killed.log 2>&1 &
    expire=$!
    wait_until 20 "its last request" grep -Eq 'DELETES.*fault|fault=' "$T/faults/requests"
    kill -KILL $expire
    wait $expire 2>/dev/null || true
    expect_whole
    script
    expect_status 0 basebackup-expire
    expect_expired
done
