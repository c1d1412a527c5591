/* What the retention policy of a repository would let go of now, as basebackup-expire --dry-run tells it. */
#ifndef WALFERRY_GATHER_PLAN_H
#define WALFERRY_GATHER_PLAN_H

#include "picture.h"

/* Reads the repository once more. 0, also without a policy, or -1 after logging. */
int gather_plan(struct repository *repository, struct picture_repository *picture);

#endif
