# goal: a full backup of a quiet server, with the WAL it needs; the floor and read know nothing of a server, read sends nothing
# stores: s3 file
backup_measure data
