/* What is to go from one repository, and what stays: all of it asked and planned, nothing removed yet. */
#ifndef WALFERRY_EXPIRE_PLAN_H
#define WALFERRY_EXPIRE_PLAN_H

#include "common/holdings.h"
#include "leftovers.h"

struct expire_plan {
    struct holdings holdings;
    struct leftovers leftovers;
    bool lacks_leftovers; /* the store did not tell them (logged): they are for another run */
};

/* As holdings_load; the plan is proven. Where the bucket keeps versions the manifests that would go are asked
 * for locks, and what is locked is planned for. 0, or -1 after logging. expire_plan_free in any case. */
int expire_plan_make(struct repository *repository, struct expire_plan *plan);
/* Plan and proof anew, from what is known by now of each backup. 0, or -1 after logging. */
int expire_plan_again(struct expire_plan *plan);
void expire_plan_free(struct expire_plan *plan);

#endif
