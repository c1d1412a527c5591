/* Legal holds on what a backup needs: as long as they are on, the store deletes none of it, whoever asks. */
#ifndef WALFERRY_BASEBACKUP_HOLD_H
#define WALFERRY_BASEBACKUP_HOLD_H

#include "common/repository.h"

/* Puts a hold on the newest version of each object that a restore needs: what is in the backup's folder (but
 * heartbeat.json), the WAL that makes it consistent (none where the backup includes it), its timeline's
 * history, cluster.json and keys/. Or takes it off all versions of them: but for what another pinned backup
 * needs as well. The repository's cluster must be loaded. *count: of how many objects. What was done before a
 * failure stays: the same call again does the rest. 0, or -1 after logging. */
int hold_backup(struct repository *repository, uint64_t system_identifier, const char *id, bool on,
                unsigned *count);

#endif
