/* Signs of life of a backup that is not complete: started.json, written first, and heartbeat.json, replaced
 * every few minutes while somebody works on it. Layer 3. Format: docs/format.md. */
#ifndef WALFERRY_BACKUP_SIGN_H
#define WALFERRY_BACKUP_SIGN_H

#include "backup.h"

/* Whose last sign is younger may still be at work: three times what lies between two heartbeats. */
#define BACKUP_ALIVE_MICROSECONDS (900 * 1000000ll)

/* When it was last heard of there, by the store's clock; 0: it is not known there any more. 0, or -1 after
 * logging. */
int backup_last_sign(struct repository *repository, uint64_t system_identifier, const char *id,
                     int64_t *time);

/* The same of a folder below the system's, "base/<id>" or "dumps/<id>". */
int sign_last(struct repository *repository, uint64_t system_identifier, const char *folder, int64_t *time);

/* heartbeat.json, appended. 0, or -1 after logging. */
int backup_heartbeat_seal(const char *id, int64_t now, struct buffer *out);

#endif
