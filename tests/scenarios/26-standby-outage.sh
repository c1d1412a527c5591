#!/bin/bash
# goal: a store that goes away under a standby, at a promotion or at the end of a recovery: nothing is opened in error, and the documented way out works
# stores: none
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"
away() { script "set accept reset"; }
back() { script; }
objects=$T/faults/objects/$S3_BUCKET/$S3_PREFIX

step "a primary and two standbys of a base backup"
fault_server faults
limits=$'[wal-fetch]\ntimeout = 3\nstandby_timeout = 1\nhistory_wait = 1\nswitch_wait = 2\nhole_wait = 1\n[wal-push]\ntimeout = 2'
config_write "$limits"
script
server_create main --wal-segsize=1
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t (who text, i int)"
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")
for name in second third; do
    expect_status 0 basebackup-fetch -D "$T/$name"
    expect_status 0 recovery-config -D "$T/$name" --standby
    echo "wal_retrieve_retry_interval = 200ms" >>$name/postgresql.conf
    server_start $name
done
write() { sql "$1" "insert into t values ('$1', $2)"; archived "$1"; } # NAME NUMBER
rows() { sql "$1" "select who || i from t order by 1" | paste -sd' '; }
has_row() { [[ " $(rows "$1") " = *" $2 "* ]]; } # NAME ROW
write main 1
for name in second third; do wait_until 30 "the first row on $name" has_row $name main1; done

step "the store goes away: the standby stays up and asks again; it follows on when the store is back"
away
: >second.log
count() { grep -c "$1" second.log || true; }
asked_twice() { [ "$(count "warning: could not ask for .*the standby will ask again")" -ge 2 ]; }
wait_until 30 "two questions of the standby" asked_twice
expect_equal "the standby's rows" main1 "$(rows second)"
expect_equal "FATAL messages" 0 "$(count FATAL)"
back
write main 2
wait_until 30 "the second row on the standby" has_row second main2

