/* A backup as JSON for programs: what basebackup-list --json shows and basebackup-push --json reports. */
#ifndef WALFERRY_BACKUP_JSON_H
#define WALFERRY_BACKUP_JSON_H

#include "backup_sizes.h"
#include "common/json.h"

/* Sets the members that basebackup-list(1) describes, but for the repository. sizes: NULL: unknown. */
void backup_json_fill(struct json *object, const struct backup *backup, const struct backup_sizes *sizes);

/* Its list of invalid pages alone. */
struct json *backup_page_errors_json(const struct backup *backup);

/* How long it took; 0 where that is not known: what a standby replayed may be older than its backup. */
uint64_t backup_duration_seconds(const struct backup *backup);

#endif
