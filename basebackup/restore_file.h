/* --file: one file of a backup, to be looked at, or put where it is missing. */
#ifndef WALFERRY_RESTORE_FILE_H
#define WALFERRY_RESTORE_FILE_H

#include "common/backup.h"

/* path: relative to the data directory, a tablespace's is pg_tblspc/<oid>/...; with a leading slash that of a
 * file from outside. output: a file that does not exist, or "-". It has its name, or goes to standard output,
 * only when it is verified. 0, or -1 after logging (without, when interrupt_signal). */
int restore_one_file(struct repository *repository, const struct backup *backup, const char *path,
                     const char *output);

#endif
