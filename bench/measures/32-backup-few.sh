# goal: the same of few files: what memory does that take?
# stores: s3 file
backup_measure few walferry
