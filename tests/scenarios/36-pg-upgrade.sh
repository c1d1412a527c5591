#!/bin/bash
# goal: pg_upgrade: the new system is a new generation in the same repository, refused until it is accepted; both stay restorable
# versions: s3@13-newest
# full-versions: s3@13-15 file@13-17 s3@13-18 file@13-newest
# limit: 300
. "$(dirname "$0")/../lib.sh"

version() { "$1/postgres" --version | grep -oE '[0-9]+' | head -1; } # BIN
old_bin=$OLD_PG_BIN new_bin=$PG_BIN
old_major=$(version "$old_bin") new_major=$(version "$new_bin")
expect_true "an older and a newer version, not $old_major and $new_major" test "$old_major" -lt "$new_major"
with() { PATH=$PROGRAMS:$1:$PATH major=$(version "$1"); } # BIN: the servers' programs from now on

step "a server of PostgreSQL $old_major with a tablespace, archived and backed up"
with "$old_bin"
config_write
server_create main --data-checksums
expect_status 0 repository-init
expect_output "PostgreSQL $old_major, "
server_start main
system=$(system_identifier main)
mkdir space
sql main "create tablespace space location '$T/space'" "create table kept (i int) tablespace space" "insert into kept select generate_series(1, 1000)"
ledger_create main
ledger_start main 1
expect_status 0 basebackup-push --checkpoint=fast --label "before the upgrade"
first=$(tail -1 <<<"$output")
ledger_instant main early && early=$instant
sleep 1
ledger_stop
ledger main >before
server_stop main # archives the rest

step "pg_upgrade to $new_major; its archive_command is that of before, in the new cluster, too"
with "$new_bin"
mv main former
server_create main --data-checksums
next=$(system_identifier main)
expect_true "another system" test "$next" != "$system"
mkdir -p run/upgrade upgrade
(cd upgrade && pg_upgrade -b "$old_bin" -B "$new_bin" -d "$T/former" -D "$T/main" -U postgres -s "$T/run/upgrade") >upgrade.log || {
    find upgrade main -name "pg_upgrade*.log" -exec cat {} + >pg_upgrade_output.log
    fail "pg_upgrade: $(tail -n 5 upgrade.log)"
}
expect_equal "the system after it" "$next" "$(system_identifier main)"
expect_equal "both versions' directories in the tablespace" 2 "$(find space -maxdepth 1 -name 'PG_*' | wc -l)"
object_sums >at-upgrade

step "nothing of the new system is taken before it is accepted, and that is said; nothing is lost"
server_start main
ledger_start main 2
sql main "select pg_switch_wal()" >/dev/null
refused() { grep -q "wal-push: error: .*system $next is not accepted" main.log && grep -q "hint: .*repository-init --add-generation" main.log; }
wait_until 60 "wal-push's refusal" refused
for program in basebackup-push repository-init; do
    expect_status 1 $program
    expect_output "$next"
    expect_output "repository-init --add-generation"
done
object_sums >now
expect_same "the repository" at-upgrade now
waiting() { find main/pg_wal/archive_status -name '*.ready' -printf '%f\n' | sed 's/\.ready//' | sort; }
sql main "select pg_switch_wal()" >/dev/null
waiting >waiting
expect_true "segments wait" test -s waiting
[ "$(sql main "select archived_count from pg_stat_archiver")" = 0 ] || fail "something was reported as archived"

step "accepted: what waited is archived"
expect_status 0 repository-init --add-generation
expect_output "system $system, PostgreSQL $old_major, "
expect_output "system $next, PostgreSQL $new_major, "
archived main
grep "^main/$next/wal/" <<<"$(object_list)" | sed 's|.*/||; s| .*||' | sort >archived
expect_equal "segments that waited and are not there" "" "$(comm -23 waiting archived)"

step "no backup of the new system yet: the newest there is ends with the old one, which is said"
expect_status 0 basebackup-fetch -D "$T/copy" -T "$T/space=$T/space2"
expect_output "restoring backup $first"
expect_output "warning: backup $first is of system $system \\(PostgreSQL $old_major\\).* no backup of its successor, system $next"
rm -rf copy space2
expect_status 0 basebackup-fetch --target-time "$early" -D "$T/copy" -T "$T/space=$T/space2"
expect_equal "warnings about a time before the upgrade" "" "$(grep warning <<<"$output" || true)"
rm -rf copy space2

step "a backup of the new one, its own files only; each is listed with its version"
expect_status 0 basebackup-push --checkpoint=fast --label "after the upgrade"
second=$(tail -1 <<<"$output")
ledger_instant main late && late=$instant
sleep 1
archived main
ledger_stop
ledger main >after
server_stop main
basebackup-list --json | python3 -c 'import json, sys
found = [(b["id"], b["system_identifier"], str(b["postgresql_version"])) for b in json.load(sys.stdin)["backups"]]
wanted = list(zip(sys.argv[1::3], sys.argv[2::3], sys.argv[3::3]))
assert found == wanted, (found, wanted)' "$first" "$system" "$old_major" "$second" "$next" "$new_major"
expect_status 0 basebackup-list
expect_output "^$first .* $old_major\."
expect_output "^$second .* $new_major(\.|rc|beta|devel)"

rm -rf former # the old one's directory is gone; so is its place in the tablespace
rm -rf space/PG_"$old_major"_*
restored() { # ID EXPECTED-FILE [OPTION...]: chosen by itself, with the programs of its version
    rm -rf copy space2
    expect_status 0 basebackup-fetch -D "$T/copy" -T "$T/space=$T/space2" "${@:3}"
    expect_output "restoring backup $1 "
    expect_status 0 pg_verifybackup -n copy
    expect_equal "directories in the tablespace" "PG_${major}_" "$(find space2 -mindepth 1 -maxdepth 1 -printf '%f\n' | sed 's/[0-9]*$//')"
    expect_status 0 recovery-config -D "$T/copy" "${@:3}" $([ $# = 2 ] || echo --action promote)
    server_start copy
    wait_open copy
    expect_ledger copy "$2"
    expect_equal "rows in the tablespace" 1000 "$(sql copy "select count(*) from kept")"
    server_stop copy
}
step "the old system, with PostgreSQL $old_major: to an instant, and to its end"
with "$old_bin"
restored "$first" early --target-time "$early"
rm -rf copy space2
expect_status 0 basebackup-fetch --backup "$first" -D "$T/copy" -T "$T/space=$T/space2"
expect_status 0 recovery-config -D "$T/copy"
server_start copy
wait_open copy
expect_ledger copy before
server_stop copy

step "the new system, with PostgreSQL $new_major: to an instant, and to the newest"
with "$new_bin"
restored "$second" late --target-time "$late"
restored "$second" after
expect_equal "entries of before the upgrade" "" "$(comm -23 before after | head -3)"
