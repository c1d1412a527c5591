/* Where a fetched file comes down: an unnamed file until everything is verified, which is then linked as
 * PATH. So no two calls ever write into one file, and a call that is killed leaves nothing. On file systems
 * without unnamed files PATH.walferry takes its place; a signal removes that, and is raised again, never
 * turned into a status (rule 10). One landing a process. */
#ifndef WALFERRY_LANDING_H
#define WALFERRY_LANDING_H

#include "common/buffer.h"
#include "common/checksum.h"
#include "common/wal.h"

#include <stdbool.h>

struct landing {
    const char *path; /* borrowed */
    char *temporary;  /* PATH.walferry; NULL: the file is unnamed */
    int fd;
    uint64_t bytes;                              /* written so far */
    uint64_t most_bytes;                         /* more than this is refused */
    unsigned char header[WAL_LONG_HEADER_BYTES]; /* the first bytes */
    struct checksum *checksum;                   /* of what is written, if not NULL; borrowed */
    bool too_long;                               /* the object had more than most_bytes: logged as damage */
};

/* 0, or -1 after logging. */
int landing_open(const char *path, uint64_t most_bytes, struct landing *landing);
/* In a file that is the caller's, and that the caller names and closes: neither finish nor close. The
 * checksum begins anew. 0, or -1 after logging. */
int landing_lend(int fd, const char *path, uint64_t most_bytes, struct checksum *checksum,
                 struct landing *landing);
/* Empties it again, for the next repository. 0, or -1 after logging. */
int landing_restart(struct landing *landing);
struct sink landing_sink(struct landing *landing);
/* Gives the file its name, instead of what has it. durable: fsync of file and directory too; PostgreSQL does
 * that itself for its RECOVERY names. 0, or -1 after logging. */
int landing_finish(struct landing *landing, bool durable);
/* Removes what was not finished. */
void landing_close(struct landing *landing);

#endif
