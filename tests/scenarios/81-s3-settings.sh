#!/bin/bash
# goal: what the settings add to each kind of request (encryption, storage class, tags, lock, checksum, payer, owner, further headers), signed, and AWS's refusals told with their way out
# stores: none
# limit: 300
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"

step "a server that archives to a fault server behind TLS"
authority ca && certificate server ca IP:127.0.0.1
fault_server faults server.pem
objects=$T/faults/objects/$S3_BUCKET/$S3_PREFIX
config_write $'connect_timeout = 2\nrequest_timeout = 5\n[basebackup]\nstore_timeout = 10\nwal_timeout = 20\njobs = 2'
cp "$CONFIG" plain.conf
server_create main --wal-segsize=1
head -c 17500000 /dev/urandom >main/large # goes in parts of its own
server_start main
system=$(system_identifier main)
use() { # LINE...: the settings of the repository
    { sed '/^\[basebackup\]/,$d' plain.conf && printf '%s\n' "$@" && sed -n '/^\[basebackup\]/,$p' plain.conf; } >"$CONFIG.new"
    chmod 600 "$CONFIG.new"
    mv "$CONFIG.new" "$CONFIG"
}
id_of_last() { basebackup-list --json | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' | tail -1; }
# sent N OPERATION KEY-PATTERN HEADER: of all requests of this kind (at least one; N = all, none or a number) so many have it
sent() {
    local lines with
    lines=$(awk -v op="$2" '$1 == op' faults/requests | awk -v pattern="$3" '$2 ~ pattern')
    with=$(grep -Ec -- " $4" <<<"$lines" || true)
    expect_true "there are requests $2 $3" test -n "$lines"
    case $1 in
    all) expect_equal "$2 $3 with $4" "$(wc -l <<<"$lines")" "$with" ;;
    none) expect_equal "$2 $3 with $4" 0 "$with" ;;
    esac
}
fresh() { # a new repository; "$@": lines of the script
    bucket_empty
    rm -rf state
    script "$@"
}
all_of_it() { # init, archive, backup (with an upload in parts), list, restore, check
    expect_status 0 repository-init
    archived main
    expect_status 0 basebackup-push --checkpoint=fast
    id=$(id_of_last)
    rm -rf restored
    expect_status 0 basebackup-fetch --backup="$id" -D restored
    expect_same "the large file" main/large restored/large
    expect_status 0 repository-check
}

step "what nobody asks for is not sent"
fresh "set checksums refused"
use
all_of_it
expect_requests 0 ".* (x-amz-(server|storage|tagging|object-lock|checksum|request-payer|expected)|content-md5)"

step "encryption in the store, storage classes, tags"
fresh
use "sse = s3" "storage_class = STANDARD_IA" "storage_class_wal = GLACIER_IR" "tags = team=db&cost=4%2F7"
all_of_it
sent all PUT . "x-amz-server-side-encryption=AES256"
sent all CREATE . "x-amz-server-side-encryption=AES256"
sent none GET . x-amz-server
sent none PART . x-amz-server
sent all PUT '/wal/[0-9A-F]*/[0-9A-F]*$' "x-amz-storage-class=GLACIER_IR"
sent all PUT '/main-[0-9]*$' "x-amz-storage-class=STANDARD_IA"
sent all CREATE '/main-[0-9]*$' "x-amz-storage-class=STANDARD_IA"
sent all CREATE '/main-[0-9]*$' "x-amz-tagging=team=db&cost=4%2F7"
sent none PUT '(json|/files)$' x-amz-storage-class
for key in '/wal/[0-9A-F]*/[0-9A-F]*$' '/main-[0-9]*$' '/manifest.json$' '/cluster.json$' '/files$'; do sent all PUT "$key" "x-amz-tagging=team=db&cost=4%2F7"; done
sent none PUT '/(heartbeat.json|probe-.*)$' x-amz-tagging
sent none PUT '.' x-amz-object-lock
sent none PUT '.' x-amz-checksum
use "sse = kms" "sse_kms_key_id = arn:aws:kms:eu-1:111122223333:key/1234-abcd"
fresh
all_of_it
sent all PUT . "x-amz-server-side-encryption=aws:kms"
sent all CREATE . "x-amz-server-side-encryption-aws-kms-key-id=arn:aws:kms:eu-1:111122223333:key/1234-abcd"
expect_requests 0 ".* x-amz-tagging"

