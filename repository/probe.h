/* What does this store do with "put if nothing is there"? */
#ifndef WALFERRY_REPOSITORY_PROBE_H
#define WALFERRY_REPOSITORY_PROBE_H

#include "common/repository.h"

#include <stdbool.h>

#define PROBE_TEXT_BYTES 64

/* A small object of the probe's: what was put, and under which versions. */
struct probe {
    char *key;                      /* "<cluster name>/probe-<16 hex>"; owned */
    char text[2][PROBE_TEXT_BYTES]; /* what the first and the second PUT carry */
    char version[2][128];           /* of each PUT that succeeded; "" where the store named none */
    unsigned puts;                  /* that succeeded */
};

/* Makes up a key that nobody has. 0, or -1 after logging. */
int probe_begin(const struct repository *repository, struct probe *probe);
/* Puts it twice, with different content. 0 with what was found, or -1 after logging. A refusal of the header
 * itself is logged as a warning. */
int probe_condition(struct repository *repository, struct probe *probe, enum store_condition *condition,
                    bool *versioned);
/* Deletes all versions that were put. False when some could not be: each is then named in a warning. Frees
 * the probe. */
bool probe_end(struct repository *repository, struct probe *probe);

/* The three in one. An object that could not be deleted is no failure. 0, or -1 after logging. */
int repository_probe(struct repository *repository, enum store_condition *condition, bool *versioned);

#endif
