#!/bin/bash
# goal: where two histories use one name the first is served, the second is refused and told, its server keeps its WAL, and the documented way out works
# stores: file
# full-stores: s3
. "$(dirname "$0")/../lib.sh"

config_write $'[wal-fetch]\ntimeout = 5\nhistory_wait = 2\nhole_wait = 1'
insert() { sql "$1" "insert into t values ('${2:-$1}')"; }
rows() { sql "$1" "select who from t order by n" | paste -sd' '; }
has_rows() { [ "$(rows "$1")" = "$2" ]; } # NAME ROWS
timeline() { sql "$1" "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"; }
configure() { # NAME: a configuration and a memory of its own, as on another machine
    sed "s|^pgdata.*|pgdata = $T/$1|; s|^conninfo.*|conninfo = host=$T/run/$1 user=postgres|; s|^state_dir.*|state_dir = $T/state-$1|" \
        "$CONFIG" >"$1.conf" && chmod 600 "$1.conf"
    echo "archive_command = 'test ! -e $T/hold-$1 && $PROGRAMS/wal-push --config $T/$1.conf %p'" >>"$1/postgresql.conf"
}
node() { # NAME PRIMARY: a standby that streams
    expect_status 0 basebackup-fetch --backup "$id" -D "$T/$1"
    configure "$1"
    expect_status 0 recovery-config --config "$T/$1.conf" -D "$T/$1" --standby
    printf "wal_retrieve_retry_interval = 200ms\nprimary_conninfo = 'host=%s user=postgres'\n" "$T/run/$2" >>"$1/postgresql.conf"
    server_start "$1"
}
part() { # NAME PRIMARY: it gets no more from there
    wait_until 30 "the rows on $1" has_rows "$1" "$(rows "$2")"
    sql "$1" "alter system set primary_conninfo = ''" "select pg_reload_conf()" >/dev/null
    wait_until 30 "the end of the stream" sql_is "$1" 0 "select count(*) from pg_stat_wal_receiver"
}
promote() {
    pg_ctl -D "$1" -s -w -t 60 promote
    wait_open "$1"
    insert "$1"
}
recovered() { # ROWS OPTION...
    rm -rf copy
    expect_status 0 basebackup-fetch --backup "$id" -D "$T/copy"
    expect_status 0 recovery-config -D "$T/copy" "${@:2}"
    server_start copy
    wait_open copy
    expect_equal "rows" "$1" "$(rows copy)"
    server_stop copy
}
refused() { # NAME FILE: it cannot be archived, which is told and counted; the server keeps it, and what is stored stays
    wait_until 60 "the refusal of $2" grep -Eq "wal-push: error: .*\"$2\" is in repository \"here\" already, with other content" "$1.log"
    wait_until 60 "the count of $1" sql_is "$1" t "select failed_count > 0 and last_failed_wal = '$2' from pg_stat_archiver"
    expect_true "the log names the way out" grep -q "wal-push: hint: .*COLLISIONS in wal-push(1)" "$1.log"
    expect_true "$1 keeps it" test -e "$1/pg_wal/$2" -a -e "$1/pg_wal/archive_status/$2.ready"
}
keep_sums() { object_sums >before; }
expect_kept() { # nothing that was stored changed or is gone
    object_sums >now
    expect_equal "objects that changed" "" "$(comm -23 before now)"
}
served() { # NAME FILE: the repository's content of that name is this file
    rm -f served
    expect_status 0 wal-fetch "$1" "$T/served"
    expect_same "$1 as it is served" "$2" served
}

step "a primary with a base backup"
server_create main --wal-segsize=1
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t (who text, n serial)"
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")

