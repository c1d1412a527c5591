#!/bin/bash
# goal: a standby is built from the repository alone, follows, is promoted, and the next standby follows it
# turns: file s3
# full-versions: s3@13 file@17 s3@18 file@19
. "$(dirname "$0")/../lib.sh"

step "a primary with a base backup"
config_write $'[wal-fetch]\nhistory_wait = 5'
server_create main
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
ledger_create main
ledger_start main 1
expect_status 0 basebackup-push --checkpoint=fast

step "a standby from the repository alone follows"
standby() { # NAME
    expect_status 0 basebackup-fetch -D "$T/$1"
    expect_status 0 recovery-config -D "$T/$1" --standby
    expect_true "standby.signal" test -e "$1/standby.signal"
    echo "wal_retrieve_retry_interval = 200ms" >>"$1/postgresql.conf"
    server_start "$1"
}
standby second
sleep 1
ledger_instant main first
archived main
follows() { ledger "$1" >follows.now && [ -z "$(comm -13 <(LC_ALL=C sort follows.now) <(LC_ALL=C sort "$2"))" ]; } # NAME FILE
wait_until 60 "the standby to have what was archived" follows second first
expect_true "it is a standby" sql_is second t "select pg_is_in_recovery()"
ledger_stop
ledger main >all
archived main
wait_until 60 "the standby to have everything" follows second all
expect_ledger second all

step "the primary is lost, the standby promoted; it archives its own timeline"
server_kill main
rm -rf main
pg_ctl -D second -s -w -t 60 promote
wait_open second
expect_ledger second all
ledger_start second 2
sleep 1
archived second
expect_true "the new timeline is in the archive" object_exists "$(wal_key 00000002.history)"

step "a standby of the new primary, from the same old base backup"
standby third
ledger_stop
ledger second >all
archived second
wait_until 60 "the next standby to have everything" follows third all
expect_ledger third all

step "both stop at once, asking the archive or not"
server_stop third
server_stop second
