#!/bin/bash
# goal: a cluster whose configuration lies outside its data directory, as Debian's do, comes back on a bare machine
# turns: file s3
. "$(dirname "$0")/../lib.sh"

step "a server in Debian's manner: postgresql.conf, pg_hba.conf, pg_ident.conf, conf.d elsewhere"
config_write
server_create main
mkdir -p etc/conf.d
mv main/postgresql.conf main/pg_hba.conf main/pg_ident.conf etc/
cat >>etc/postgresql.conf <<CONF
data_directory = '$T/main'
external_pid_file = '$T/main.pid'
hba_file = '$T/etc/pg_hba.conf'
ident_file = '$T/etc/pg_ident.conf'
include_dir = 'conf.d'
include_if_exists = 'not-there.conf'
CONF
echo "cluster_name = 'from conf.d'" >etc/conf.d/10-name.conf
echo "work_mem = '5MB'" >etc/more.conf
echo "include '../more.conf'" >etc/conf.d/20-more.conf
chmod 640 etc/pg_hba.conf
start() { mkdir -p run/main; pg_ctl -D "$T/main" -l main.log -s -w -o "-c config_file=$T/etc/postgresql.conf -k $T/run/main -c listen_addresses=''" start; }
expect_status 0 repository-init
start
ledger_create main
ledger_start main 1
expect_status 0 basebackup-push --checkpoint=fast
sleep 1
ledger_instant main expected
sleep 0.5
archived main

step "the machine is gone: data directory and configuration"
server_kill main
ledger_stop
cp -a etc etc.before
rm -rf main etc

step "a bare machine: the data directory, and beside it what lay elsewhere"
expect_status 0 basebackup-fetch --target-time "$instant" -D "$T/main"
expect_true "the files lie beside the data directory" test -f "main.external$T/etc/postgresql.conf"
expect_status 0 pg_verifybackup -n main
cp -a "main.external$T/etc" etc
for file in postgresql.conf pg_hba.conf pg_ident.conf conf.d/10-name.conf conf.d/20-more.conf more.conf; do
    expect_same "$file" "etc.before/$file" "etc/$file"
    expect_equal "mode of $file" "$(stat -c %a "etc.before/$file")" "$(stat -c %a "etc/$file")"
done
expect_status 0 recovery-config -D "$T/main" --target-time "$instant" --action promote
start
wait_open main
expect_ledger main expected
expect_equal "a setting out of conf.d" "from conf.d|5MB" "$(sql main "select current_setting('cluster_name'), current_setting('work_mem')")"

step "a copy beside it, started by the very command that basebackup-fetch prints: the original does not notice"
mkdir -p run/copy
cp main.pid main.pid.before
expect_status 0 basebackup-fetch --target-time "$instant" -D "$T/copy"
command=$(sed -n 's/.*start the server with \(pg_ctl .* start\)$/\1/p' <<<"$output")
expect_status 0 recovery-config -D "$T/copy" --target-time "$instant"
expect_status 0 bash -c "$command -o \"-k $T/run/copy -c listen_addresses=''\""
wait_paused copy
expect_ledger copy expected
expect_same "the original's external_pid_file" main.pid.before main.pid
pg_ctl -D copy -s -w -m fast stop
expect_same "the original's external_pid_file" main.pid.before main.pid