step "a customer's key goes with everything that reads or writes content"
head -c 32 /dev/urandom | base64 >customer.key
head -c 32 /dev/urandom >other.key
chmod 600 customer.key other.key
use "sse = customer" "sse_customer_key_file = $T/customer.key"
fresh
all_of_it
for operation in PUT CREATE PART COMPLETE GET HEAD; do # repository-check's first question is for nothing
    sent all $operation "main/([^p]|probe-.*$([ $operation != GET ] || echo x))" "x-amz-server-side-encryption-customer-algorithm=AES256"
done
for operation in LIST DELETE; do sent none $operation . "x-amz-server-side-encryption"; done
script "GET */main-* 1 1 close=middle"
rm -rf restored
expect_status 0 basebackup-fetch --backup="$id" -D restored
expect_requests 1+ "GET [^ ]*/main-[0-9]* 206 .*x-amz-server-side-encryption-customer-algorithm=AES256" # gone on with, in a range
customer_key=$(cat customer.key)
hex=$(base64 -d customer.key | xxd -p -c 64)
echo "$hex" >hex.key && base64 -d customer.key >raw.key
chmod 600 hex.key raw.key
secret_in "the customer's key" raw.key
secret_in "the other key" other.key
secret_place 'private:*.key'
for form in hex raw; do
    use "sse = customer" "sse_customer_key_file = $T/$form.key"
    expect_status 0 basebackup-list
    expect_output "$id"
done

step "without it, or with another one, it is a matter of configuration, and not damage"
use
rm -rf state
expect_status 1 basebackup-list
expect_output "sse = customer"
expect_equal "talk of damage" 0 "$(grep -ci "damage" <<<"$output" || true)"
mkdir -p target/pg_wal
cp -r main/global main/PG_VERSION target/ && touch target/recovery.signal
cd target
expect_status 200 wal-fetch "$(S 2)" pg_wal/RECOVERYXLOG
expect_output "sse_customer_key_file"
cd ..
use "sse = customer" "sse_customer_key_file = $T/other.key"
expect_status 1 basebackup-verify --full
expect_output "sse_customer_key_file names another key"
expect_equal "talk of damage" 0 "$(grep -ci "is damaged" <<<"$output" || true)"

step "an interrupted backup copies parts within the bucket: with both keys, and with what belongs to a new object"
use "sse = customer" "sse_customer_key_file = $T/customer.key" "storage_class = ONEZONE_IA" "object_lock = governance" "object_lock_days = 3" "tags = team=db"
fresh "set bucketlock on" "PUT *manifest.json 1 1 status=403 code=AccessDenied"
expect_status 0 repository-init
archived main
expect_status 1 basebackup-push --checkpoint=fast
script "set bucketlock on"
expect_status 0 basebackup-push --checkpoint=fast
sent all COPY . "x-amz-copy-source-server-side-encryption-customer-key-md5"
sent all COPY . "x-amz-server-side-encryption-customer-key-md5"
sent all COPY . "x-amz-storage-class=ONEZONE_IA"
sent all COPY . "x-amz-tagging=team=db"
sent all COPY . "x-amz-tagging-directive=REPLACE" # the tags of the source would take s3:GetObjectTagging
sent all COPY . "x-amz-object-lock-mode=GOVERNANCE"

step "object lock: on WAL, backups and documents, with the checksum that AWS then demands"
use "object_lock = compliance" "object_lock_days = 30"
fresh "set bucketlock on" "set versions on"
all_of_it
until=$(date -u -d '+30 days' +%F)
for key in '/wal/[0-9A-F]*/[0-9A-F]*$' '/main-[0-9]*$' '/manifest.json$' '/cluster.json$' '/started.json$' '/files$'; do
    sent all PUT "$key" "x-amz-object-lock-mode=COMPLIANCE"
    sent all PUT "$key" "x-amz-object-lock-retain-until-date=($until|$(date -u -d '+30 days -10 minutes' +%F))T"
done
sent all CREATE '/main-' "x-amz-object-lock-mode=COMPLIANCE"
sent all CREATE '/main-' "x-amz-checksum-algorithm=SHA256"
sent all PUT . "x-amz-checksum-sha256="
sent all PART . "x-amz-checksum-sha256="
sent none PUT '/(heartbeat.json|probe-.*)$' x-amz-object-lock
sent none PART . x-amz-object-lock

