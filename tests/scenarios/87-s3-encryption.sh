#!/bin/bash
# goal: SSE-KMS and SSE-C at a real store: WAL, backups with uploads in parts, ranged reads, restores, verification and copies between the two; each object is encrypted there; a key that is wrong, missing or unknown to the store is a matter of configuration, and never damage or an end
# stores: s3
# limit: 240
. "$(dirname "$0")/../lib.sh"
[ "$S3_SERVER" != swift ] || skip "Swift encrypts nothing"

key_write customer.key
key_write other.key
config_write
sed -n '/^\[repository here\]/,$d; p' "$CONFIG" >head.conf
sed -n '/^url/,$p' "$CONFIG" >place.conf
section() { # NAME LINE...
    printf '[repository %s]\n' "$1" && sed "s|^url = .*|&/$1|" place.conf && shift && printf '%s\n' "$@"
}
use() { # NAME OF KEY FILE, or - for none, [KMS-KEY]: both repositories, and one that a copy goes to
    local customer=("sse = customer" "sse_customer_key_file = $T/$1")
    [ "$1" != - ] || customer=()
    {
        cat head.conf
        section kms "sse = kms" "sse_kms_key_id = ${2:-$S3_KMS_KEY}"
        section customer "${customer[@]}"
        printf '[basebackup]\njobs = 2\n'
    } >"$CONFIG"
    { sed '/^\[basebackup\]/,$d' "$CONFIG" && section copy "sse = kms" "sse_kms_key_id = $S3_KMS_KEY"; } >copy.conf
    chmod 600 "$CONFIG" copy.conf
    rm -rf state
}
names() { s3 list "$S3_PREFIX/$1/" | cut -d' ' -f1; } # REPOSITORY
not_damage() { expect_equal "talk of damage" 0 "$(grep -Eci "is damaged|damage found|differ" <<<"$output" || true)"; }

step "a server that archives to both, and a backup with a file that goes in parts"
use customer.key
server_create main --wal-segsize=1
head -c 17500000 /dev/urandom >main/large
server_start main
system=$(system_identifier main)
expect_status 0 repository-init
expect_status 0 repository-check
expect_output "the store says that it encrypts, as sse = kms asks \(aws:kms\)"
expect_output "the store says that it encrypts, as sse = customer asks \(AES256\)"
sql main "create table t as select generate_series(1, 1000) i"
archived main
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")
sql main "insert into t select generate_series(1001, 2000)"
segment=$(sql main "select pg_walfile_name(pg_current_wal_lsn())")
archived main
mkdir -p from/pg_wal from/global target/pg_wal target/global # the server recycles it
cp "main/pg_wal/$segment" from/pg_wal/
for place in from target; do cp main/global/pg_control $place/global/ && cp main/PG_VERSION $place/; done
touch target/recovery.signal

step "each object is encrypted in the store, with that key"
for name in $(names kms); do
    expect_equal "$name" "aws:kms $S3_KMS_KEY" "$(s3 head "$name" | sed -n 's/^x-amz-server-side-encryption: //p; s/^x-amz-server-side-encryption-aws-kms-key-id: //p' | xargs)"
done
for name in $(names customer); do
    expect_equal "$name without the key" 400 "$(s3 head "$name" | sed -n 1p)"
done
expect_equal "a GET without the key" 400 "$(s3 request GET "$name" | sed -n 1p)"
for kind in /wal/ /base/ large; do expect_true "$kind" test "$([ $kind != large ] || kind='main-'; names customer | grep -c "$kind")" -gt 0; done

step "what is read in ranges: the same segment again, one file, lists"
for kind in kms customer; do
    rm -rf state # else it knows that it has pushed it
    cd from && expect_status 0 wal-push --repository $kind "pg_wal/$segment" && cd ..
    rm -f one
    expect_status 0 basebackup-fetch --repository $kind --backup "$id" --file PG_VERSION --output one
    expect_same "PG_VERSION" main/PG_VERSION one
    expect_status 0 basebackup-list --repository $kind
    expect_output "$id"
    expect_status 0 recovery-window --repository $kind
done

step "restored from each, and recovered"
for kind in kms customer; do
    rm -rf restored
    expect_status 0 basebackup-fetch --repository $kind --backup "$id" -D restored
    expect_same "the large file" main/large restored/large
    expect_status 0 recovery-config --repository $kind -D restored
    server_settings restored >>restored/postgresql.conf
    server_start restored
    wait_open restored
    expect_equal "rows" 2000 "$(sql restored "select count(*) from t")"
    server_stop restored immediate
