#!/bin/bash
# goal: which backup a restore takes, where it goes and with which modes; whatever it refuses is explained, and nothing is made
# turns: file s3
. "$(dirname "$0")/../lib.sh"

step "a server with group access, its WAL, a tablespace and pg_hba.conf elsewhere; two backups"
config_write
server_create main --allow-group-access --wal-segsize=1 --waldir="$T/wal"
mkdir "a=b" etc && mv main/pg_hba.conf etc/ && chmod 640 etc/pg_hba.conf
printf "hba_file = '%s/etc/pg_hba.conf'\nlog_file_mode = 0640\n" "$T" >>main/postgresql.conf
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
mapped=(-T "$T/a\\=b=$T/moved")
sql main "create tablespace spc location '$T/a=b'" "create table t (i int) tablespace spc"
clock() { sql main "select clock_timestamp()"; }
lsn() { sql main "select pg_current_wal_insert_lsn()"; }
time0=$(clock) lsn0=$(lsn)
sql main "insert into t values (1)"
expect_status 0 basebackup-push --checkpoint=fast --label one
one=$(tail -1 <<<"$output")
time1=$(clock) lsn1=$(lsn)
sql main "insert into t values (2)"
sleep 1.1 # the ids have whole seconds
expect_status 0 basebackup-push --checkpoint=fast --label two
two=$(tail -1 <<<"$output")
sql main "insert into t values (3)"
time2=$(clock) lsn2=$(lsn)
sql main "insert into t values (4)" # later than it
archived main
drop() { rm -rf copy moved copy.external; }
fetched() { # ID OPTION...: this backup is restored
    local id=$1
    expect_status 0 basebackup-fetch "${mapped[@]}" -D "$T/copy" "${@:2}"
    expect_output "backup $id, which ended at .*, is restored"
    expect_equal "the label" "$([ "$id" = "$one" ] && echo one || echo two)" "$(sed -n 's/^LABEL: //p' copy/backup_label)"
    drop
}
refused() { # STATUS PATTERN OPTION...: nothing is made
    expect_status "$1" basebackup-fetch "${mapped[@]}" -D "$T/copy" "${@:3}"
    output=${output//$'\n'/ }
    expect_output "$2"
    expect_absent copy moved copy.external
}

step "which backup: named, latest, by time, by LSN"
fetched "$two"
fetched "$one" --backup "$one" --target-time "$time2"
fetched "$one" --target-time "$time1"
fetched "$two" --target-lsn "$lsn2" --backup latest
fetched "$one" --target-lsn "$lsn1"

step "what no backup serves is explained, and nothing is made" # wound: pgbackrest#1582, #826, #2452, CNPG#264
stop() { basebackup-list --json | python3 -c 'import json, sys
print(next(b[sys.argv[2]] for b in json.load(sys.stdin)["backups"] if b["id"] == sys.argv[1]))' "$1" "$2"; }
refused 1 "not after the end of any backup.*$one" --target-time "$time0"
refused 1 "not after the end of any backup" --target-time "$(stop "$one" stop_time)" # its very end: commits may be missing
refused 1 "not after the end of any backup" --target-lsn "$lsn0"
refused 1 "not after the end of backup $two" --backup "$two" --target-time "$time1"
refused 1 "no complete backup \"20200101T000000Z-00000001-0000000001000028\"" --backup 20200101T000000Z-00000001-0000000001000028
refused 2 "not the id of a backup" --backup newest
refused 2 "not the id of a backup" --backup ../wal
refused 1 "in the future" --target-time "$(date -u -d '+1 hour' '+%F %T')+00" # before all is fetched for nothing
TZ=XYZ-5:30 refused 2 "no offset from UTC.*59\+05:30\"; as UTC it is .*59\+00\"" --target-time "2026-11-20 14:29:59"
refused 2 "is not a time" --target-time "yesterday"
refused 2 "not an LSN" --target-lsn "3/xyz"
refused 2 "exclude each other" --target-time "$time1" --target-lsn "$lsn1"
refused 1 "no tablespace at \"$T/ab\"" -T "$T/ab=$T/elsewhere"
refused 2 "absolute" -T "a=b"
refused 2 "equals sign" -T "$T/ab"
mapped=() && refused 1 "tablespace [0-9]+ \(\"spc\"\) was at \"$T/a=b\", which is not empty.*-T" && mapped=(-T "$T/a\\=b=$T/moved")
mkdir moved && : >moved/mine
expect_status 1 basebackup-fetch "${mapped[@]}" -D "$T/copy"
expect_output "\"$T/moved\" for tablespace .*is not empty: there is \"mine\""
expect_absent copy
rm -r moved
refused 1 "not a directory" -D "$T/etc/pg_hba.conf/copy"

step "a directory that is not empty, or in use"
expect_status 1 basebackup-fetch "${mapped[@]}" -D "$T/main"
expect_output "in use: its postmaster.pid names process $(head -1 main/postmaster.pid)"
mkdir copy && : >copy/.hidden
expect_status 1 basebackup-fetch "${mapped[@]}" -D "$T/copy"
expect_output "not empty: there is \".hidden\""
expect_equal "what is in it" .hidden "$(ls -A copy)"
rm -r copy
: >copy
expect_status 1 basebackup-fetch "${mapped[@]}" -D "$T/copy"
expect_true "the file is untouched" test -f copy -a ! -s copy
rm copy
ln -s elsewhere copy # a link that leads nowhere is not followed into the blue
expect_status 1 basebackup-fetch "${mapped[@]}" -D "$T/copy"
expect_absent elsewhere
rm copy
mkdir elsewhere && ln -s elsewhere copy
expect_status 0 basebackup-fetch "${mapped[@]}" -D "$T/copy"
expect_true "restored behind the link" test -s elsewhere/global/pg_control
rm -r elsewhere && drop

step "root is refused"
if unshare --user --map-root-user true; then
    expect_status 1 unshare --user --map-root-user "$(command -v basebackup-fetch)" "${mapped[@]}" -D "$T/copy"
    expect_output "cannot be run as root"
    expect_absent copy
else
    echo "not tried: this machine has no user namespaces"
fi

step "modes of a cluster with group access, whatever the umask; WAL and tablespace are where they should be"
(umask 077 && expect_status 0 basebackup-fetch "${mapped[@]}" -D "$T/copy")
expect_status 0 pg_verifybackup -n copy
modes() { (cd "$1" && find . -name pg_wal -prune -o \( -type f -o -type d \) -printf '%m %y\n' | sort -u); }
expect_equal "modes of the original" "$(printf '600 f\n640 f\n750 d')" "$(chmod 600 main/postmaster.opts && modes main)"
expect_equal "modes of the copy" "$(printf '640 f\n750 d')" "$(modes copy)"
expect_equal "modes of the tablespace" "$(printf '640 f\n750 d')" "$(modes moved)"
expect_true "pg_wal is a directory" test -d copy/pg_wal -a ! -L copy/pg_wal
expect_equal "the tablespace's link" "$T/moved" "$(readlink copy/pg_tblspc/*)"
expect_true "files from outside lie beside it" test -f "copy.external$T/etc/pg_hba.conf"
expect_status 0 recovery-config -D "$T/copy"
expect_equal "modes after recovery-config" "$(printf '640 f\n750 d')" "$(modes copy)"
server_start copy
wait_open copy
expect_equal "rows" "1 2 3 4" "$(sql copy "select i from t order by 1" | paste -sd' ')"
server_stop copy
drop

step "--external: there, if it is empty"
mkdir full && : >full/mine
expect_status 1 basebackup-fetch "${mapped[@]}" -D "$T/copy" --external "$T/full"
expect_output "\"$T/full\" .*not empty: there is \"mine\""
expect_absent copy moved
expect_status 0 basebackup-fetch "${mapped[@]}" -D "$T/copy" --external "$T/out side"
expect_same "pg_hba.conf" etc/pg_hba.conf "out side$T/etc/pg_hba.conf"
expect_equal "its mode" 640 "$(stat -c %a "out side$T/etc/pg_hba.conf")"
expect_absent copy.external
drop

step "killed in the middle: it cannot be started, and that is said; the next restore needs another place"
for try in 1 2 3 4 5; do
    basebackup-fetch "${mapped[@]}" -D "$T/copy" --jobs 1 >fetch.log 2>&1 &
    fetch=$!
    while [ ! -e copy/base/1 ] && [ -d /proc/$fetch ]; do :; done
    kill -KILL $fetch 2>/dev/null || true
    status=0
    wait $fetch || status=$?
    [ $status = 0 ] || break
    drop
done
expect_equal "status of a killed restore" 137 $status
expect_absent copy/global/pg_control
cp main/PG_VERSION copy/ # may have come or not; without pg_control it does not matter
status=0
postgres -D copy -c config_file="$T/main/postgresql.conf" -k "$T/run" -c listen_addresses='' >postgres.log 2>&1 || status=$?
cat postgres.log
expect_true "the server does not start" test $status != 0
expect_true "and says why" grep -q "could not open file .*global/pg_control" postgres.log
expect_status 1 recovery-config -D "$T/copy"
expect_output "interrupted.*run basebackup-fetch again|not a data directory"
expect_status 1 basebackup-fetch "${mapped[@]}" -D "$T/copy"
expect_output "not empty"
drop
basebackup-fetch "${mapped[@]}" -D "$T/copy" --jobs 1 >fetch.log 2>&1 &
fetch=$!
while [ ! -e copy/base/1 ] && [ -d /proc/$fetch ]; do :; done
kill -TERM $fetch 2>/dev/null || true
status=0
wait $fetch || status=$?
cat fetch.log
if [ $status != 0 ]; then # it may have been done already
    expect_equal "status after SIGTERM" 143 $status
    output=$(cat fetch.log)
    expect_output "interrupted: \"$T/copy\" is incomplete"
    command=$(sed -n 's/.*can be removed before the next try: //p' fetch.log) # what the hint says, it does
    echo "\$ $command"
    eval "$command"
    expect_absent copy moved copy.external
fi
