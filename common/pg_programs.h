/* Where PostgreSQL's own programs are. Layer 0. */
#ifndef WALFERRY_PG_PROGRAMS_H
#define WALFERRY_PG_PROGRAMS_H

#include "child.h"

/* The newest major version whose directories are looked for. */
#define PG_PROGRAMS_NEWEST 29

/* The directory that has this program ("postgres", "pg_dump"): pg_bin if it is not NULL, whatever is there;
 * else where Debian and Red Hat have the versions from major to newest, the oldest of them first; else that
 * of pg_config. *found: its version as PG_VERSION_NUM (150018); 0: it could not be run. Caller frees. NULL:
 * there is none; nothing is logged then. */
char *pg_programs_find(const char *program, unsigned major, unsigned newest, const char *pg_bin,
                       const struct look *look, unsigned *found);

#endif
