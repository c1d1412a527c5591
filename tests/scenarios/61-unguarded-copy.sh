#!/bin/bash
# goal: a restored copy that is started without recovery-config, with the original's archive_command: what is refused, what is not, and the documented way out
# turns: file s3
. "$(dirname "$0")/../lib.sh"

step "production: a primary that archives, and a standby that follows the archive"
config_write $'[wal-fetch]\ntimeout = 5\nhistory_wait = 2\nhole_wait = 1'
server_create main --wal-segsize=1
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t (who text, n serial)"
expect_status 0 basebackup-push --checkpoint=fast
insert() { sql "$1" "insert into t values ('${2:-$1}')"; }
rows() { sql "$1" "select who from t order by n" | paste -sd' '; }
has_rows() { [ "$(rows "$1")" = "$2" ]; } # NAME ROWS
standby() { # NAME
    rm -rf "${T:?}/$1"
    expect_status 0 basebackup-fetch -D "$T/$1"
    expect_status 0 recovery-config -D "$T/$1" --standby
    echo "wal_retrieve_retry_interval = 200ms" >>"$1/postgresql.conf"
    server_start "$1"
}
recovered() { # ROWS OPTION...
    rm -rf recovered
    expect_status 0 basebackup-fetch -D "$T/recovered"
    expect_status 0 recovery-config -D "$T/recovered" "${@:2}"
    server_start recovered
    wait_open recovered
    expect_equal "rows" "$1" "$(rows recovered)"
    server_stop recovered
}
standby standby
insert main 1
archived main
wait_until 30 "the row on the standby" has_rows standby 1

step "started as it was restored: PostgreSQL does not open it, and production's repository stays as it is"
expect_status 0 basebackup-fetch -D "$T/copy"
expect_output "hint: .*recovery-config"
object_sums >before
server_fails copy "could not locate required checkpoint record"
object_sums >now
expect_same "production's repository" before now

step "with production's WAL copied into it by hand it opens on production's own timeline: it can archive what is the same, and nothing else"
cp main/pg_wal/0000000100* copy/pg_wal/
insert main 2
archived main # so production is ahead
server_start copy
wait_open copy
expect_equal "rows" 1 "$(rows copy)"
expect_equal "the timeline it is on" 00000001 "$(sql copy "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")"
insert copy
segment=$(sql copy "select pg_walfile_name(pg_switch_wal())")
wait_until 60 "the refusal" grep -Eq "wal-push: error: .*\"$segment\" is in repository \"here\" already, with other content" copy.log
expect_true "it is told of copies" grep -q "hint: Two servers archive to one place.* On a copy: archive_mode = off" copy.log
expect_true "the server counts it" sql_is copy t "select failed_count > 0 from pg_stat_archiver"
object_sums >now
expect_equal "objects that changed" "" "$(comm -23 before now)"
insert main 3
archived main
wait_until 30 "production's rows on its standby" has_rows standby "1 2 3"
expect_equal "what production was refused" 0 "$(sql main "select failed_count from pg_stat_archiver")"
recovered "1 2 3"

step "the copy comes first: production is refused, which is told; it keeps its WAL"
server_stop copy
rm -rf copy
expect_status 0 basebackup-fetch -D "$T/copy"
cp main/pg_wal/0000000100* copy/pg_wal/
server_start copy
wait_open copy
insert copy
archived copy
insert main 4
segment=$(sql main "select pg_walfile_name(pg_switch_wal())")
wait_until 60 "the refusal" grep -Eq "wal-push: error: .*\"$segment\" is in repository \"here\" already, with other content" main.log
wait_until 30 "the count" sql_is main t "select failed_count > 0 from pg_stat_archiver"
expect_true "production keeps it" test -e "main/pg_wal/$segment" -a -e "main/pg_wal/archive_status/$segment.ready"
wait_until 30 "the copy's row on production's standby" has_rows standby "1 2 3 copy"

step "room is made as docs/exit-status.md has it: production goes on, and the standby is restored again"
server_stop copy
make_room "$segment"
insert main 5
archived main
recovered "1 2 3 4 5"
server_stop standby
standby standby
wait_until 30 "production's rows" has_rows standby "1 2 3 4 5"

step "restored by hand without archive_mode = off: nobody is refused, and nothing of production's changes, but its standby is led away"
rm -rf copy
expect_status 0 basebackup-fetch -D "$T/copy"
echo "restore_command = '$PROGRAMS/wal-fetch --config $CONFIG %f \"%p\"'" >>copy/postgresql.conf
touch copy/recovery.signal
object_sums >before
server_start copy
wait_open copy
expect_equal "rows" "1 2 3 4 5" "$(rows copy)"
insert copy
archived copy
object_sums >now
expect_equal "objects that changed" "" "$(comm -23 before now)"
expect_true "the copy's timeline is in production's repository" object_exists "$(wal_key 00000002.history)"
wait_until 30 "the copy's row on production's standby" has_rows standby "1 2 3 4 5 copy"
insert main 6
archived main
recovered "1 2 3 4 5 6" --timeline=1

step "the way out: the copy's timeline is moved aside, and the standby is restored again"
server_stop copy
make_room 00000002.history
recovered "1 2 3 4 5 6"
server_stop standby
standby standby
wait_until 30 "production's rows" has_rows standby "1 2 3 4 5 6"
