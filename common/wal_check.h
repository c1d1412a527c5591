/* Is the plain content of a WAL object the file that its name says? Segments and .partial files begin with
 * the first page of their segment, and are as long as the cluster's segments. Layer 3. */
#ifndef WALFERRY_WAL_CHECK_H
#define WALFERRY_WAL_CHECK_H

#include "object.h"
#include "wal.h"

struct wal_check {
    const char *name; /* in the repository; borrowed */
    uint64_t system_identifier;
    uint32_t segment_bytes;
    uint64_t bytes; /* so many came */
    unsigned char header[WAL_LONG_HEADER_BYTES];
};
void wal_check_begin(struct wal_check *check, const char *name, uint64_t system_identifier,
                     uint32_t segment_bytes);
/* Plain bytes go there; it never fails. */
struct sink wal_check_sink(struct wal_check *check);
/* All of it came, with these facts, which fit it. 0, or -1 after logging what "what" holds instead. */
int wal_check_end(const struct wal_check *check, const struct object_facts *facts, const char *what);

#endif
