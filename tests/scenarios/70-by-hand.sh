#!/bin/bash
# goal: docs/recover-by-hand.md, word by word: with lz4 and tar alone the cluster and its two tablespaces come back
# turns: file s3
. "$(dirname "$0")/../lib.sh"
. "$here/by-hand.sh"

step "a server with two tablespaces and a file outside its data directory"
config_write
server_create main
mkdir one two etc
mv main/pg_hba.conf etc/
printf "hba_file = '%s/etc/pg_hba.conf'\nlisten_addresses = ''\n" "$T" >>main/postgresql.conf
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create tablespace one location '$T/one'" "create tablespace two location '$T/two'" \
    "create table a tablespace one as select i from generate_series(1, 30000) i" \
    "create table b tablespace two as select i from generate_series(1, 30000) i"
ledger_create main
ledger_start main 1
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")
sql main "insert into a select i from generate_series(1, 1000) i"
ledger_instant main expected
sleep 0.5
ledger_stop
ledger main >newest
archived main
files() { find one two -printf '%i %n %s %T@ %p\n' | sort; }
sql main "checkpoint"
files >files.before

step "the page's commands"
by_hand_read
repository=$T/repository
if [ "$STORE" = s3 ]; then
    object_list | while read -r key _; do mkdir -p "$repository/$(dirname "$key")" && object_get "$key" "$repository/$key"; done
fi
by_hand restored "$instant"
wait_paused restored
expect_ledger restored expected
expect_equal "rows in the tablespaces" "31000|30000" "$(sql restored "select (select count(*) from a), (select count(*) from b)")"
expect_equal "tablespaces" 2 "$(find restored/pg_tblspc -type l -lname "$T/restored.tablespaces/*" | wc -l)"
expect_same "the file outside" etc/pg_hba.conf "restored.external$T/etc/pg_hba.conf"
sql restored "select pg_wal_replay_resume()" >/dev/null
wait_open restored
sql restored "delete from a" "checkpoint"
server_stop restored

step "without a time: the newest"
by_hand again ""
wait_open again
expect_ledger again newest
server_stop again

step "the original has not noticed, nor has its repository"
files >files.now
expect_same "the original's tablespaces" files.before files.now
expect_equal "rows in the original" 31000 "$(sql main "select count(*) from a")"
expect_true "no second timeline" test ! -e "$repository/main/$system/wal/00000002.history"
