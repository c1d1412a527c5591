# goal: what encryption costs of a push
# stores: s3 file
encryption_push
