/* Carries out what expire_plan.h has planned, in an order that may be interrupted anywhere:
 *
 *   started.json, manifest and index first: what has no manifest is no backup, so none is ever offered whose
 *   parts or WAL are on their way; and what has neither of the three did not lose one of them (holdings.c);
 *   uploads and temporary files that were never finished, so that folders become empty;
 *   the rest of the folders; of a backup that was given up started.json last (the next run finds the rest);
 *   then WAL, the oldest first, so that no hole comes up before what stays;
 *   with it restore-points/ and index/, which are of no use without.
 *
 * No .history file is ever deleted. */
#ifndef WALFERRY_EXPIRE_H
#define WALFERRY_EXPIRE_H

#include "expire_plan.h"

struct expire_result {
    uint64_t removed, locked; /* objects */
    uint64_t removed_bytes;
};
/* Each backup is asked for once more right before it goes. Where it turns out to be locked, or was pinned,
 * completed or gone on with since, plan and proof are made again with it; what was told to stay stays. 0, or
 * -1 after logging: the rest is for the next run. */
int expire_carry_out(struct expire_plan *plan, struct expire_result *result);

#endif