done
expect_status 0 basebackup-verify --full

step "copied from one to the other kind"
export WALFERRY_CONFIG=$T/copy.conf
expect_status 0 repository-init --repository copy
expect_status 0 repository-sync --from customer --to copy
expect_status 0 basebackup-verify --full --repository copy
export WALFERRY_CONFIG=$CONFIG

step "a backup that is interrupted, and gone on with"
sed -i '$a split_size = 3MB' "$CONFIG"
basebackup-push --checkpoint=fast --no-resume --jobs 1 --max-rate 8MB >interrupted.log 2>&1 &
push=$!
wait_until 60 "the large file's pieces" eval 'grep -q "\"large\".*\"of\":" state/backup-*.index-*'
kill $push && ! wait $push
expect_status 0 basebackup-push --checkpoint=fast
second=$(tail -1 <<<"$output")
expect_output "HTTP 501 NotImplemented" # Ceph copies no encrypted objects
expect_output "the rest is sent again"
for kind in kms customer; do
    rm -rf restored
    expect_status 0 basebackup-fetch --repository $kind --backup "$second" -D restored
    expect_same "the large file" main/large restored/large
done

step "what came to lie over a WAL file in a bucket that keeps versions is put back, without a copy in the store"
bucket=sealed-$RANDOM
s3 make-bucket "$bucket" lock
key=$S3_PREFIX/versions/main/$system/wal/${segment:0:16}/$segment
{ sed '/^\[basebackup\]/,$d' "$CONFIG" && section versions "sse = customer" "sse_customer_key_file = $T/customer.key" | sed "s|s3://[^/]*|s3://$bucket|"; } >versions.conf
chmod 600 versions.conf
export WALFERRY_CONFIG=$T/versions.conf
expect_status 0 repository-init --repository versions
cd from && expect_status 0 wal-push --repository versions "pg_wal/$segment" && cd ..
head -c 5000 /dev/urandom >garbage
s3 -b "$bucket" put "$key" garbage
cd from && rm -rf ../state && expect_status 0 wal-push --repository versions "pg_wal/$segment" && cd ..
expect_output "is put back"
cd target && expect_status 0 wal-fetch --repository versions "$segment" pg_wal/RECOVERYXLOG && cd ..
expect_same "the segment" "from/pg_wal/$segment" target/pg_wal/RECOVERYXLOG
rm target/pg_wal/RECOVERYXLOG
expect_equal "without the key" 400 "$(s3 -b "$bucket" head "$key" | sed -n 1p)"
export WALFERRY_CONFIG=$CONFIG

step "a KMS key that the store does not know"
use customer.key no-such-key
expect_status 1 basebackup-push --checkpoint=fast --repository kms
expect_output "Check sse_kms_key_id in section \[repository kms\]"
expect_status 0 basebackup-list --repository kms # whose key the object itself names
expect_output "$second"

step "a store that ignores what it is asked for (Ceph 16 knows no SSE-S3) is found out"
sed -i 's/^sse = kms/sse = s3/; /^sse_kms_key_id/d' "$CONFIG"
expect_status 1 repository-check --repository kms
expect_output "FAILS  sse = s3 is set, but the store does not say that it encrypts"
use customer.key

step "another key, and none: a matter of configuration; no end of WAL, no damage, nothing stored"
names customer >names.before
expect_refusals() { # PATTERN
    local command
    for command in "basebackup-list" "basebackup-verify --full" "basebackup-fetch -D $T/nowhere" "recovery-window" "basebackup-push --checkpoint=fast"; do
        # shellcheck disable=SC2086
        expect_status 1 $command --repository customer
        expect_output "$1"
        not_damage
    done
    cd target && rm -rf ../state
    expect_status 200 wal-fetch --repository customer "$segment" pg_wal/RECOVERYXLOG
    expect_output "$1"
    not_damage
    expect_status 200 wal-fetch --repository customer 00000002.history pg_wal/RECOVERYHISTORY
    cd ../from && rm -rf ../state
    expect_status 1 wal-push --repository customer "pg_wal/$segment"
    expect_output "$1"
    not_damage
    cd ..
}
use other.key
expect_refusals "sse_customer_key_file .*names another key"
use -
expect_refusals "sse = customer"
names customer >names.after
expect_same "objects" names.before names.after
server_stop main
