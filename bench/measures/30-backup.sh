# goal: a full backup of a quiet server, with the WAL it needs; the floor reads the files and knows nothing of a server
# stores: s3 file
contenders=(walferry pgbackrest floor)
rounds=$BACKUP_ROUNDS
begin() { set_up; }
prepare() { archive_with "$1"; }
call() { backup_call "$1"; }
check() { :; } # they wait for their WAL and say themselves whether all is there
