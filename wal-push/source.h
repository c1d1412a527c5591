/* The file that PostgreSQL wants archived, and the proof that it is what its name says. Source: rules 14 and
 * 16 of the PostgreSQL notes in docs/postgresql.md. */
#ifndef WALFERRY_SOURCE_H
#define WALFERRY_SOURCE_H

#include "common/config.h"
#include "common/object.h"

#include <sys/stat.h>

struct source {
    const char *path; /* borrowed */
    const char *name; /* its last component, borrowed */
    struct wal_name parsed;
    char *directory; /* where it lies: pg_wal */
    int fd;
    struct stat status; /* when it was opened */
    uint64_t system_identifier;
    uint32_t segment_bytes;
    unsigned postgresql_version;                 /* major; 0: unknown */
    unsigned char header[WAL_LONG_HEADER_BYTES]; /* of a segment, as it was checked */
};

enum source_result { SOURCE_OK, SOURCE_REFUSED, SOURCE_USAGE };

/* Opens and checks. Everything but OK was logged. */
enum source_result source_open(const char *path, const struct config *config, struct source *source);

/* Pushes the whole file into sink. 0, or -1 after logging. The last look is taken
 * afterwards: a segment that was renamed, recycled or written to meanwhile is refused. */
int source_read(struct source *source, const struct sink *sink);

void source_close(struct source *source);

#endif
