/* A missing segment is the end of the archive, or a hole in it. Source: rules 3 and 4 of docs/postgresql.md.
 */
#ifndef WALFERRY_HOLE_H
#define WALFERRY_HOLE_H

#include "situation.h"

#include "common/repository.h"

/* Does PostgreSQL's own directory hold this segment, written to its end (rule 4)? Then it is handed over by
 * answering "not there". say: log that it does so only in part. */
bool hole_is_in_pg_wal(const struct situation *situation, bool say);

/* Is this segment, which a repository has, no part of what is being recovered (rule 3c)? Logged, with the way
 * out. */
bool hole_is_behind_fork(const struct situation *situation);

/* Where the timeline being recovered left this one: nothing from there on is a part of what is being
 * recovered. 0 when that cannot be told, or this is the timeline itself. */
uint64_t hole_timeline_end(const struct situation *situation, uint32_t timeline);

enum hole_result {
    HOLE_NONE,    /* the end */
    HOLE_FILLED,  /* the segment has arrived meanwhile */
    HOLE_FOUND,   /* logged: what is missing, what lies behind, and the way out */
    HOLE_UNKNOWN, /* logged: could not find out */
};

struct hole_report {
    bool partial;        /* a .partial of the segment is stored */
    bool place_is_alive; /* every repository showed the segment before it: none has been emptied meanwhile */
};

/* Is the segment asked for a hole? Judged over the union of these repositories. say: log what is found. */
enum hole_result hole_look(const struct situation *situation, struct repository *repositories, size_t count,
                           struct hole_report *report, bool say);

#endif