step "a damaged segment: nothing of it is replayed; it follows on when the segment is mended"
: >second.log
next=$(sql main "select pg_walfile_name(pg_current_wal_insert_lsn())")
script "GET *$next 1 - garble"
write main 3
refused_twice() { [ "$(count "\"$next\" is not handed over, since it is damaged")" -ge 2 ]; }
wait_until 30 "two refusals" refused_twice
expect_equal "the standby's rows" "main1 main2" "$(rows second)"
expect_equal "FATAL messages" 0 "$(count FATAL)"
back
for name in second third; do wait_until 30 "the third row on $name" has_row $name main3; done

step "the primary is lost; one standby is promoted while the other is down"
server_stop third
server_kill main
pg_ctl -D second -s -w -t 60 promote
wait_open second
sql second "select pg_create_restore_point('later')" >/dev/null
write second 1
expect_true "timeline 2 is in the archive" test -e "$objects/$(wal_key 00000002.history)"
server_stop second
(cd "$objects" && find . -type f -exec sha256sum {} + | sort) >before

restore() { # OPTION...
    rm -rf copy
    expect_status 0 basebackup-fetch --backup "$id" -D "$T/copy"
    expect_status 0 recovery-config -D "$T/copy" "$@"
}
last=$(cd "$objects/main/$system/wal/0000000100000000" && find . -regex './[0-9A-F]*' -printf '%P\n' | sort | tail -1)
step "a hole that only the new timeline's history shows (rule 3 b): the last whole segment of the old one, $last"
mv "$objects/$(wal_key "$last")" saved
restore
server_fails copy "\"$last\" is missing, but timeline 2 left timeline 1 only at .*hole"
expect_absent copy/pg_wal/00000003.history

step "the lost server's pg_wal has it (rule 4)"
cp "main/pg_wal/$last" copy/pg_wal/
server_start copy
wait_open copy
expect_equal "rows" "main1 main2 main3 second1" "$(rows copy)"
expect_true "said" grep -q "\"$last\" is in no repository, but whole in pg_wal" copy.log
server_stop copy
mv saved "$objects/$(wal_key "$last")"

step "the store goes away behind the point of no return (rule 2); pg_wal has the parent's history"
paused_at_end() { # stands at the restore point, and the parent's history cannot be asked for any more
    back
    restore --target-name later
    : >copy.log
    server_start copy
    wait_paused copy
    script "GET *00000002.history 1 - status=503 code=SlowDown"
}
paused_at_end
sql copy "select pg_wal_replay_resume()"
wait_open copy
expect_true "said" grep -q "could not ask for \"00000002.history\", but pg_wal has it" copy.log
expect_equal "rows" "main1 main2 main3" "$(rows copy)"
server_stop copy
expect_true "a timeline of its own" test -s copy/pg_wal/00000003.history

step "pg_wal does not have it: the server stops, and it is said that this directory is lost"
paused_at_end
rm copy/pg_wal/00000002.history
sql copy "select pg_wal_replay_resume()"
wait_until 60 "the end of the server" server_is_gone copy
tail -n 12 copy.log
expect_true "FATAL" grep -q "FATAL: *could not restore file \"00000002.history\"" copy.log
expect_true "said" grep -iq "do not start this data directory" copy.log
back

step "a promotion while the store is away may reuse a timeline, and says so; nothing is overwritten when the store is back"
away
: >third.log
server_start third
expect_equal "rows of the third" "main1 main2 main3" "$(rows third)"
pg_ctl -D third -s -w -t 60 promote
wait_open third
expect_true "said" grep -q "a promotion now may reuse a timeline" third.log
expect_equal "the timeline it took" 00000002 "$(sql third "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")"
sql third "insert into t values ('third', 1)"
back
sql third "select pg_switch_wal()" >/dev/null
# Both left timeline 1 at one place, so the history files are the same, and it is a segment that differs.
wait_until 60 "the refusal" grep -Eq '"00000002.*" is in repository "here" already, with other content' third.log
(cd "$objects" && find . -type f -exec sha256sum {} + | sort) >now
expect_same "the repository" before now

step "the way out, word by word as docs/exit-status.md has it: it is promoted once more"
sed -n '/^\*\*"A promotion now may reuse a timeline"/,$p' "$SOURCE/docs/exit-status.md" | sed -n '/^```sh$/,/^```$/{/^```/!p}' >way-out.sh
expect_true "commands on the page" test "$(wc -l <way-out.sh)" -ge 10
printf "unix_socket_directories = '%s'\nlisten_addresses = ''\n" "$T/run/third" >>third/postgresql.conf
sed -i "s|^conninfo.*|conninfo = host=$T/run/third user=postgres|; s|^pgdata.*|pgdata = $T/third|" "$CONFIG"
DIR=$T/third TLI=00000002 PGHOST=$T/run/third expect_status 0 bash -eux way-out.sh
id=$(tail -1 <<<"$output")
expect_equal "the timeline it took" 00000003 "$(sql third "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")"
expect_equal "settings that are left" "" "$(grep -E "^(restore_command|recovery_target_timeline)" third/postgresql.auto.conf || true)"
write third 2
expect_equal "rows of the third" "main1 main2 main3 third1 third2" "$(rows third)"
(cd "$objects" && find . -type f -exec sha256sum {} + | sort) >now
expect_equal "objects that changed" "" "$(comm -23 before now)"
server_kill third

step "what it stored since then is enough"
restore
server_start copy
wait_open copy
expect_equal "rows" "main1 main2 main3 third1 third2" "$(rows copy)"
server_stop copy

step "the same with a directory: away it is asked for again; an empty mount point is the wrong place, and stops the standby"
STORE=file config_write "$limits"
sed -i "s|^pgdata.*|pgdata = $T/copy|; s|^conninfo.*|conninfo = host=$T/run/copy user=postgres|" "$CONFIG"
expect_status 0 repository-init
pg_ctl -D copy -s -w -l copy.log -o "-k $T/run/copy -c listen_addresses='' -c archive_mode=on" start
expect_status 0 basebackup-push --checkpoint=fast
expect_status 0 basebackup-fetch -D "$T/fourth"
expect_status 0 recovery-config -D "$T/fourth" --standby
echo "wal_retrieve_retry_interval = 200ms" >>fourth/postgresql.conf
server_start fourth
mv repository away
wait_until 30 "a question of the standby" grep -q "warning: could not ask for" fourth.log
mv away repository
write copy 4
wait_until 30 "the row on the standby" has_row fourth copy4
server_stop fourth
mv repository away
mkdir repository
server_fails fourth "there is no walferry repository here"
expect_equal "made by a reader" "" "$(ls -A repository)"
