/* pg_wal of the cluster that a delta restore goes into: what it holds may be the last that there is of some
 * commits, so it is kept, under another name, unless the repository has all of it. */
#ifndef WALFERRY_RESTORE_WAL_H
#define WALFERRY_RESTORE_WAL_H

#include "common/backup.h"
#include "path_set.h"
#include "restore_place.h"

struct restore_wal {
    char *aside; /* where pg_wal is to be moved; NULL: it need not be kept */
};

/* Compares each segment, .partial and .history in pg_wal with the repository's, by SHA-256. If a restore has
 * written there already, files that the backup itself has, with that size, are left out: they came from
 * there. Makes nothing. 0, or -1 after logging: it can't be told, or could not be kept. */
int restore_wal_look(struct repository *repository, const struct backup *backup, const char *data_directory,
                     struct path_set *wanted, bool is_written, struct restore_wal *wal);
/* 0, or -1 after logging: pg_wal is where it was. */
int restore_wal_keep(const struct restore_wal *wal, const struct restore_places *places);
void restore_wal_free(struct restore_wal *wal); /* NULL-safe */

#endif
