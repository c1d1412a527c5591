/* What the files of wal_summary.h share: what one record says, in the WAL of PostgreSQL 13 to 19. Layer 1;
 * included by wal_summary.c and wal_record.c only. */
#ifndef WALFERRY_WAL_RECORD_H
#define WALFERRY_WAL_RECORD_H

#include "wal.h"
#include "wal_summary.h"

#include <string.h>

#define RECORD_XID 4                              /* where the header has it */
#define POSTGRESQL_EPOCH INT64_C(946684800000000) /* 2000-01-01 in microseconds since 1970 */

/* What stands before a record's own data, and refers to no block. */
#define DATA_SHORT 255 /* XLR_BLOCK_ID_DATA_SHORT: its length in one byte */
#define DATA_SHORT_BYTES 2

/* Resource managers, and what they log. */
#define RM_XACT 1
#define XLOG_RESTORE_POINT 0x70
#define XACT_OPERATION 0x70
#define XACT_COMMIT 0x00
#define XACT_ABORT 0x20
#define XACT_COMMIT_PREPARED 0x30
#define XACT_ABORT_PREPARED 0x40

static inline uint16_t wal_get16(const unsigned char *bytes)
{
    uint16_t value;

    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint32_t wal_get32(const unsigned char *bytes)
{
    uint32_t value;

    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint64_t wal_get64(const unsigned char *bytes)
{
    uint64_t value;

    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline bool wal_record_is_restore_point(const unsigned char *header)
{
    return header[WAL_RECORD_MANAGER] == WAL_RM_XLOG &&
           (header[WAL_RECORD_INFO] & WAL_XLOG_OPERATION) == XLOG_RESTORE_POINT;
}

static inline bool wal_record_is_transaction_end(const unsigned char *header)
{
    unsigned operation = header[WAL_RECORD_INFO] & XACT_OPERATION;

    return header[WAL_RECORD_MANAGER] == RM_XACT &&
           (operation == XACT_COMMIT || operation == XACT_ABORT || operation == XACT_COMMIT_PREPARED ||
            operation == XACT_ABORT_PREPARED);
}

static inline bool wal_record_is_prepared_end(const unsigned char *header)
{
    unsigned operation = header[WAL_RECORD_INFO] & XACT_OPERATION;

    return operation == XACT_COMMIT_PREPARED || operation == XACT_ABORT_PREPARED;
}

bool wal_record_is_of_interest(const unsigned char *header);

/* A record as far as it is there, but all of its header. */
struct wal_record {
    const unsigned char *bytes;
    size_t length;
    unsigned version;    /* PostgreSQL's major */
    uint64_t begin, end; /* LSNs */
};

/* Adds what a record of interest says. False if it is not as it should be. A restore point is filled; its
 * name is empty for all else. */
bool wal_record_add(struct wal_summary *summary, const struct wal_record *record,
                    struct wal_restore_point *point);

/* So many bytes of the record lie on this side. */
void wal_edge_keep(struct wal_edge *edge, uint32_t passed, const unsigned char *bytes, uint64_t lsn);

#endif
