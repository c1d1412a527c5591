#!/bin/bash
# goal: basebackup-pin puts a legal hold on a backup's objects where the store has locks, and basebackup-pin --remove takes it off again; what is held the store does not delete, whoever asks
# stores: s3
# limit: 200
. "$(dirname "$0")/../lib.sh"

bucket=held-$RANDOM
s3 make-bucket "$bucket" lock

step "two backups in a bucket with locks"
config_write $'legal_hold = yes\nkeep_last = 1'
sed -i "s|^url = s3://[^/]*|url = s3://$bucket|" "$CONFIG"
server_create main
server_start main
system=$(system_identifier main)
expect_status 0 repository-init
expect_status 0 basebackup-push --checkpoint=fast
id=$(basebackup-list --json | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p')
folder=$S3_PREFIX/main/$system/base/$id
holds() { # >ON< or off of each object of the backup
    s3 -b "$bucket" versions "$folder/" | while read -r version _ key; do
        echo "${key##*/} $(s3 -b "$bucket" request GET "$key?legal-hold&versionId=$version" | grep -o '>ON<' || echo off)"
    done | LC_ALL=C sort
}
expect_held() { # >ON< or off: of all but the heartbeat
    holds >found
    expect_true "there are objects" test "$(wc -l <found)" -ge 4
    expect_equal "those that are otherwise" "" "$(grep -v '^heartbeat.json ' found | grep -Ev " $1\$" || true)"
    expect_equal "the heartbeat" "" "$(grep '^heartbeat.json ' found | grep ON || true)"
}
expect_held off

step "pinned: held; again: the same"
expect_status 0 basebackup-pin --reason "before the migration" "$id"
expect_output "is pinned, its objects have a legal hold"
expect_held ">ON<"
expect_status 0 basebackup-pin "$id"
expect_output "was pinned already, its objects have a legal hold"
expect_held ">ON<"

step "the store deletes no held object, whoever asks, and brings the backup back"
while read -r version _ key; do
    [[ $key = *heartbeat.json ]] || expect_equal "deleting $key" 403 "$(s3 -b "$bucket" request DELETE "$key?versionId=$version" | head -1)"
done < <(s3 -b "$bucket" versions "$folder/")
sql main "create table t (i int)"
expect_status 0 basebackup-push --checkpoint=fast
expect_status 0 basebackup-expire
expect_status 0 basebackup-fetch --backup="$id" -D restored

step "no longer pinned: no longer held, and it expires"
expect_status 0 basebackup-pin --remove "$id"
expect_output "no longer pinned, its legal holds are off"
expect_held off
expect_status 0 basebackup-expire
expect_equal "versions of it" "" "$(s3 -b "$bucket" versions "$folder/")"

step "legal_hold = no: the pin alone"
sed -i 's/^legal_hold = yes/legal_hold = no/' "$CONFIG"
id=$(basebackup-list --json | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p')
folder=$S3_PREFIX/main/$system/base/$id
expect_status 0 basebackup-pin "$id"
expect_held off
server_stop main
