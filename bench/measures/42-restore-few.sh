# goal: the same of few files: what memory does that take?
# stores: s3 file
restore_measure few walferry
