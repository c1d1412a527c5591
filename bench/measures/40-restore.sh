# goal: the restore of a full backup into an empty directory, on disk at the end
# stores: s3 file
restore_measure data
