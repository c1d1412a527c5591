# goal: the same of very many small tables with their indexes
# stores: s3 file
restore_measure tables
