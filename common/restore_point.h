/* Restore points: "restore-points/<segment>.<hash>", a document that tells the named points in a segment's
 * records; only of segments that have any. Stored before the segment, under a name that says of which content
 * it is: that of a segment that was never stored keeps no other one of its name out. Layer 3. Format:
 * docs/format.md. */
#ifndef WALFERRY_RESTORE_POINT_H
#define WALFERRY_RESTORE_POINT_H

#include "repository.h"
#include "wal_summary.h"

struct restore_points {
    uint64_t system_identifier;
    char segment[WAL_SEGMENT_NAME_BYTES];
    unsigned char sha256[SHA256_BYTES]; /* of the segment: another one of the same name has other points */
    struct wal_restore_point
        *points; /* owned; in the order of the records; at most WAL_RESTORE_POINTS_MOST */
    size_t count;
    bool begun; /* a record at the segment's end may be one more: the next trailer has its rest */
};

/* Does a segment with this summary need such a document? */
bool restore_points_are_in(const struct wal_summary *summary);
/* points: those that the scan of the segment told. The document says nothing of when and where it was made:
 * of one segment it is always the same. 0, or -1 after logging. */
int restore_points_seal(const struct object_facts *segment, const struct wal_restore_point *points,
                        struct buffer *out);
/* 0, or -1 after logging that what is damaged. */
int restore_points_parse(const void *data, size_t length, const char *what, struct restore_points *points);
void restore_points_free(struct restore_points *points);

/* name: the document's, below restore-points/. OK (then restore_points_free), ABSENT, DAMAGED or FAILED. */
enum repository_result restore_points_get(struct repository *repository, uint64_t system_identifier,
                                          const char *name, struct restore_points *points);

/* Stores the sealed document of a segment. OK, IDENTICAL (also when another version of this program has told
 * of the very same segment: that stays), COLLISION (what is there is no such document), DAMAGED or FAILED. */
enum repository_result restore_points_put(struct repository *repository, const struct object_facts *segment,
                                          const struct buffer *document);

/* All points of that name whose records begin in segment first or behind it, by segment name; one cut by a
 * segment's edge is put together from the two trailers. What the stored segment does not have, but another
 * one of its name, is passed over. name NULL: all names. timeline: of the segment in which the record ends.
 * Points are told until each returns false. OK (also when there is none), DAMAGED (what is readable was told)
 * or FAILED, both after logging. */
enum repository_result restore_points_find(struct repository *repository, uint64_t system_identifier,
                                           uint32_t segment_bytes, uint64_t first, const char *name,
                                           bool (*each)(void *context, uint32_t timeline,
                                                        const struct wal_restore_point *point),
                                           void *context);

#endif
