/* Legal holds on the objects of a backup: as long as they are on, the store deletes none of them, whoever
 * asks. */
#ifndef WALFERRY_BASEBACKUP_HOLD_H
#define WALFERRY_BASEBACKUP_HOLD_H

#include "common/repository.h"

/* Puts a hold on the newest version of each object in the backup's folder (but heartbeat.json), or takes it
 * off all versions. *count: of how many objects. What was done before a failure stays: the same call again
 * does the rest. 0, or -1 after logging. */
int hold_backup(struct repository *repository, uint64_t system_identifier, const char *id, bool on,
                unsigned *count);

#endif
