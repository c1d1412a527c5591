#!/bin/bash
# goal: two nodes archive after a failover, whoever comes first: nothing is refused, each timeline is recovered as it was; archive_mode = always
# stores: file
# full-stores: s3
. "$(dirname "$0")/../lib.sh"

step "a primary with a base backup"
config_write $'[wal-fetch]\ntimeout = 5\nhistory_wait = 2\nhole_wait = 1'
server_create main --wal-segsize=1
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t (who text, n serial)"
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output") first=$id

insert() { sql "$1" "insert into t values ('$1')"; }
rows() { sql "$1" "select who from t order by n, who" | paste -sd' '; }
has_rows() { [ "$(rows "$1")" = "$2" ]; } # NAME ROWS
timeline() { sql "$1" "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"; }
failures() { sql "$1" "select failed_count from pg_stat_archiver"; }
# node NAME [PRIMARY [ARCHIVE-MODE]]: a standby as on a machine of its own, that follows the archive, or streams too
node() {
    sed "s|^pgdata.*|pgdata = $T/$1|; s|^conninfo.*|conninfo = host=$T/run/$1 user=postgres|; s|^state_dir.*|state_dir = $T/state-$1|" \
        "$CONFIG" >"$1.conf" && chmod 600 "$1.conf"
    expect_status 0 basebackup-fetch --config "$T/$1.conf" --backup "$id" -D "$T/$1"
    expect_status 0 recovery-config --config "$T/$1.conf" -D "$T/$1" --standby
    {
        echo "archive_command = '$PROGRAMS/wal-push --verbose --config $T/$1.conf %p'"
        printf "wal_retrieve_retry_interval = 200ms\nunix_socket_directories = '%s'\nlisten_addresses = ''\n" "$T/run/$1"
        [ -z "${2:-}" ] || echo "primary_conninfo = 'host=$T/run/$2 user=postgres'"
        [ -z "${3:-}" ] || echo "archive_mode = $3"
    } >>"$1/postgresql.conf"
    server_start "$1"
}
# split OLD NEW FIRST: NEW streams from OLD, loses it in the middle of a segment and is promoted, while OLD goes on. FIRST archives first.
split() {
    local old=$1 new=$2 from
    insert "$old"
    wait_until 30 "the row on $new" has_rows "$new" "$(rows "$old")"
    common=$(rows "$old")
    from=$(timeline "$old")
    parted=$(sql "$old" "select pg_walfile_name(pg_current_wal_insert_lsn())")
    [ "$3" = "$new" ] || sql "$new" "alter system set archive_command = 'false'" "select pg_reload_conf()" >/dev/null
    sql "$new" "alter system set primary_conninfo = ''" "select pg_reload_conf()" >/dev/null
    wait_until 30 "the end of the stream" sql_is "$old" 0 "select count(*) from pg_stat_replication"
    insert "$old"
    pg_ctl -D "$new" -s -w -t 60 promote
    wait_open "$new"
    sql "$new" "alter system reset primary_conninfo"
    insert "$new"
    if [ "$3" = "$new" ]; then archived "$new"; fi
    sql "$old" "select pg_switch_wal()" >/dev/null
    insert "$old"
    archived "$old"
    if [ "$3" = "$old" ]; then
        sql "$new" "alter system reset archive_command" "select pg_reload_conf()" >/dev/null
        archived "$new"
    fi
    insert "$new"
    archived "$new"
    for name in "$parted" "$parted.partial" "$(timeline "$new").history" "$(timeline "$new")${parted:8}"; do
        expect_true "$name is archived" object_exists "$(wal_key "$name")"
    done
    expect_equal "$old was refused" 0 "$(failures "$old")"
    [ "$3" = "$old" ] || expect_equal "$new was refused" 0 "$(failures "$new")"
    expect_equal "messages about other content" "" "$(grep "other content" "$old.log" "$new.log" || true)"
    recovered "$common $new $new" # the newest timeline
    recovered "$common $old $old" --timeline="0x$from"
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

step "a standby is promoted, and archives before the old primary, that still runs, has archived its last common segment" # wound: plugin-barman-cloud#842, CNPG#6470
node second main
node follower
split main second second
wait_until 30 "the standby that follows the archive to take the new timeline" has_rows follower "$common second second"
server_stop main

step "the other way round: the old primary has archived beyond the parting when the new timeline comes"
node third second
split second third second
expect_true "the follower, which had replayed more than that, stays" has_rows follower "$common second second"
expect_true "its log says why" grep -q "new timeline 3 forked off current database system timeline 2 before current recovery point" follower.log

step "the old primary is the one to live on: it takes a timeline of its own, as docs/exit-status.md has it"
server_stop third
page_commands "A promotion now may reuse a timeline" | grep -v 'DIR\.aside' >way-out.sh # no .ready files are in the way
expect_true "commands on the page" test "$(wc -l <way-out.sh)" -ge 8
DIR=$T/second TLI=00000002 PGHOST=$T/run/second WALFERRY_CONFIG=$T/second.conf expect_status 0 bash -eux way-out.sh
id=$(tail -1 <<<"$output")
expect_equal "the timeline it took" 00000004 "$(timeline second)"
before=$id id=$first
insert second
archived second
recovered "$common second second second"
id=$before
wait_until 30 "the follower to go on to that timeline" has_rows follower "$common second second second"
server_stop follower

step "archive_mode = always: primary and standby archive the same segments, whoever comes first; each is stored once"
node always second always
insert second
wait_until 30 "the row on the standby" has_rows always "$(rows second)"
says() { expect_equal "$1's messages of $segment" "wal-push: debug: $2" "$(grep "wal-push:.*\"$segment\"" "$1.log")"; }
stored_by() { # FIRST SECOND
    sql "$2" "alter system set archive_command = 'false'" "select pg_reload_conf()" >/dev/null
    segment=$(sql second "insert into t values ('second')" "select pg_walfile_name(pg_switch_wal())" | tail -1)
    wait_until 60 "$segment stored by $1" object_exists "$(wal_key "$segment")"
    object_sums | grep "$segment" >before
    says "$1" "stored \"$segment\" in repository \"here\""
    sql "$2" "alter system reset archive_command" "select pg_reload_conf()" >/dev/null
    wait_until 90 "$segment archived by $2" test -e "$2/pg_wal/archive_status/$segment.done"
    says "$2" "\"$segment\" was in repository \"here\" already, identical"
    object_sums | grep "$segment" >now
    expect_same "$segment" before now
}
stored_by second always
stored_by always second
expect_equal "the primary was refused" 0 "$(grep -c "wal-push: error" second.log || true)"
expect_equal "the standby was refused" 0 "$(grep -c "wal-push: error" always.log || true)"

step "that standby is promoted: its timeline follows on, and all is there"
insert second
wait_until 30 "the row on the standby" has_rows always "$(rows second)"
common=$(rows second)
server_kill second
pg_ctl -D always -s -w -t 60 promote
wait_open always
insert always
archived always
expect_equal "the standby was refused" 0 "$(grep -c "wal-push: error" always.log || true)"
recovered "$common always"
