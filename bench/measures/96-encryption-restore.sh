# goal: what it costs of a restore
# stores: s3 file
encryption_restore