step "checksums when asked for, without a lock"
use "checksum = sha256"
fresh
all_of_it
sent all PUT . "x-amz-checksum-sha256="
sent all PART . "x-amz-checksum-sha256="
expect_requests 0 ".* x-amz-object-lock"

step "a default retention that the settings do not know of: each call finds out, says what to set, and goes on"
use
fresh "set bucketlock COMPLIANCE:30" "set versions on"
expect_status 0 repository-init
expect_output "Set checksum = sha256"
archived main
script "set bucketlock COMPLIANCE:30" "set versions on"
expect_status 0 basebackup-push --checkpoint=fast
expect_equal "warnings" 1 "$(grep -c "takes nothing without a checksum" <<<"$output")"
rm -rf restored
expect_status 0 basebackup-fetch --backup="$(id_of_last)" -D restored
expect_same "the large file" main/large restored/large
fresh "set bucketlock COMPLIANCE:30" "set versions on"
use "checksum = sha256"
expect_status 0 repository-init
archived main
expect_status 0 basebackup-push --checkpoint=fast
expect_equal "warnings" 0 "$(grep -c "takes nothing without a checksum" <<<"$output" || true)"

step "who pays, whose bucket it is, and further headers: with each request"
use "requester_pays = yes" "expected_bucket_owner = 111122223333" "header.x-amz-acl = bucket-owner-full-control" "header.x-audit-ticket = DB 42"
fresh "set payer on" "set owner 111122223333"
all_of_it
for operation in PUT GET LIST DELETE CREATE PART COMPLETE HEAD; do
    sent all $operation . "x-amz-request-payer=requester"
    sent all $operation . "x-amz-expected-bucket-owner=111122223333"
    sent all $operation . "x-amz-acl=bucket-owner-full-control"
    sent all $operation . "x-audit-ticket=DB_42"
done
use "requester_pays = yes"
script "set payer on" "set owner 444455556666"
expect_status 0 basebackup-list
use "expected_bucket_owner = 111122223333"
expect_status 1 basebackup-list
expect_output "not that of account 111122223333"

