/* Where a dump that is fetched goes: a file, standard output, or pg_restore. */
#ifndef WALFERRY_DUMP_RESTORE_H
#define WALFERRY_DUMP_RESTORE_H

#include "sources.h"

/* Into a file that appears when it is whole and synced; "-": standard output. One that is there is not
 * replaced. 0, or -1 after logging. */
int restore_to_file(struct sources *sources, const struct dump_stream *stream, const char *path);

/* Is it the name of a database, rather than a connection string? */
bool restore_is_name(const char *conninfo);

#define RESTORE_NAMES_MOST 200
struct restore_wish {
    const char *conninfo; /* the database to restore into, as libpq reads it; or its name alone */
    const char *tables[RESTORE_NAMES_MOST], *schemas[RESTORE_NAMES_MOST]; /* none: all */
    size_t table_count, schema_count;
    bool creates;  /* the database, under its name in the dump */
    bool no_owner; /* neither owners nor grants */
};
/* By pg_restore: in one transaction, unless it creates the database. 0, or -1 after logging. */
int restore_to_database(const struct config *config, struct sources *sources,
                        const struct dump_stream *stream, const struct restore_wish *wish);

/* Verifies all of it, while pg_restore --list (a path; NULL: none) reads the table of contents. 0, or -1
 * after logging. */
int restore_list(struct sources *sources, const struct dump_stream *stream, const char *pg_restore);

#endif
