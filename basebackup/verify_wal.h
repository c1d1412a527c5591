/* Is the WAL there that the backups need, and does it go on without a hole? By names and lengths alone. */
#ifndef WALFERRY_VERIFY_WAL_H
#define WALFERRY_VERIFY_WAL_H

#include "verify.h"

/* Loads verify->archive; what is wrong with it is told. 0, or -1 after logging: it could not be found out. */
int verify_wal_load(struct verify *verify);
/* From each selected backup on along every timeline that leads on from it. 0, or -1 after logging. */
int verify_wal(struct verify *verify);

/* Key of a segment; caller frees; NULL after logging. */
char *verify_segment_key(const struct verify *verify, uint32_t timeline, uint64_t number);
/* The first and the last segment that make a backup consistent. */
void verify_backup_segments(const struct backup *backup, uint64_t *first, uint64_t *last);

#endif
