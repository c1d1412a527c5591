/* What a full verification reads, and in which order: what has not been verified for longest comes first, but
 * what was cut short last time is gone on with before all. */
#ifndef WALFERRY_VERIFY_PLAN_H
#define WALFERRY_VERIFY_PLAN_H

#include "common/report.h"
#include "verify.h"

/* A backup, the folder of one log of WAL, or one of small objects (verify_folders.h). */
struct verify_unit {
    char name[REPORT_UNIT_BYTES];   /* as in reports/ */
    const struct backup *backup;    /* borrowed; NULL: none */
    const struct verify_kind *kind; /* of the objects in its folder; NULL: it is a backup */
    struct verified_state known;    /* before this run */
    char last[REPORT_OBJECT_BYTES]; /* its objects up to this one are done; "": it begins anew */
    bool is_done;                   /* in this run */
    uint64_t bytes;                 /* stored; of WAL the segments */
};

struct verify_plan {
    struct verify_unit *units; /* owned */
    size_t count;
    uint64_t bytes;
    int64_t now; /* by the store's clock */
};

/* 0, or -1 after logging. verify_plan_free in any case. */
int verify_plan_make(struct verify *verify, struct verify_plan *plan);
void verify_plan_free(struct verify_plan *plan);

/* The folder of a unit that is no backup, as in "wal/0000000100000003" or "notes"; caller frees; NULL after
 * logging. */
char *verify_unit_folder(const struct verify_unit *unit);

/* What was found damaged before and has not been looked at again, from its beginning, is still a finding. */
void verify_plan_tell_known(struct verify *verify, const struct verify_plan *plan);

#endif
