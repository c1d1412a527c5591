/* The timelines' histories as a recovery finds them: in several repositories, and in a pg_wal. Layer 4. */
#ifndef WALFERRY_HISTORIES_H
#define WALFERRY_HISTORIES_H

#include "repository.h"

struct history_sources {
    struct repository **repositories; /* borrowed */
    size_t count;
    uint64_t system_identifier;
    const char *pg_wal; /* path; NULL: none */
};

/* OK; ABSENT when it is nowhere; DAMAGED or FAILED (logged) also when somebody who may have it could not be
 * asked. Timeline 1 has none: that is not asked for, and OK. */
enum repository_result histories_get(const struct history_sources *sources, uint32_t timeline,
                                     struct timeline_history *history);

/* Of the timeline that "latest" is for a recovery that begins on timeline from, found as PostgreSQL finds it:
 * up to the first gap (rule 12). OK (from itself may have none), DAMAGED or FAILED. */
enum repository_result histories_latest(const struct history_sources *sources, uint32_t from,
                                        struct timeline_history *history);

#endif
