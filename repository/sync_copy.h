/* Copies one object from one repository to the other, and checks what comes: it has its name there only when
 * it is known to be right. */
#ifndef WALFERRY_SYNC_COPY_H
#define WALFERRY_SYNC_COPY_H

#include "common/backup_part.h"
#include "common/part_reader.h"
#include "common/progress.h"
#include "common/rate.h"
#include "common/repository.h"

enum copy_kind {
    COPY_WAL,      /* a sealed WAL file */
    COPY_INDEX,    /* the sealed index of a backup, whose SHA-256 is the caller's to know */
    COPY_PART,     /* of a backup, as its index tells */
    COPY_DOCUMENT, /* JSON with its own SHA-256 */
    COPY_STARTED,  /* the same, and where there is a manifest nobody needs it */
    COPY_TEXT,     /* small, without anything to check it by */
    COPY_COMPARE,  /* a sealed WAL file that both have, in different lengths: is it the same? */
};

enum copy_result {
    COPY_DONE = 0,
    COPY_THERE,      /* another has put the same there meanwhile; or it is the same */
    COPY_ABSENT,     /* it is not in the first repository any more; nothing logged */
    COPY_DAMAGED,    /* there; logged */
    COPY_TAKEN,      /* the other repository has other content under this name; logged */
    COPY_UNREADABLE, /* logged: the first repository does not give it, or one of both what is to be compared
                      */
    COPY_FAILED,     /* logged, without when interrupt_requested: could not be stored */
};

/* What a worker has of its own. */
struct copier {
    struct repository from, to;
    struct part_reader *parts;
    struct object_spool spool;
    struct progress *progress; /* borrowed, as the next */
    struct rate *rate;
    uint32_t segment_bytes;
    uint64_t system_identifier;
    uint64_t bytes; /* that were copied so far; stored */
};

struct copy {
    enum copy_kind kind;
    const char *key;                /* in both */
    const struct backup_part *part; /* of COPY_PART */
};

enum copy_result copy_object(struct copier *copier, const struct copy *copy);

#endif
