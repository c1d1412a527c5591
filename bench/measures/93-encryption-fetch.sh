# goal: what it costs of a fetch
# stores: s3 file
encryption_fetch
