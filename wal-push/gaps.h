/* The gap markers (common/gap.h) of this machine, in state_dir:
 *
 *     gap-<system>-<first segment>.open      may grow by the next segment
 *     gap-<system>-<first segment>.closed    has been sent somewhere, and is what it is
 *     gap-<system>-<first segment>.sent      is in every required repository
 *
 * Each is durable before the WAL that it tells of is let go of. */
#ifndef WALFERRY_GAPS_H
#define WALFERRY_GAPS_H

#include "source.h"

#include "common/repository.h"
#include "common/state.h"

/* Marks the segment as let go of. 0 when that is durable, else -1 after logging. */
int gaps_add(const struct state *state, const struct source *source);
/* Puts what was not sent yet into a repository. 0, or -1 after logging: no later segment may go there. */
int gaps_send(const struct state *state, struct repository *repository, uint64_t system_identifier);
/* Every required repository has them. */
void gaps_all_sent(const struct state *state, uint64_t system_identifier);

#endif
