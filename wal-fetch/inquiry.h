/* One question to all repositories: who has this file? */
#ifndef WALFERRY_INQUIRY_H
#define WALFERRY_INQUIRY_H

#include "landing.h"
#include "situation.h"

#include "common/repository.h"

struct inquiry {
    const struct config *config; /* borrowed, as the next three */
    const struct state *state;
    const struct situation *situation;
    struct landing *landing;
    struct repository *repositories; /* those of the configuration, or the chosen one */
    size_t count;
    size_t unopened;           /* could not even be opened (logged) */
    int64_t deadline;          /* monotonic */
    struct object_facts facts; /* of what was found */
};

/* Of all repositories of the configuration. Asks nothing yet. 0, or -1 after logging. inquiry_close in any
 * case. */
int inquiry_open(const struct config *config, const struct state *state, const struct situation *situation,
                 struct landing *landing, struct inquiry *inquiry);

/* OUTCOME_FOUND: the whole, verified content is in the landing, which is not finished yet. */
enum outcome inquiry_run(struct inquiry *inquiry);

/* For reading ahead: asks each once, for seconds without progress at most. Only OUTCOME_FOUND means anything
 * to anybody. *rest (one for each repository, all 0 at first) remembers which of them failed: such a one is
 * left alone for a while. */
enum outcome inquiry_ask_once(struct inquiry *inquiry, unsigned seconds, int64_t *rest);

void inquiry_close(struct inquiry *inquiry);

#endif
