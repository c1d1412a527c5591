/* The gap markers (common/gap.h) of this machine, in state_dir:
 *
 *     gap-<system>-<first segment>.open      may grow by the next segment
 *     gap-<system>-<first segment>.closed    has been sent somewhere, and is what it is
 *     gap-<system>-<first segment>.in-<repository>.json    a repository has it, or all that it tells of
 *
 * Each of the first two is durable before the WAL that it tells of is let go of. What a repository has is
 * told by the last alone, by what makes it this repository (state_name): another configuration may use the
 * same state_dir, and a repository may come later. */
#ifndef WALFERRY_GAPS_H
#define WALFERRY_GAPS_H

#include "shipper.h"
#include "source.h"

#include "common/repository.h"
#include "common/state.h"

/* Marks the segment as let go of, in the repositories that have not stored it just now. 0 when that is
 * durable, else -1 after logging. */
int gaps_add(const struct source *source, const struct shipper *shipper);
/* Puts what was not sent yet into a repository. 0, or -1 after logging: no later segment may go there. */
int gaps_send(const struct state *state, struct repository *repository, uint64_t system_identifier);

#endif
