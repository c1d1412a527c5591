/* What is to be copied: what the policy of the other repository would keep if it had it, unless all is asked
 * for; else its basebackup-expire would remove tonight what came last night. */
#ifndef WALFERRY_SYNC_PLAN_H
#define WALFERRY_SYNC_PLAN_H

#include "common/holdings.h"
#include "sync.h"

/* What lies in a backup's folder, as a listing tells. */
struct sync_folder {
    uint64_t parts, part_bytes, index_bytes;
    bool is_irregular; /* the numbers of its parts are not 1, 2, 3 ... in each series */
    bool has_map;      /* tablespace_map */
    bool is_settled;   /* it has all that its manifest tells of, or can't be mended from the other */
};

struct sync_plan {
    struct backup_list from, to; /* what each has; of all systems */
    struct sync_folder *folders; /* of those of to, in their order */
    struct holdings holdings;    /* of both together, planned by the other's policy */
    bool is_judged;              /* else nothing is left out because of a policy */
};

/* 0, or -1 after logging. sync_plan_free in any case. */
int sync_plan_load(struct sync *sync, struct sync_plan *plan);
void sync_plan_free(struct sync_plan *plan);

/* Of the system at hand, by --last and by the policy. */
enum sync_choice {
    SYNC_PASS, /* it is there, with all that belongs to it, or not asked for */
    SYNC_LEAVE_OUT,
    SYNC_COPY
};
enum sync_choice sync_plan_choose(const struct sync *sync, const struct backup *backup);
/* With --last WAL is copied from there on. */
uint64_t sync_plan_first_lsn(const struct sync *sync);
/* Would the other let go of the segments that this WAL file (of any kind) tells of? */
bool sync_plan_lets_go(const struct sync *sync, const char *file);

#endif
