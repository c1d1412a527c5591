#!/bin/bash
# goal: where each request takes long the trailers of a log are read several at a time; basebackup-expire, repository-sync and a full basebackup-verify write its index, but not of what expires, nor where nothing is to be changed
# stores: none
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"

system=7400000000000000001
fault_server faults
objects=$T/faults/objects/$S3_BUCKET
place() { # NAME: a section of the configuration
    printf '[repository %s]\nurl = s3://%s/%s\nregion = %s\nendpoint = %s\naccess_key = %s\nsecret_key = %s\nkeep_last = 1\n' \
        "$1" "$S3_BUCKET" "$1" "$S3_REGION" "$S3_ENDPOINT" "$S3_ACCESS_KEY" "$S3_SECRET_KEY"
}
printf '[cluster]\nname = main\nstate_dir = %s\n%s\n%s\n' "$T/state" "$(place here)" "$(place there)" >"$CONFIG"
chmod 600 "$CONFIG"
make_repository() { # LINES: here; there is nothing yet
    rm -rf "$objects" && mkdir -p "$objects/there/main"
    python3 "$here/synthetic.py" "$objects/here" <<<"$1"
    cp "$objects/here/main/cluster.json" "$objects/there/main"
}
index() { echo "$objects/$1/main/$system/index"; } # REPOSITORY
expect_indexes() { # REPOSITORY LOG...
    expect_equal "indexes $1" "${*:2}" "$(ls "$(index "$1")" 2>/dev/null | paste -sd' ')"
}
expect_quick() { # SECONDS COMMAND...: one request after the other would take longer
    local began=$SECONDS
    expect_status 0 "${@:2}"
    expect_true "at most $(slowly "$1") s ($((SECONDS - began)))" test $((SECONDS - began)) -le "$(slowly "$1")"
}

step "a log of 256 segments over a long line"
delay=130
[ -z "$FULL" ] || delay=2300 # time is up amid the log: it is gone on with
make_repository "told 1 0 260"
script "GET *wal/* 1 - delay=$delay"
expect_status 0 basebackup-expire --repository here --dry-run
expect_indexes here
expect_quick $((delay / 10)) basebackup-expire --repository here
expect_indexes here 0000000100000000
expect_requests 256 "GET .*/wal/.* range="
expect_equal "lines" 257 "$(lz4 -dcq "$(index here)/0000000100000000" | wc -l)"
expect_equal "a warning" 0 "$(grep -c warning <<<"$output" || true)"

step "a copy has its own" # its segments are there, since those here hold nothing that would be copied
script
mkdir "$objects/there/main/$system"
cp -r "$objects/here/main/$system/wal" "$objects/there/main/$system"
expect_status 0 repository-sync --from here --to there --dry-run
expect_indexes there
expect_status 0 repository-sync --from here --to there
expect_indexes there 0000000100000000
expect_same "the index" "$(index here)/0000000100000000" "$(index there)/0000000100000000"

step "and who reads all of it writes what is missing"
rm "$(index there)/0000000100000000"
expect_status 0 basebackup-verify --wal --repository there
expect_indexes there
expect_status 1 basebackup-verify --wal --full --repository there # they are not what a server wrote
expect_indexes there 0000000100000000
if [ -n "$FULL" ]; then
    rm "$(index there)/0000000100000000"
    script "PUT *index/* 1 - status=403 code=AccessDenied"
    expect_status 1 basebackup-verify --wal --full --repository there
    expect_equal "a word of it" 0 "$(grep -c "AccessDenied\|could not all be written" <<<"$output" || true)"
    expect_indexes there
fi

step "not of what expires" # of log 1 the first segments go; log 2 stays as it is, and log 3 grows
make_repository "told 1 0 780
backup 1 300 301 0.5"
script
expect_status 0 basebackup-expire --repository here
expect_indexes here 0000000100000002
expect_equal "the first segment" 00000001000000010000002C "$(ls "$objects/here/main/$system/wal/0000000100000001" | head -1)"

step "what has none is read several at a time, too"
rm "$(index here)/0000000100000002"
script "GET *wal/* 1 - delay=50"
expect_quick 12 recovery-window --repository here
expect_output "latest +before .*, the time of the last commit"
expect_true "at least 256 trailers" test "$(requests "GET .*/wal/.* range=")" -ge 256

step "a backup after the other is passed over: what there is of WAL is listed once more, not for each of them"
make_repository "told 1 0 60
backup 1 10 11 5
backup 1 20 21 4
backup 1 30 31 3
backup 1 40 41 2"
for number in 20 30 40; do rm "$objects/here/main/$system/wal/0000000100000000/$(S $number)"; done
script
expect_status 1 basebackup-fetch --repository here -D "$T/base" --target-time "$(date -u -d '1 day ago 15 seconds' '+%F %T+00')" # no part holds anything
expect_equal "passed over" 3 "$(grep -c "is passed over" <<<"$output")"
expect_output "restoring backup .*-00000001-000000000A001000"
expect_requests 2 "LIST .*/wal/00000001"
