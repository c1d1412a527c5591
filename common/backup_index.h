/* Gets the index of a backup from its repository. Layer 3. */
#ifndef WALFERRY_BACKUP_INDEX_H
#define WALFERRY_BACKUP_INDEX_H

#include "backup.h"
#include "index_reader.h"

/* The index of a backup, got from the repository and verified against the manifest before any of it is acted
 * upon; kept in an unlinked file. */
struct backup_index {
    char *backup_id;
    char *what; /* in messages */
    int spool;
};
#define BACKUP_INDEX_CLOSED                                                                                  \
    {                                                                                                        \
        NULL, NULL, -1                                                                                       \
    }
enum repository_result backup_index_open(struct repository *repository, const struct backup *backup,
                                         struct backup_index *index);
/* Any number of times. A malformed line and a failure of each can't be told apart: both were logged, both are
 * REPOSITORY_SINK. */
enum repository_result backup_index_read(const struct backup_index *index,
                                         int (*each)(void *context, struct index_entry *entry),
                                         void *context);
void backup_index_close(struct backup_index *index); /* NULL-safe */

/* All three for one reading. */
enum repository_result backup_index_load(struct repository *repository, const struct backup *backup,
                                         int (*each)(void *context, struct index_entry *entry),
                                         void *context);

#endif
