# goal: what it costs of a push of a segment that nothing compresses
# stores: s3 file
encryption_push random
