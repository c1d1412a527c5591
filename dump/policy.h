/* Which dumps stay, and which go, by a repository's policy. docs/dumps.md has the rules. */
#ifndef WALFERRY_DUMP_POLICY_H
#define WALFERRY_DUMP_POLICY_H

#include "common/dump.h"

enum dump_reason {
    DUMP_KEPT_NEWEST = 1 << 0, /* the newest complete one, whatever the policy says */
    DUMP_KEPT_COUNT = 1 << 1,
    DUMP_KEPT_AGE = 1 << 2,
    DUMP_KEPT_MONTHLY = 1 << 3,
    DUMP_KEPT_DAMAGED = 1 << 4, /* its manifest is damaged, or can't be read */
    DUMP_KEPT_RUNNING = 1 << 5, /* unfinished, and heard of lately */
    DUMP_KEPT_FUTURE = 1 << 6,  /* it ended later than now: a clock is wrong */
    DUMP_KEPT_LAST = 1 << 7,    /* not the newest, but of a database, or the globals, it is */
};
#define DUMP_REASONS 8
const char *dump_reason_name(unsigned reason); /* one bit */

/* reasons: an item for each entry, 0: it goes. now: by the store's clock. 0, or -1 after
 * logging. */
int dump_policy_plan(const struct retention_policy *policy, const struct dump_list *list, int64_t now,
                     unsigned *reasons);

#endif
