# goal: what it costs of a backup
# stores: s3 file
encryption_backup
