/* What is wrong in a repository, as it is found: told at once, counted, and kept for --json. Thread-safe. */
#ifndef WALFERRY_FINDINGS_H
#define WALFERRY_FINDINGS_H

#include "common/json.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum finding_kind {
    FINDING_MISSING,    /* an object that should be there is not */
    FINDING_DAMAGED,    /* one is not what it should be: length, content, name or system */
    FINDING_UNREADABLE, /* one could not be read, while the store answers otherwise */
    FINDING_HOLE,       /* WAL is missing, and there is more behind it */
    FINDING_INCOMPLETE, /* WAL that makes a backup consistent is missing */
    FINDING_ORPHAN,     /* something is there that nobody needs: a warning, all others are errors */
};

struct findings {
    pthread_mutex_t lock;
    const char *repository; /* name; borrowed */
    struct json *list;
    uint64_t errors, orphans;
    char **objects; /* that have an error already */
    size_t object_count;
};

void findings_init(struct findings *findings);
void findings_free(struct findings *findings);
/* From now on they are of this repository; what is counted begins anew. */
void findings_begin(struct findings *findings, const char *repository);

/* object: its key, or the name of a unit. One that has an error already gets no second. */
void findings_add(struct findings *findings, enum finding_kind kind, const char *object, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));
/* The same for what this thread has just logged as an error. */
void findings_add_logged(struct findings *findings, enum finding_kind kind, const char *object);

#endif
