# goal: the same of very many small tables with their indexes
# stores: s3 file
delta_measure tables
