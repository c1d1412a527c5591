#!/bin/bash
# goal: a segment's restore points are told before the segment is there, once, and where they cannot be told it is not stored; those of one that was never stored keep no other out
# turns: file s3
# full-encrypted: s3
. "$(dirname "$0")/../lib.sh"

step "a server with restore points in four segments, kept in pg_wal"
config_write
server_create main
echo "archive_command = ''" >>main/postgresql.conf # nobody but us pushes
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
expect_status 0 basebackup-push --wal=include --checkpoint=fast
for number in 1 2 3 4; do
    # it may begin a segment, and lies in the one before where it ends
    segments[number]=$(sql main "create table t$number (i int)" "select pg_create_restore_point('point $number')" \
        "select pg_walfile_name(pg_switch_wal())" | tail -1)
done
segments[5]=$(sql main "create table t5 (i int)" "select pg_walfile_name(pg_switch_wal())" | tail -1)
server_stop main

push() { cd "${3:-main}" && expect_status "$1" wal-push --verbose "pg_wal/$2" && cd "$T"; } # STATUS SEGMENT [SERVER]
points_key() { echo "main/$system/restore-points/$1.$(sha256sum "${2:-main}/pg_wal/$1" | cut -c1-8)"; } # SEGMENT [SERVER]
names() { # SEGMENT [SERVER]: of the points that are told
    object_get "$(points_key "$@")" document
    python3 -c 'import json, sys; print(*[point["name"] for point in json.load(open("document"))["points"]], sep=",")'
}

step "what cannot be told is not stored"
printf '{}' >other
object_put "$(points_key "${segments[1]}")" other
push 1 "${segments[1]}"
expect_output "document of restore points \"${segments[1]}\" is in repository \"here\" already, with other content"
expect_output "hint:.*COLLISIONS"
expect_true "the segment is not stored" eval '! object_exists "$(wal_key "${segments[1]}")"'
object_delete "$(points_key "${segments[1]}")"
if [ "$STORE" = file ]; then
    blocked=repository/main/$system/restore-points
    rm -rf "$blocked" && : >"$blocked"
    push 1 "${segments[1]}"
    expect_true "the segment is not stored" eval '! object_exists "$(wal_key "${segments[1]}")"'
    rm "$blocked"
fi

step "first the points, then the segment"
object_put "$(wal_key "${segments[1]}")" other
push 1 "${segments[1]}"
expect_output "damaged"
expect_equal "points of ${segments[1]}" "point 1" "$(names "${segments[1]}")"
object_delete "$(wal_key "${segments[1]}")"
sed -i 's/^\[repository/[wal-push]\nahead = 0\n&/' "$CONFIG"
push 0 "${segments[1]}"
push 0 "${segments[1]}" # and again
expect_output "was in repository"
expect_true "the segment is stored" object_exists "$(wal_key "${segments[1]}")"

step "those of segments that are stored ahead, too; and none where there are none"
sed -i 's/^ahead = 0/ahead = 8/' "$CONFIG"
push 0 "${segments[2]}"
expect_output "ahead, 3 more"
for number in 1 2 3 4; do expect_equal "points of ${segments[number]}" "point $number" "$(names "${segments[number]}")"; done
expect_equal "documents" 4 "$(object_list | grep -c /restore-points/)"
object_get "$(wal_key "${segments[5]}")" object
expect_true "records in the trailer" eval 'tail -c 1016 object | grep -q "\"records\":{\"whole\":true,\"transactions\":1,"'

step "a partial segment says nothing of its records"
cp "main/pg_wal/${segments[1]}" "main/pg_wal/${segments[1]}.partial"
push 0 "${segments[1]}.partial"
object_get "$(wal_key "${segments[1]}.partial")" object
expect_equal "records" 0 "$(tail -c 1016 object | grep -c '"records"' || true)"
expect_equal "documents" 4 "$(object_list | grep -c /restore-points/)"

step "told of, never stored, and then the server was set back: another segment of that name is stored, and its points are found"
cp -r main ahead
point() { # SERVER NAME: one more segment, in $segment
    server_start "$1"
    segment=$(sql "$1" "create table $2 (i int)" "select pg_create_restore_point('$2')" "select pg_walfile_name(pg_switch_wal())" | tail -1)
    server_stop "$1"
}
point ahead never
refused=$segment
object_put "$(wal_key "$refused")" other
push 1 "$refused" ahead
object_delete "$(wal_key "$refused")"
point main stored
expect_equal "the segment of that name" "$refused" "$segment"
push 0 "$segment"
expect_equal "points of both" "never stored" "$(names "$segment" ahead) $(names "$segment")"
expect_equal "documents" 6 "$(object_list | grep -c /restore-points/)"
expect_status 0 basebackup-fetch -D "$T/base"
expect_status 0 recovery-config -D "$T/base" --target-name stored --dry-run
expect_status 1 recovery-config -D "$T/base" --target-name never --dry-run
expect_output "there is no restore point \"never\""
expect_equal "hints at it" 0 "$(grep -c "nearest.*\"never\"" <<<"$output" || true)"