step "two standbys are promoted, one after the other: two timelines, two .partial files of one name, nobody is refused"
node second main
node third main
insert main 1
part second main
insert main 2
part third main
partial=$(sql main "select pg_walfile_name(pg_current_wal_insert_lsn())").partial
server_kill main
promote second
archived second
promote third
archived third
expect_equal "timelines" "00000002 00000003" "$(timeline second) $(timeline third)"
expect_equal "stored .partial files" 2 "$(object_list | grep -c "$partial")"
served "$partial" "second/pg_wal/$partial"
served "$partial.$(sha256sum <"third/pg_wal/$partial" | head -c 8)" "third/pg_wal/$partial"
expect_equal "messages about other content" "" "$(grep "other content" second.log third.log || true)"
recovered "1 2 third"
recovered "1 second" --timeline=2
server_stop second

step "two standbys are promoted at once: one timeline twice; the first to archive is served, the other is refused"
touch hold-fourth hold-fifth
node fourth third
node fifth third
insert third 3
part fourth third
insert third 4
part fifth third
server_kill third
promote fourth
promote fifth
expect_equal "timelines" "00000004 00000004" "$(timeline fourth) $(timeline fifth)"
rm hold-fifth
archived fifth
keep_sums
rm hold-fourth
sql fourth "select pg_switch_wal()" >/dev/null
refused fourth 00000004.history
object_sums >now
expect_same "the repository" before now
served 00000004.history fifth/pg_wal/00000004.history
recovered "1 2 third 3 4 fifth"

step "the one that was refused is to live on: room is made as docs/exit-status.md has it, and it goes on by itself" # wound: pgbackrest#584, #1399, #1753
server_stop fifth
keep_sums
make_room 00000004.history
expect_equal "moved aside" "$(sed -n 's|.*/\(00000004[^ ]*\) .*|\1|p' before | LC_ALL=C sort)" "$(LC_ALL=C sort <<<"$moved")"
insert fourth on
archived fourth
served 00000004.history fourth/pg_wal/00000004.history
recovered "1 2 third 3 fourth on"
expect_true "nothing of the other's is gone" test "$(object_sums | cut -d' ' -f2- | sort -u | comm -23 <(cut -d' ' -f2- before | sort -u) - | wc -l)" = 0

step "a server that was set back by a snapshot: what it writes again is refused, what was stored first is served"
server_stop fourth
cp -r fourth snapshot
server_start fourth
insert fourth lost
segment=$(sql fourth "select pg_create_restore_point('lost')" "select pg_walfile_name(pg_current_wal_insert_lsn())" | tail -1)
archived fourth
cp "fourth/pg_wal/$segment" lost.segment
for _ in 1 2 3; do
    insert fourth lost
    archived fourth
done
server_stop fourth
rm -rf fourth
mv snapshot fourth
keep_sums
server_start fourth
insert fourth kept
sql fourth "select pg_switch_wal()" >/dev/null
refused fourth "$segment"
object_sums >now
expect_same "the repository" before now
served "$segment" lost.segment
backups=$(basebackup-list --json | grep -o '"id"' | wc -l)
expect_status 1 basebackup-push --config "$T/fourth.conf" --checkpoint=fast # its WAL is there by name only
expect_output "with other content than in .*two histories"
expect_equal "complete backups" "$backups" "$(basebackup-list --json | grep -o '"id"' | wc -l)"

step "its new history is to live on: room is made in the same way"
make_room "$segment"
expect_equal "segments moved aside" "$segment" "$(head -1 <<<"$moved")"
expect_true "also the one behind it" test "$(wc -w <<<"$moved")" -ge 2
expect_equal "restore points that lie aside, too" 1 "$(object_list | grep -Ec "/aside-$segment-.*/restore-points/$segment\.[0-9a-f]{8} ")"
expect_equal "restore points of this timeline" 0 "$(object_list | grep -c "main/$system/restore-points/${segment:0:8}" || true)"
sql fourth "select pg_create_restore_point('kept')" >/dev/null
insert fourth on
archived fourth
expect_equal "restore points of this timeline" 1 "$(object_list | grep -c "main/$system/restore-points/${segment:0:8}" || true)"
expect_status 0 wal-fetch "$segment" "$T/served"
if cmp -s served lost.segment; then fail "$segment is still the one that was lost"; fi
recovered "1 2 third 3 fourth on kept on"
