# goal: the same with as many workers as backups have, which share the cores with the S3 server
# stores: s3 file
verify_measure "$JOBS"
