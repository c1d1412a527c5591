/* Goes on from an interrupted backup: parts that are still stored, and all of whose files still have the very
 * content, are copied by the store into the new backup's folder, and their files are not sent again. So the
 * new backup is whole by itself. What does not fit is sent anew, as if there had been no backup before. */
#ifndef WALFERRY_RESUME_H
#define WALFERRY_RESUME_H

#include "common/progress.h"
#include "part.h"
#include "path_set.h"
#include "unchanged.h"

struct resume_settings {
    const struct state *state; /* all borrowed */
    struct targets *targets;
    struct catalog *catalog;
    struct tree *tree;
    struct path_set *told;    /* gets the paths, as in the index, of the files that are taken over */
    struct page_check *pages; /* NULL: pages have no checksums */
    struct progress *progress;
    struct rate *rate;
    uint32_t timeline;
    unsigned age_seconds; /* without a sign of life for longer, a backup is not gone on with */
};

struct resume;

/* Looks for one. NULL: there is nothing to go on from (why is logged where it may be asked). */
struct resume *resume_find(const struct resume_settings *settings);
void resume_free(struct resume *resume); /* NULL-safe */

/* A worker's part: takes over one part after the other until there is none left. 0, or -1 after logging (or
 * when interrupt_requested): the backup has failed. */
int resume_work(struct resume *resume, struct part_writer *parts);

/* Says how much was taken over. When all workers have ended. */
void resume_tell(const struct resume *resume);

/* A part in the new backup's folder that its index does not know would come out by hand, so none may stay:
 * removes what was copied there in vain. The last thing before the backup is complete, since a store may make
 * a copy when nobody waits for it any more. What can't be removed is said, as a warning. NULL-safe. */
void resume_take_back(struct resume *resume);

#endif
