/* The index that an interrupted backup left in state_dir (running.h), read part by part. */
#ifndef WALFERRY_OLD_INDEX_H
#define WALFERRY_OLD_INDEX_H

#include "common/backup_part.h"
#include "common/index_reader.h"
#include "common/targets.h"

/* A part as one lane has it. */
struct old_part {
    struct backup_part *part; /* its files, as the index has them; NULL: the lane is left out */
    uint64_t files;
    struct buffer lines; /* of its files, word by word */
};

/* What belongs together: one part, or all those that hold one file in pieces. */
struct old_unit {
    struct old_part *parts; /* part by part, in each lane by lane */
    size_t count;           /* of parts, in each lane */
    size_t lanes;
    size_t first; /* lane that is not left out */
};
struct old_part *old_unit_part(const struct old_unit *unit, size_t part, size_t lane);
/* What is the same in all lanes: its name, and of its files all but where they lie in it. */
const struct backup_part *old_unit_any(const struct old_unit *unit, size_t part);
void old_unit_free(struct old_unit *unit);

struct old_index;

/* directory: state_dir. targets: a lane without one that lives is left out, since it may have died in that
 * backup, too, and have little of it. NULL when there is none that can be read (logged). */
struct old_index *old_index_open(const char *directory, const char *backup_id, const struct targets *targets);
void old_index_close(struct old_index *index); /* NULL-safe */

/* The next unit that all lanes but those left out have whole; the caller frees it. 1: it is filled; 0: that
 * was all, or what follows was torn; -1 after logging. */
int old_index_next(struct old_index *index, struct old_unit *unit);

#endif
