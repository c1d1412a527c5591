/* Makes WAL as a server writes it: records one behind the other over pages and segments, with their CRC and
 * what they say of the one before; and tells of each what a summary has to say of it. */
#ifndef WALFERRY_WAL_BUILDER_H
#define WALFERRY_WAL_BUILDER_H

#include "common/crc32c.h"
#include "common/wal_summary.h"
#include "unit.h"

#define BUILDER_BLOCK 8192u
#define BUILDER_SEGMENT (1u << 20)
#define BUILDER_EPOCH INT64_C(946684800000000) /* 2000-01-01 */

/* Resource managers and operations. */
#define BUILDER_XLOG 0
#define BUILDER_XACT 1
#define BUILDER_HEAP 10
#define BUILDER_COMMIT 0x00
#define BUILDER_ABORT 0x20
#define BUILDER_COMMIT_PREPARED 0x30
#define BUILDER_HAS_INFO 0x80
#define BUILDER_SWITCH 0x40
#define BUILDER_RESTORE_POINT 0x70
#define BUILDER_OVERWRITE 0xD0

/* What was written, and where. */
struct built {
    uint64_t begin, end; /* LSNs */
    uint8_t manager, info;
    uint32_t xid;
    int64_t time; /* a timestamp */
    char name[WAL_RESTORE_POINT_BYTES];
    bool is_broken; /* never written to its end */
};

struct wal_builder {
    unsigned char
        *bytes; /* owned; of segments one behind the other, the first one's first byte has this LSN: */
    uint64_t start;
    size_t segments;
    uint16_t magic;
    uint64_t at, previous;
    bool is_overwritten; /* the next page says so */
    struct built *built; /* owned */
    size_t count;
};

static inline void builder_begin(struct wal_builder *builder, uint16_t magic, uint64_t number,
                                 size_t segments)
{
    *builder = (struct wal_builder){.magic = magic, .segments = segments, .start = number * BUILDER_SEGMENT};
    builder->at = builder->start;
    builder->bytes = calloc(segments, BUILDER_SEGMENT);
    REQUIRE(builder->bytes != NULL);
}

static inline void builder_free(struct wal_builder *builder)
{
    free(builder->bytes);
    free(builder->built);
}

static inline uint64_t builder_room(const struct wal_builder *builder)
{
    return builder->start + builder->segments * BUILDER_SEGMENT - builder->at;
}

static inline unsigned char *builder_segment(const struct wal_builder *builder, size_t index)
{
    return builder->bytes + index * BUILDER_SEGMENT;
}

static inline void builder_put32(unsigned char *out, uint32_t value)
{
    memcpy(out, &value, sizeof value);
}

static inline void builder_put64(unsigned char *out, uint64_t value)
{
    memcpy(out, &value, sizeof value);
}

/* left: bytes of a record that go on here */
static inline void builder_page(struct wal_builder *builder, uint32_t left)
{
    unsigned char *page = builder->bytes + (builder->at - builder->start);
    bool is_first = builder->at % BUILDER_SEGMENT == 0;
    uint16_t info = (uint16_t)((left > 0 ? 1 : 0) | (is_first ? 2 : 0) | (builder->is_overwritten ? 8 : 0));

    memcpy(page, &builder->magic, 2);
    memcpy(page + 2, &info, 2);
    builder_put32(page + 4, 1);
    builder_put64(page + 8, builder->at);
    builder_put32(page + 16, left);
    if (is_first) {
        builder_put64(page + 24, UINT64_C(7574912398475612345));
        builder_put32(page + 32, BUILDER_SEGMENT);
        builder_put32(page + 36, BUILDER_BLOCK);
    }
    builder->at += is_first ? 40 : 24;
    builder->is_overwritten = false;
}

/* Writes a record, or its first part; what does not fit is left out. It begins where builder->at is. How much
 * was written. */
static inline uint32_t builder_write(struct wal_builder *builder, const unsigned char *record, uint32_t total,
                                     uint32_t length)
{
    uint32_t done = 0;

    while (done < length && builder_room(builder) > 0) {
        if (builder->at % BUILDER_BLOCK == 0)
            builder_page(builder, total - done);
        uint32_t page_left = BUILDER_BLOCK - (uint32_t)(builder->at % BUILDER_BLOCK);
        uint32_t taken = length - done < page_left ? length - done : page_left;
        memcpy(builder->bytes + (builder->at - builder->start), record + done, taken);
        builder->at += taken;
        done += taken;
    }
    return done;
}

/* Where the next record begins. */
static inline uint64_t builder_next(struct wal_builder *builder)
{
    if (builder_room(builder) > 0 && builder->at % BUILDER_BLOCK == 0)
        builder_page(builder, 0);
    return builder->at;
}

static inline struct built *builder_note(struct wal_builder *builder)
{
    if ((builder->count & (builder->count + 1)) == 0) { /* 0, 1, 3, 7, ...: time to double */
        struct built *grown = realloc(builder->built, (2 * builder->count + 1) * sizeof *grown);
        REQUIRE(grown != NULL);
        builder->built = grown;
    }
    builder->built[builder->count] = (struct built){.begin = 0};
    return &builder->built[builder->count++];
}

