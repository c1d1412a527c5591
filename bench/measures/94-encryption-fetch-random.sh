# goal: what it costs of a fetch of a segment that nothing compresses
# stores: s3 file
encryption_fetch random
