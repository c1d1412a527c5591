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
    size_t unopened;  /* could not even be opened (logged) */
    int64_t deadline; /* monotonic */
};

/* only: --repository, or NULL. Asks nothing yet. 0, or -1 after logging. inquiry_close in any case. */
int inquiry_open(const struct config *config, const char *only, const struct state *state,
                 const struct situation *situation, struct landing *landing, struct inquiry *inquiry);

/* OUTCOME_FOUND: the whole, verified content is in the landing, which is not finished yet. */
enum outcome inquiry_run(struct inquiry *inquiry);

void inquiry_close(struct inquiry *inquiry);

#endif
