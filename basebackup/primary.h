/* What only the primary can do for a backup that is taken from its standby: complete the WAL segment in which
 * the backup ended, so that it is archived. An idle primary would keep it for ever (rule 28). */
#ifndef WALFERRY_PRIMARY_H
#define WALFERRY_PRIMARY_H

#include <stdint.h>

struct primary {
    const char *conninfo; /* borrowed */
    uint64_t system_identifier;
};

/* Can it be asked, is it the primary of this system, and does it archive WAL? 0, or -1 after logging. */
int primary_check(const struct primary *primary);

/* Switches WAL there unless the segment that holds the byte before stop_lsn is complete already. 0, or -1
 * after logging. */
int primary_complete_segment(const struct primary *primary, uint64_t stop_lsn, uint32_t segment_bytes);

#endif
