#!/bin/bash
# goal: each allocation, and each call of the kernel, that a program's own code makes is refused once: no false success, nothing half visible, an error that says so
# stores:
# turns: file s3
# limit: 600
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"
. "$here/cases.sh"
. "$here/refuse.sh"

step "a server with a tablespace, a backup of it, and a segment"
keys=repository new=new
[ "$STORE" = file ] || { fault_server faults && script && keys=faults/objects/$S3_BUCKET/$S3_PREFIX new=faults/objects/$S3_BUCKET/new; }
config_write $'[basebackup]\njobs = 2\nwal_timeout = 30\n[wal-fetch]\nhole_wait = 0'
cp "$CONFIG" archive.conf
main=main place=$T/place
mkdir place
server_create main --wal-segsize=1
system=$(system_identifier main)
expect_status 0 repository-init
server_start main
sql main "create tablespace elsewhere location '$place'" "create table t tablespace elsewhere as select generate_series(1, 1000) i"
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")
archived main
segment=$(cd main/pg_wal/archive_status && ls -- 0*.done | grep -v backup | tail -1)
segment=${segment%.done}
stored() { [ -e "$keys/$(wal_key "$segment")" ]; }
cases_prepare "$([ "$STORE" = file ] || echo "s3://$S3_BUCKET/new")"
if [ "$STORE" = file ]; then upkeep_prepare "file://$T/expired" expired
else upkeep_prepare "s3://$S3_BUCKET/expired" "faults/objects/$S3_BUCKET/expired"; fi

for program in push fetch init check list window config expire verify sync restore backup; do
    step "$program"
    rm -f copy/*.signal && touch copy/recovery.signal
    choose $program
    thin=$([[ $program == @(backup|restore) ]] && { [ "$STORE" = file ] && echo 5 || echo 9; } || echo 1) # these take so long
    case $program in expire) thin=60 ;; verify) thin=120 ;; sync) thin=160 ;; esac
    [[ $program.$STORE != @(expire|verify|sync).s3 ]] || thin=$((2 * thin))
    case $program in
    check) unsynced=fsync ;; # of the directory in which the probe was
    backup) unsynced='in (running_begin|sync_lanes)' ;; # what the next one would go on from, if this one were interrupted
    *) unsynced='' ;;
    esac
    most=$([[ $program.$STORE == @(backup.*|restore.*|verify.*|sync.*|*.s3) ]] && echo 2 || echo 1000) # string_copy's come from one place
    every_call
done

step "a file system without unnamed files, and no place for temporary files"
choose restore
restore_reset
expect_status 0 env REFUSE_LACKS=tmpfile LD_PRELOAD="$T/refuse.so" "${command[@]}"
restore_whole || fail "it is not whole"
expect_equal "temporary files" "" "$(find "$TMPDIR" -name 'walferry.*')"
restore_reset
TMPDIR=$T/nowhere expect_status 1 "${command[@]}"
expect_output "could not create a temporary file in \"$T/nowhere\": No such file"
expect_output "hint: Name another directory with the environment variable TMPDIR"
restore_check
step "a file system that tells each file twice, as some do when one is replaced meanwhile: it is in the backup once"
expect_status 0 env REFUSE_LACKS=once LD_PRELOAD="$T/refuse.so" basebackup-push --checkpoint=fast
expect_status 0 basebackup-fetch -D "$T/twice" --backup "$(tail -1 <<<"$output")" -T "$place=$T/elsewhere"
expect_status 0 pg_verifybackup -n -q twice
expect_true "the server is well" sql_is main 1 "select 1"
server_stop main
expect_rows 200+
