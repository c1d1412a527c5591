/* The documents of a backup in the making: started.json, and in the end its index and manifest.json. */
#ifndef WALFERRY_DOCUMENTS_H
#define WALFERRY_DOCUMENTS_H

#include "catalog.h"
#include "common/targets.h"

/* started.json: who began which backup, when and where. Appended. 0, or -1 after logging. */
int documents_started(const struct backup *backup, struct buffer *out);

/* Stores the packed index, then manifest.json, in every target that lives: to each what its lane holds. Right
 * before either it lists the target's folder: one that lacks started.json or a part is given up.
 * *backup gets the totals of the first lane. directory: for a temporary file; may be NULL. 0, or -1 after
 * logging when no target is left, or silently when it was interrupted before. */
int documents_put(struct targets *targets, struct catalog *catalog, const char *directory,
                  struct backup *backup);

#endif
