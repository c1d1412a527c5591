#!/bin/bash
# goal: S3's ways in (credentials, addressing, TLS), what goes wrong said in plain words, and buckets that keep versions
# stores: s3 swift
. "$(dirname "$0")/../lib.sh"

step "a server's segment to push"
config_write
server_create main
echo "archive_command = ''" >>main/postgresql.conf
server_start main
system=$(system_identifier main)
sql main "create table t (i int)" "select pg_switch_wal()" "insert into t values (1)" "select pg_switch_wal()" >/dev/null
server_stop main
segments=(main/pg_wal/00000001????????????????)
first=$(basename "${segments[0]}") second=$(basename "${segments[1]}")
push() { cd "$T/main" && expect_status "$1" wal-push "pg_wal/${2:-$first}" && cd "$T"; } # STATUS [NAME]
expect_status 0 repository-init
push 0

step "credentials: environment, shared file with a profile"
cp "$CONFIG" good.conf
sed -i '/^access_key/d; /^secret_key/d' "$CONFIG"
push 1
expect_output "credential|key"
AWS_ACCESS_KEY_ID=$S3_ACCESS_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET_KEY push 0
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = wrong\n\n[test]\naws_access_key_id = %s\naws_secret_access_key = %s\n' \
    "$S3_ACCESS_KEY" "$S3_ACCESS_KEY" "$S3_SECRET_KEY" >credentials
chmod 600 credentials
secret_place private:credentials
AWS_SHARED_CREDENTIALS_FILE=$T/credentials AWS_PROFILE=test push 0
AWS_SHARED_CREDENTIALS_FILE=$T/credentials push 1
printf 'credentials_file = %s\nprofile = test\n' "$T/credentials" >>"$CONFIG"
push 0

step "addressing: the bucket in the host's name"
cp good.conf "$CONFIG"
sed -i 's|^endpoint = https://127.0.0.1|endpoint = https://localhost|' "$CONFIG"
push 0
sed -i '/^endpoint/a addressing = virtual' "$CONFIG"
push 0 "$second"
cp good.conf "$CONFIG"
push 0 "$second" # the same object

step "what is wrong is said, and soon; secrets are not said"
wrong() { # WHAT PATTERN SED-SCRIPT
    local began=$SECONDS
    echo "-- $1"
    sed "$3" good.conf >"$CONFIG"
    rm -rf state
    cd main
    expect_status 1 wal-push --verbose "pg_wal/$first"
    cd ..
    expect_output "$2"
    expect_true "at most 17 s" test $((SECONDS - began)) -le "$(slowly 17)"
    expect_equal "secrets in the messages" 0 "$(grep -c "$S3_SECRET_KEY" <<<"$output" || true)"
    cp good.conf "$CONFIG"
}
wrong "a wrong secret" "SignatureDoesNotMatch|AccessDenied" "s/^secret_key.*/secret_key = wrong/" # the latter from a Ceph with STS
wrong "an unknown key" "InvalidAccessKeyId|AccessDenied|SignatureDoesNotMatch" "s/^access_key.*/access_key = NOBODY/"
wrong "no such bucket" "NoSuchBucket" "s|^url = s3://[^/]*|url = s3://nowhere-$SEED|"
wrong "another CA" "certificate" "/^ca_file/d"
wrong "nobody listens" "connect" "s|^endpoint.*|endpoint = https://127.0.0.1:9|"
wrong "not this cluster's prefix" "repository-init" "s|^\(url.*\)|\1/elsewhere|"
sed '/^ca_file/s/.*/tls_verify = no/' good.conf >"$CONFIG"
push 0
cp good.conf "$CONFIG"

step "repository-check says what works and what does not"
expect_status 0 repository-check
cp good.conf "$CONFIG" && sed -i "s/^secret_key.*/secret_key = wrong/" "$CONFIG"
expect_status 1 repository-check
expect_output "SignatureDoesNotMatch|AccessDenied|secret"
cp good.conf "$CONFIG"
object_list >list
expect_equal "objects that the check left behind" "" "$(grep -v "^main/\(cluster.json\|$system/wal/\)" list || true)"

step "a bucket that keeps versions: Ceph ignores the condition there, Swift refuses it, so another content is detected"
sed -i "s|^url = s3://[^/]*|url = s3://versioned|" "$CONFIG"
versioned() { s3 -b versioned "$@"; }
versioned versioning on
expect_status 0 repository-init
expect_status 0 repository-check
expect_output "version"
push 0
push 0
key=$S3_PREFIX/$(wal_key "$first")
expect_equal "versions after the same content twice" 1 "$(versioned versions "$key" | wc -l)"
mkdir -p copy/global copy/pg_wal
cp main/global/pg_control copy/global/ && cp main/PG_VERSION copy/ && cp "main/pg_wal/$first" copy/pg_wal/
printf 'changed' | dd of="copy/pg_wal/$first" bs=1 seek=100000 conv=notrunc status=none
before=$(versioned versions "$key")
cd copy && expect_status 1 wal-push "pg_wal/$first" && cd ..
expect_output "other content|different content"
expect_equal "versions after other content" "$before" "$(versioned versions "$key")"

step "two at once with different content: at most one succeeds, both contents are kept"
cp "main/pg_wal/$second" copy/pg_wal/
printf 'changed' | dd of="copy/pg_wal/$second" bs=1 seek=100000 conv=notrunc status=none
race() { # DIRECTORY NAME
    local status=0
    (cd "$1" && wal-push "pg_wal/$second") >"$2.log" 2>&1 || status=$?
    echo $status >"$2.status"
}
race main one &
race copy two &
wait
cat one.log two.log
echo "exit statuses: $(cat one.status) $(cat two.status)"
expect_true "not both succeed" test "$(cat one.status)$(cat two.status)" != 00
expect_true "no crash" test "$(cat one.status)" -le 1 -a "$(cat two.status)" -le 1

step "a deleted object in a versioned bucket is no end of WAL"
versioned delete "$key"
mkdir -p target/pg_wal target/global
cp main/global/pg_control target/global/ && cp main/PG_VERSION target/ && touch target/recovery.signal
cd target
expect_status 200 wal-fetch "$first" pg_wal/RECOVERYXLOG
expect_absent pg_wal/RECOVERYXLOG pg_wal/RECOVERYXLOG.walferry

step "its name is free again: another content takes it, without a false alarm"
cd "$T/copy"
expect_status 0 wal-push "pg_wal/$first"
cd "$T/target"
expect_status 0 wal-fetch "$first" pg_wal/RECOVERYXLOG
expect_same "segment" "$T/copy/pg_wal/$first" pg_wal/RECOVERYXLOG
