# goal: one worker of a full verification beside a plain download of the same objects, a full backup and its WAL, over one connection
# stores: s3 file
verify_measure 1
