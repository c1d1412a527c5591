/* Legal holds on what a backup needs: as long as they are on, the store deletes none of it, whoever asks. */
#ifndef WALFERRY_BASEBACKUP_HOLD_H
#define WALFERRY_BASEBACKUP_HOLD_H

#include "common/repository.h"

/* Puts a hold on the newest content of each object that a restore needs, also where somebody has deleted it
 * since: what is in the backup's folder (but heartbeat.json), the WAL that makes it consistent (none where
 * the backup includes it), its timeline's history, cluster.json and keys/. If any of it is missing, what is
 * there is held, and that is a failure. Or takes it off all versions of them: but for what another pinned
 * backup needs as well. The repository's cluster must be loaded. *knows_wal: the manifest could be read; else
 * nothing was done about WAL. What was done before a failure stays: the same call again does the rest. 0, or
 * -1 after logging. */
int hold_backup(struct repository *repository, uint64_t system_identifier, const char *id, bool on,
                bool *knows_wal);

#endif
