# goal: the same where what is read lies on the disk alone, as it does in a nightly verification
# stores: file
verify_measure 1 cold
