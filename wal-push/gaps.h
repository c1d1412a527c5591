/* The gap markers (common/gap.h) of this machine, in state_dir:
 *
 *     gap-<system>-<first segment>.open      may grow by the next segment
 *     gap-<system>-<first segment>.closed    has been sent somewhere, and is what it is
 *     gap-<system>-<first segment>.sent      is in every repository
 *     gap-<system>-<first segment>.in-<repository>.json    this one (state_name) has it, or all that it tells
 * of
 *
 * Each of the first three is durable before the WAL that it tells of is let go of. */
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
/* Those that every repository has, also the ones that are not required, are done with. */
void gaps_finish(const struct config *config, const struct state *state, uint64_t system_identifier);

#endif
