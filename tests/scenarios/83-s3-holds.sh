#!/bin/bash
# goal: basebackup-pin puts a legal hold on a backup's objects, its WAL and what nothing can be read without, where the store has locks, and basebackup-pin --remove takes it off again, but for what another pinned backup needs; what is held the store does not delete, whoever asks
# stores: s3
# limit: 200
. "$(dirname "$0")/../lib.sh"
[ "$S3_SERVER" != swift ] || skip "Swift has no object lock"

bucket=held-$RANDOM
s3 make-bucket "$bucket" lock

step "two backups in a bucket with locks"
config_write $'legal_hold = yes\nkeep_last = 1'
sed -i "s|^url = s3://[^/]*|url = s3://$bucket|" "$CONFIG"
server_create main --wal-segsize=1
server_start main
system=$(system_identifier main)
expect_status 0 repository-init
expect_status 0 basebackup-push --checkpoint=fast
id=$(basebackup-list --json | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p')
folder=$S3_PREFIX/main/$system/base/$id
holds() { s3 -b "$bucket" holds "${1:-$folder/}" | LC_ALL=C sort; } # [PREFIX]: of each object of the backup
expect_held() { # >ON< or off: of all but the heartbeat
    holds >found
    expect_true "there are objects" test "$(wc -l <found)" -ge 4
    expect_equal "those that are otherwise" "" "$(grep -v '^heartbeat.json ' found | grep -Ev " $1\$" || true)"
    expect_equal "the heartbeat" "" "$(grep '^heartbeat.json ' found | grep ON || true)"
}
expect_held off
wal_of() { # ID...: names of the segments that these backups need
    local one first last
    for one; do
        read -r first last < <(basebackup-list --json | python3 -c 'import json, sys
print(*next((b["start_lsn"], b["stop_lsn"]) for b in json.load(sys.stdin)["backups"] if b["id"] == sys.argv[1]))' "$one")
        sql main "select distinct pg_walfile_name(l) from (select '$first'::pg_lsn + n l from generate_series(0, '$last'::pg_lsn - '$first' - 1, 1048576) n union select '$last'::pg_lsn - 1) x"
    done | LC_ALL=C sort -u
}
expect_wal_held() { # ID...: of these backups, and no other; and what nothing can be read without
    local expected=off
    [ $# = 0 ] || expected=">ON<"
    holds "$S3_PREFIX/main/$system/wal/" >found.wal
    { [ $# = 0 ] || wal_of "$@"; } >expected.wal
    sed -n 's/ >ON<$//p' found.wal >held.wal
    expect_same "WAL that is held" expected.wal held.wal
    expect_equal "cluster.json" "cluster.json $expected" "$(holds "$S3_PREFIX/main/cluster.json")"
}
expect_wal_held

step "pinned: held; again: the same"
expect_status 0 basebackup-pin --reason "before the migration" "$id"
expect_output "is pinned, its objects and WAL have a legal hold"
expect_held ">ON<"
expect_wal_held "$id"
expect_status 0 basebackup-pin "$id"
expect_output "was pinned already, its objects and WAL have a legal hold"
expect_held ">ON<"

step "the store deletes no held object, whoever asks, and brings the backup back"
while read -r version _ key; do
    [[ $key = *heartbeat.json ]] || expect_equal "deleting $key" 403 "$(s3 -b "$bucket" request DELETE "$key?versionId=$version" | sed -n 1p)"
done < <(s3 -b "$bucket" versions "$folder/" && s3 -b "$bucket" versions "$S3_PREFIX/main/$system/wal/" | grep -E "/($(paste -sd'|' held.wal))\$")
sql main "create table t (i int)"
expect_status 0 basebackup-push --checkpoint=fast
expect_status 0 basebackup-expire
expect_status 0 basebackup-fetch --backup="$id" -D restored

step "another backup that needs some of the same WAL is pinned, too"
basebackup-push --checkpoint=fast --no-resume --max-rate 8MB >slow.log 2>&1 &
slow=$!
wait_until 30 "its begin" grep -q begins slow.log
sql main "create table u (i int)"
archived main
expect_status 0 basebackup-push --checkpoint=fast
second=$(tail -1 <<<"$output")
wait $slow || fail "$(<slow.log)"
first=$(tail -1 slow.log)
expect_true "they share WAL" test -n "$(comm -12 <(wal_of "$first") <(wal_of "$second"))"
expect_true "the first needs more" test -n "$(comm -23 <(wal_of "$first") <(wal_of "$second"))"
expect_status 0 basebackup-pin "$first"
expect_status 0 basebackup-pin "$second"
expect_wal_held "$id" "$first" "$second"
expect_status 0 basebackup-pin --remove "$first"
expect_wal_held "$id" "$second"
expect_status 0 basebackup-pin --remove "$second"
expect_wal_held "$id"

step "no longer pinned: no longer held, and it expires"
expect_status 0 basebackup-pin --remove "$id"
expect_output "no longer pinned, its legal holds are off"
expect_held off
expect_wal_held
expect_status 0 basebackup-expire
expect_equal "versions of it" "" "$(s3 -b "$bucket" versions "$folder/")"

step "legal_hold = no: the pin alone"
sed -i 's/^legal_hold = yes/legal_hold = no/' "$CONFIG"
id=$(basebackup-list --json | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p')
folder=$S3_PREFIX/main/$system/base/$id
expect_status 0 basebackup-pin "$id"
expect_held off
server_stop main
