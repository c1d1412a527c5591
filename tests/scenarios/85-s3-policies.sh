#!/bin/bash
# goal: the four policies of docs/policies at a real store: each role can do its job, in a plain bucket and in one with object lock, and what it must not do is refused, and said with what is missing
# stores: s3
# limit: 300
. "$(dirname "$0")/../lib.sh"
[ "$S3_SERVER" != swift ] || skip "Swift has no bucket policies"
[ -z "$S3_ROLE" ] || skip "it has roles of its own"

server_create main
config_write
cp "$CONFIG" base.conf
server_start main
system=$(system_identifier main)

as() { # ROLE ("owner": who made the bucket): the guest gets that policy, and the programs its key
    local role=$1
    cp owner.conf "$CONFIG"
    [ "$role" != owner ] || return 0
    "$SOURCE/tests/policy" "$role" "$bucket" "$S3_PREFIX" >policy.json
    expect_true "policy $role" grep -Eq "^20[04]" <<<"$(s3 -b "$bucket" request PUT "?policy" policy.json)"
    sed -i "s|^access_key.*|access_key = $S3_GUEST_ACCESS_KEY|; s|^secret_key.*|secret_key = $S3_GUEST_SECRET_KEY|" "$CONFIG"
    rm -rf state
}
refused() { # PATTERN COMMAND...: for want of a right
    local pattern=$1
    shift
    expect_status 1 "$@"
    expect_output "AccessDenied|403"
    expect_output "$pattern"
}
raw() { # EXPECTED-STATUS METHOD PATH: with the guest's key
    expect_equal "$2 $3" "$1" "$(S3_ACCESS_KEY=$S3_GUEST_ACCESS_KEY S3_SECRET_KEY=$S3_GUEST_SECRET_KEY s3 -b "$bucket" request "$2" "$3" | sed -n 1p)"
}
unarchived() { # NUMBER: a segment that nobody has archived, in copy/
    mkdir -p copy/global copy/pg_wal
    cp main/global/pg_control copy/global/ && cp main/PG_VERSION copy/
    name=$(printf '00000001000000A0000000%02X' "$1")
    head -c 16777216 /dev/zero >"copy/pg_wal/$name"
    dd if="$(find main/pg_wal -maxdepth 1 -name '00000001????????????????' | sort | head -1)" of="copy/pg_wal/$name" bs=40 count=1 conv=notrunc status=none
    # the page's own address: segment number * 16 MiB
    printf "\\x00\\x00\\x00\\x$(printf %02x "$1")\\xa0\\x00\\x00\\x00" | dd of="copy/pg_wal/$name" bs=1 seek=8 conv=notrunc status=none
}

roles_in() { # WHAT SETTINGS WHAT-EXPIRY-LACKS: the matrix
    local what=$1 id
    # the guest is another account than the bucket's: without the header what it stores would be its own
    { cat base.conf && printf '%s\nheader.x-amz-acl = bucket-owner-full-control\n' "$2"; } >owner.conf
    sed -i "s|^url = s3://[^/]*|url = s3://$bucket|" owner.conf
    chmod 600 owner.conf
    as owner
    rm -rf state
    expect_status 0 repository-init

    step "$what: the archiver stores, and deletes nothing"
    as archiver
    expect_status 0 repository-check
    expect_output "deleting does not work"
    expect_output "an upload that is not completed can be given up"
    archived main
    expect_status 0 basebackup-push --checkpoint=fast
    id=$(basebackup-list --json | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' | tail -1)
    cd main && expect_status 0 wal-push "pg_wal/$(basename "$(s3 -b "$bucket" list "$S3_PREFIX/main/$system/wal/" | sed -n '$s/ .*//p')")" && cd .. # there already
    raw 403 DELETE "$S3_PREFIX/main/$system/base/$id/manifest.json"
    as owner
    expect_status 0 basebackup-push --checkpoint=fast
    as archiver
    refused "$3" basebackup-expire
    as owner
    expect_true "the backup is still there" grep -q "$id" <<<"$(basebackup-list)"

    step "$what: the restorer reads, and stores nothing"
    as restorer
    expect_status 0 repository-check --read-only
    rm -rf restored
    expect_status 0 basebackup-fetch --backup="$id" -D restored
    expect_status 0 recovery-window
    expect_status 1 walferry-status --html status.html --json # never drilled
    expect_output '"is_complete": true'
    mkdir -p target/pg_wal target/global
    cp main/global/pg_control target/global/ && cp main/PG_VERSION target/ && touch target/recovery.signal
    cd target
    expect_status 0 wal-fetch "$(basename "$(sed -n 's/.*(file \([0-9A-F]*\)).*/\1/p' ../restored/backup_label | head -1)")" pg_wal/RECOVERYXLOG
    expect_status 1 wal-fetch 00000007.history pg_wal/RECOVERYHISTORY # missing, and known to be missing
    cd ..
    unarchived $((turn += 1))
    cd copy
    refused "s3:PutObject" wal-push "pg_wal/$name"
    cd ..
    refused "s3:PutObject" basebackup-pin "$id"
    raw 403 DELETE "$S3_PREFIX/main/$system/base/$id/manifest.json"
    raw 403 PUT "$S3_PREFIX/main/$system/base/$id/manifest.json"

    step "$what: the tester also stores reports, and nothing else"
    as tester
    expect_status 0 basebackup-verify --full
    expect_true "there is a report" grep -q "/reports/" <<<"$(s3 -b "$bucket" list "$S3_PREFIX/main/$system/")"
    cd copy
    refused "s3:PutObject" wal-push "pg_wal/$name"
    cd ..
    raw 403 PUT "$S3_PREFIX/main/$system/base/$id/manifest.json"
    raw 403 DELETE "$S3_PREFIX/main/$system/base/$id/manifest.json"

    step "$what: the pruner pins and deletes, and stores neither WAL nor backups"
    as pruner
    cd copy
    refused "s3:PutObject" wal-push "pg_wal/$name"
    cd ..
    expect_status 0 basebackup-pin "$id"
    expect_status 0 basebackup-expire
    expect_true "the pinned backup is still there" grep -q "$id" <<<"$(basebackup-list)"
    expect_status 0 basebackup-pin --remove "$id"
    expect_status 0 basebackup-expire
    raw 403 PUT "$S3_PREFIX/main/$system/base/$id/manifest.json"
}

turn=0
bucket=roles-$RANDOM
s3 make-bucket "$bucket"
roles_in "a plain bucket" "keep_last = 1" s3:DeleteObject
expect_equal "backups" 1 "$(basebackup-list --json | grep -c '"id":')"

bucket=locked-roles-$RANDOM
s3 make-bucket "$bucket" lock
roles_in "a bucket with object lock" $'keep_last = 1\nobject_lock = governance\nobject_lock_days = 1\ntags = team=db' s3:ListBucketMultipartUploads # nothing goes: it is locked
expect_output "locked until"
expect_equal "backups" 2 "$(basebackup-list --json | grep -c '"id":')"
raw 403 DELETE "$S3_PREFIX/main/cluster.json?versionId=$(s3 -b "$bucket" versions "$S3_PREFIX/main/cluster.json" | sed -n 1p | cut -d' ' -f1)"

step "without s3:ListBucket, as with a condition on the prefix, no recovery can begin, and it is said why"
as restorer
sed -i 's/"s3:ListBucket", //' policy.json
s3 -b "$bucket" request PUT "?policy" policy.json >/dev/null
cd target
expect_status 200 wal-fetch 00000007.history pg_wal/RECOVERYHISTORY
expect_output "s3:ListBucket"
cd ..
server_stop main