/* A record with these bytes behind its header, of which written (most: total) are written. */
static inline struct built *builder_record_part(struct wal_builder *builder, uint8_t manager, uint8_t info,
                                                uint32_t xid, const unsigned char *body, uint32_t body_bytes,
                                                uint32_t written)
{
    const uint32_t total = 24 + body_bytes;
    unsigned char *record = calloc(1, total);
    uint64_t begin = builder_next(builder);

    REQUIRE(record != NULL);
    builder_put32(record, total);
    builder_put32(record + 4, xid);
    builder_put64(record + 8, builder->previous);
    record[16] = info;
    record[17] = manager;
    if (body_bytes > 0)
        memcpy(record + 24, body, body_bytes);
    builder_put32(record + 20, crc32c_extend(crc32c(record + 24, body_bytes), record, 20));
    written = builder_write(builder, record, total, written < total ? written : total);
    free(record);
    if (written == total) {
        builder->previous = begin;
        builder->at = (builder->at + 7) & ~UINT64_C(7);
    }
    struct built *built = builder_note(builder);
    *built = (struct built){.begin = begin,
                            .end = builder->at,
                            .manager = manager,
                            .info = info,
                            .xid = xid,
                            .is_broken = written < total};
    return built;
}

static inline struct built *builder_record(struct wal_builder *builder, uint8_t manager, uint8_t info,
                                           uint32_t xid, const unsigned char *body, uint32_t body_bytes)
{
    return builder_record_part(builder, manager, info, xid, body, body_bytes, UINT32_MAX);
}

/* What stands before a record's own data. how: 1: an origin, 2: a top-level xid, 4: a long length. */
static inline uint32_t builder_data_header(unsigned char *out, uint32_t data_bytes, unsigned how)
{
    uint32_t at = 0;

    if ((how & 1) != 0) {
        out[at] = 253;
        at += 3;
    }
    if ((how & 2) != 0) {
        out[at] = 252;
        builder_put32(out + at + 1, 77);
        at += 5;
    }
    if ((how & 4) != 0 || data_bytes > 255) {
        out[at] = 254;
        builder_put32(out + at + 1, data_bytes);
        return at + 5;
    }
    out[at] = 255;
    out[at + 1] = (unsigned char)data_bytes;
    return at + 2;
}

/* The end of a transaction, with so many bytes of lists behind its time. */
static inline struct built *builder_end(struct wal_builder *builder, uint8_t operation, uint32_t xid,
                                        int64_t time, const unsigned char *behind, uint32_t behind_bytes,
                                        unsigned how)
{
    unsigned char *body = calloc(1, 32 + behind_bytes);

    REQUIRE(body != NULL);
    uint32_t at = builder_data_header(body, 8 + behind_bytes, how);
    builder_put64(body + at, (uint64_t)(time - BUILDER_EPOCH));
    if (behind_bytes > 0)
        memcpy(body + at + 8, behind, behind_bytes);
    struct built *built = builder_record(builder, BUILDER_XACT, operation, xid, body, at + 8 + behind_bytes);
    built->time = time;
    free(body);
    return built;
}

static inline struct built *builder_point(struct wal_builder *builder, const char *name, int64_t time,
                                          unsigned how)
{
    unsigned char body[16 + 8 + WAL_RESTORE_POINT_BYTES] = {0};
    uint32_t at = builder_data_header(body, 8 + WAL_RESTORE_POINT_BYTES, how);

    builder_put64(body + at, (uint64_t)(time - BUILDER_EPOCH));
    snprintf((char *)body + at + 8, WAL_RESTORE_POINT_BYTES, "%s", name);
    struct built *built = builder_record(builder, BUILDER_XLOG, BUILDER_RESTORE_POINT, 0, body,
                                         at + 8 + WAL_RESTORE_POINT_BYTES);
    built->time = time;
    snprintf(built->name, sizeof built->name, "%s", name);
    return built;
}

/* Records of no interest, until so many bytes (a multiple of 8) are left in this segment; 0: all that is
 * left. */
static inline void builder_fill(struct wal_builder *builder, uint32_t left)
{
    static const unsigned char body[4096];

    for (uint64_t begin; builder_room(builder) > 0 &&
                         (begin = builder_next(builder), BUILDER_SEGMENT - begin % BUILDER_SEGMENT > left);) {
        uint64_t to_go = BUILDER_SEGMENT - begin % BUILDER_SEGMENT - left;
        uint64_t page_left = BUILDER_BLOCK - begin % BUILDER_BLOCK;
        uint64_t most = to_go < page_left ? to_go : page_left;
        uint64_t total = most >= 4024 ? 4000 : most >= 24 ? most : 32; /* the last: over the page's edge */
        builder_record(builder, BUILDER_HEAP, 0, 1, body, (uint32_t)total - 24);
    }
}

/* The server ended in a record that it could not finish, so many bytes before the page's end, and began anew
 * on the next page. */
static inline void builder_break(struct wal_builder *builder, uint32_t total, int64_t time)
{
    unsigned char *body = calloc(1, total);

    REQUIRE(body != NULL);
    uint32_t at = builder_data_header(body, total - 24 - 7, 4);
    builder_put64(body + at, (uint64_t)(time - BUILDER_EPOCH));
    uint64_t begin = builder_next(builder);
    uint32_t left = BUILDER_BLOCK - (uint32_t)(begin % BUILDER_BLOCK);
    REQUIRE(total > left);
    builder_record_part(builder, BUILDER_XACT, BUILDER_COMMIT, 99, body, total - 24, left);
    free(body);
    builder->is_overwritten = true;
    unsigned char overwritten[32] = {0};
    at = builder_data_header(overwritten, 16, 0);
    builder_put64(overwritten + at, begin);
    builder_record(builder, BUILDER_XLOG, BUILDER_OVERWRITE, 0, overwritten, at + 16);
}

#endif