step "AWS's refusals are told with what to set"
refused() { # PATTERN SCRIPT LINE...
    local pattern=$1 lines=$2
    shift 2
    fresh "$lines"
    use "$@"
    expect_status 1 repository-init
    output=${output//$'\n'/ }
    expect_output "$pattern"
    expect_equal "blame for the condition" 0 "$(grep -c "seems to refuse the header" <<<"$output" || true)"
}
refused "ObjectLockConfiguration.*object_lock" "" "object_lock = governance" "object_lock_days = 1"
refused "KMS.NotFound.*sse" "" "sse = kms" "sse_kms_key_id = missing"
refused "AccessDenied.*s3:PutObjectRetention" "PUT *cluster.json 1 - status=403 code=AccessDenied" "object_lock = governance" "object_lock_days = 1"
fresh
use "storage_class_wal = SLOW"
expect_status 0 repository-init
cd main
expect_status 1 wal-push "pg_wal/$(ls pg_wal | grep -E '^[0-9A-F]{24}$' | head -1)"
expect_output "InvalidStorageClass"
expect_output "storage_class_wal"
cd ..

step "a pin's legal holds fail half-way: it is pinned, and the same call again does the rest; taken off half-way, it is still pinned"
use "object_lock = governance" "object_lock_days = 1"
fresh "set bucketlock on" "set versions on"
expect_status 0 repository-init
archived main
expect_status 0 basebackup-push --checkpoint=fast
id=$(id_of_last)
script "set bucketlock on" "set versions on" "HOLD * 3 - status=403 code=AccessDenied"
expect_status 1 basebackup-pin "$id"
expect_output "2 objects of backup $id have been seen to; the same command again"
expect_output "s3:PutObjectLegalHold"
expect_true "it is pinned" grep -q '"pinned": true' <<<"$(basebackup-list --json)"
script "set bucketlock on" "set versions on"
expect_status 0 basebackup-pin "$id"
expect_output "was pinned already, its objects and WAL have a legal hold"
objects_of=$(find "$objects/main/$system/base/$id" -type f ! -name heartbeat.json | wc -l)
expect_requests "$objects_of" "HOLD [^ ]*/base/.* 200 .*x-amz-checksum-sha256="
expect_requests 1+ "HOLD [^ ]*/wal/.* 200 .*x-amz-checksum-sha256="
expect_requests 1 "HOLD [^ ]*/cluster.json 200 .*x-amz-checksum-sha256="
script "set bucketlock on" "set versions on" "HOLD * 3 - status=503 code=SlowDown"
expect_status 1 basebackup-pin --remove "$id"
expect_true "it is pinned" grep -q '"pinned": true' <<<"$(basebackup-list --json)"
script "set bucketlock on" "set versions on"
expect_status 0 basebackup-pin --remove "$id"
expect_requests "$objects_of" "HOLD [^ ]*/base/.* 200"
expect_requests 1 "HOLD [^ ]*/cluster.json 200"
expect_status 0 basebackup-list
archived main
script "set bucketlock on" # what is stored now has no version id
expect_status 0 basebackup-push --checkpoint=fast
second=$(id_of_last)
script "set bucketlock on" "set versions on"
expect_status 0 basebackup-pin "$id"
script "set bucketlock on" "set versions on" "HOLD */base/$id/* 1 1 delay=4000"
basebackup-pin --remove "$id" >remove.log 2>&1 & # it has looked which others are pinned: none is yet
pid=$!
wait_until 20 "the first hold that is taken off" grep -q "^HOLD" faults/requests
expect_status 0 basebackup-pin "$second"
expect_requests 1+ "HOLD [^ ]*/base/$second/[^ ]* 200 versionId=null"
expect_requests 0 "HOLD [^ ]*/base/$second/[^ ]* 200 x-amz" # of the newest version, whichever that is
wait $pid || fail "$(<remove.log)"
expect_equal "cluster.json, which both need" "cluster.json >ON<" "$(s3 holds "$S3_PREFIX/main/cluster.json")"
script "set bucketlock on" "set versions on"
expect_status 0 basebackup-pin --remove "$second"
script "set bucketlock on" "set versions on"
expect_status 0 basebackup-pin "$id"
wal=$(awk '$1 == "HOLD" && $2 ~ "/wal/" { print $2; exit }' faults/requests)
expect_status 0 basebackup-pin --remove "$id"
s3 delete "$wal" # a marker: the content is below it
expect_status 0 basebackup-pin "$id"
expect_equal "the hold below the marker" 1 "$(s3 holds "$wal" | grep -c ">ON<")"
expect_status 0 basebackup-pin --remove "$id"
s3 versions "$wal" >versions
while read -r version _ key; do s3 delete "$key" "$version"; done <versions
expect_status 1 basebackup-pin "$id"
expect_output "1 segment of the WAL that backup $id needs is missing"
expect_requests 1+ "HOLD [^ ]*/cluster.json 200" # the rest is held
script "set versions on"
expect_status 1 basebackup-pin "$id"
expect_output "legal_hold = no"
expect_requests 0 "HOLD "

step "a store that takes the request for a legal hold as the object's new content is not asked for one"
content() { find "$objects/main/$system/base" "$objects/main/$system/wal" -type f -exec sha256sum {} + | sort; }
content >before
script "set versions on" "set subresources ignored"
expect_status 1 basebackup-pin "$id"
expect_output "has no object lock, so there can be no legal hold"
content >after
expect_same "what is stored" before after
script "set versions on" "LOCK - 1 1 status=403 code=SignatureDoesNotMatch"
expect_status 1 basebackup-pin "$id"
expect_output "SignatureDoesNotMatch"
expect_equal "talk of grants to the bucket" 0 "$(grep -c "Grant s3:GetBucketObjectLock" <<<"$output" || true)"
script "set versions on" "LOCK - 1 1 status=403 code=AccessDenied"
expect_status 1 basebackup-pin "$id"
expect_output "s3:GetBucketObjectLockConfiguration"
expect_requests 0 "HOLD "

step "no secret key of the customer in a log, at any level"
use "sse = customer" "sse_customer_key_file = $T/customer.key"
fresh
expect_status 0 repository-init --verbose
archived main
expect_status 0 basebackup-push --checkpoint=fast --verbose
expect_equal "the key in what was said" 0 "$(cat - main.log <<<"$output" | grep -cFe "$customer_key" -e "$hex" || true)"
server_stop main
