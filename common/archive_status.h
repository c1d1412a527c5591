/* What PostgreSQL says of the files in pg_wal: pg_wal/archive_status/NAME.ready, it is finished and waits for
 * archive_command; NAME.done, it is archived, or came whole from elsewhere. Layer 1. */
#ifndef WALFERRY_ARCHIVE_STATUS_H
#define WALFERRY_ARCHIVE_STATUS_H

#include <stdbool.h>

/* Does the directory hold NAME followed by suffix (both "": is there such a directory)? 1, 0, or -1 after
 * logging. */
int archive_status_has(const char *pg_wal, const char *name, const char *suffix);

/* Does the file wait? What cannot be told is no. */
bool archive_status_waits(const char *pg_wal, const char *name);

#endif
