# goal: a restored directory of which one file in a hundred has changed is made right again; beside reading all of it once
# stores: s3 file
delta_measure data
