/* The place where wal-fetch's helper puts what it reads ahead, and where the next calls find it: one
 * directory in state_dir for each recovery, "ahead-<16 hex of what makes it this one>". In it:
 *
 *     position         what was handed over last, and whose directory this is; gone: reading ahead is over
 *     lock             locked by the helper for as long as it lives
 *     NAME.part        being fetched; locked by the helper until it is whole, or given up
 *     NAME-<checksum>  a whole segment, with the checksum of the bytes that its SHA-256 was right for
 *
 * All of it is safe to lose, and nothing in it is believed unverified. */
#ifndef WALFERRY_AHEAD_DIRECTORY_H
#define WALFERRY_AHEAD_DIRECTORY_H

#include "common/checksum.h"
#include "common/wal.h"

#include <stdbool.h>
#include <stdint.h>

#define AHEAD_NAME_BYTES 24      /* "ahead-<16 hex>" */
#define AHEAD_FILE_NAME_BYTES 72 /* the longest of the above */

/* The server whose recovery it is. */
struct ahead_owner {
    int64_t postmaster_pid, postmaster_started;
    const char *data_directory; /* absolute */
};

/* Makes it, if make, and drops those of recoveries that are over when it is new. Its descriptor; -1 when
 * there is none (logged at debug level, if it should have been made). */
int ahead_directory_open(const char *state_directory, const char *name, bool make);
/* Removes it with all that is in it, unless a helper is at work there. */
void ahead_directory_drop(const char *state_directory, const char *name);

/* True with the segment that was handed over last. */
bool ahead_position_read(int directory, char name[WAL_SEGMENT_NAME_BYTES]);
bool ahead_position_write(int directory, const char *name, const struct ahead_owner *owner);
void ahead_position_forget(int directory);

/* A descriptor that holds the lock; -1 when somebody else has it. */
int ahead_lock(int directory);

/* A segment that is there, whole. */
struct ahead_file {
    char name[AHEAD_FILE_NAME_BYTES];
    unsigned char checksum[CHECKSUM_BYTES];
};
bool ahead_file_find(int directory, const char *segment, struct ahead_file *file);
/* Removes all segments but those of this timeline from number least to most. */
void ahead_file_keep(int directory, uint32_t segment_bytes, uint32_t timeline, uint64_t least, uint64_t most);

/* NAME.part, locked by whoever fetches the segment: the helper, or a call that the helper must not forestall.
 * -1 when somebody else has it; or when it cannot be made, after logging at debug level. */
int ahead_part_begin(int directory, const char *segment, bool *is_taken);
/* Makes it NAME-<checksum>, or removes it. The caller unlocks it by closing it. */
bool ahead_part_finish(int directory, const char *segment, const unsigned char checksum[CHECKSUM_BYTES]);
void ahead_part_give_up(int directory, const char *segment);

enum ahead_wait {
    AHEAD_NONE,  /* nobody is fetching it (any more) */
    AHEAD_AGAIN, /* it has been fetched, or given up, meanwhile: look again */
    AHEAD_LATE,  /* it was still being fetched at the deadline */
};
/* Waits while the segment is being fetched, until deadline (monotonic). */
enum ahead_wait ahead_part_wait(int directory, const char *segment, int64_t deadline);

#endif
