/* What was begun in a repository and never finished: multipart uploads, and temporary files of a directory.
 * No listing of objects shows them, but they take up room. */
#ifndef WALFERRY_LEFTOVERS_H
#define WALFERRY_LEFTOVERS_H

#include "common/retention.h"

enum leftover_verdict {
    LEFTOVER_GOES, /* it was begun longer than orphan_age ago, or goes with the backup in whose folder it lies
                    */
    LEFTOVER_YOUNG,  /* somebody may be at work on it */
    LEFTOVER_RUNNING /* of a backup that is unfinished and stays */
};

struct leftover {
    char *key;       /* owned, as upload_id; see store_unfinished */
    char *upload_id; /* "": a file */
    uint64_t bytes;
    int64_t begun;
    enum leftover_verdict verdict;
};

struct leftovers {
    struct leftover *items; /* owned */
    size_t count;
};

/* All below the cluster's folder. 0, or -1 after logging. leftovers_free in any case. */
int leftovers_load(struct repository *repository, struct leftovers *leftovers);
void leftovers_free(struct leftovers *leftovers);

/* Sets the verdicts, by a plan that is made. */
void leftovers_plan(const struct retention *retention, struct leftovers *leftovers);

#endif
