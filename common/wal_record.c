/* What a record says of time, by itself and where the edge between two segments cuts it (wal_summary.h). */
#include "wal_record.h"

#define LAST_INSTANT INT64_C(253402300799999999) /* the last of the year 9999, and of what can be written */

#define XACT_HAS_INFO 0x80

/* What else may stand there. */
#define DATA_LONG 254
#define DATA_LONG_BYTES 5
#define ORIGIN 253
#define ORIGIN_BYTES 3
#define TOP_LEVEL_XID 252
#define TOP_LEVEL_XID_BYTES 5

/* A restore point's own data: its time and its name. It has no origin, and is of one of two lengths. */
#define RESTORE_POINT_DATA_BYTES (8 + WAL_RESTORE_POINT_BYTES)
#define RESTORE_POINT_RECORD_BYTES (WAL_RECORD_HEADER_BYTES + DATA_SHORT_BYTES + RESTORE_POINT_DATA_BYTES)

/* xinfo of a commit or abort: what stands before the xid of a prepared transaction, in this order. */
#define HAS_DATABASE (1u << 0)
#define HAS_SUBTRANSACTIONS (1u << 1)
#define HAS_FILES (1u << 2)
#define HAS_DROPPED_STATISTICS (1u << 8)
#define HAS_INVALIDATIONS (1u << 3)
#define HAS_PREPARED_XID (1u << 4)

bool wal_record_is_of_interest(const unsigned char *header)
{
    return wal_record_is_transaction_end(header) || wal_record_is_restore_point(header);
}

/* Where a record's own data begin, which refers to no block; 0: not found. */
static size_t find_data(const struct wal_record *record)
{
    size_t at = WAL_RECORD_HEADER_BYTES;

    while (at < record->length) {
        switch (record->bytes[at]) {
        case DATA_SHORT:
            return at + DATA_SHORT_BYTES;
        case DATA_LONG:
            return at + DATA_LONG_BYTES;
        case ORIGIN:
            at += ORIGIN_BYTES;
            break;
        case TOP_LEVEL_XID:
            at += TOP_LEVEL_XID_BYTES;
            break;
        default:
            return 0;
        }
    }
    return 0;
}

/* Passes over a list: how many, as four bytes, and that many items. */
static bool pass_list(const struct wal_record *record, size_t *at, size_t item_bytes)
{
    if (*at + 4 > record->length)
        return false;
    size_t count = wal_get32(record->bytes + *at);
    *at += 4;
    if (count > (record->length - *at) / item_bytes)
        return false;
    *at += count * item_bytes;
    return true;
}

/* The xid of a prepared transaction that ends; at: behind the time. */
static bool find_prepared_xid(const struct wal_record *record, size_t at, uint32_t *xid)
{
    if ((record->bytes[WAL_RECORD_INFO] & XACT_HAS_INFO) == 0 || at + 4 > record->length)
        return false;
    uint32_t what = wal_get32(record->bytes + at);
    at += 4;
    if ((what & HAS_DATABASE) != 0)
        at += 8;
    if ((what & HAS_SUBTRANSACTIONS) != 0 && !pass_list(record, &at, 4))
        return false;
    if ((what & HAS_FILES) != 0 && !pass_list(record, &at, 12))
        return false;
    if ((what & HAS_DROPPED_STATISTICS) != 0 &&
        (record->version == 0 || !pass_list(record, &at, record->version >= 18 ? 16 : 12)))
        return false;
    if ((what & HAS_INVALIDATIONS) != 0 && !pass_list(record, &at, 16))
        return false;
    if ((what & HAS_PREPARED_XID) == 0 || at + 4 > record->length)
        return false;
    *xid = wal_get32(record->bytes + at);
    return true;
}

static void add_xid(struct wal_summary *summary, uint32_t xid)
{
    if (xid == 0 || !summary->xids_are_known)
        return;
    if (summary->least_xid == 0)
        summary->least_xid = summary->most_xid = xid;
    else if ((int32_t)(xid - summary->least_xid) < 0)
        summary->least_xid = xid;
    else if ((int32_t)(xid - summary->most_xid) > 0)
        summary->most_xid = xid;
}

static void lose_xids(struct wal_summary *summary)
{
    summary->xids_are_known = false;
    summary->least_xid = summary->most_xid = 0;
}

static void add_times(struct wal_summary *summary, int64_t least, int64_t most)
{
    if (summary->transactions == 0 || least < summary->least_time)
        summary->least_time = least;
    if (summary->transactions == 0 || most > summary->most_time)
        summary->most_time = most;
}

/* data: where its own data begin; they are there as far as the time. */
static void add_transaction(struct wal_summary *summary, const struct wal_record *record, size_t data,
                            int64_t time)
{
    uint32_t xid = wal_get32(record->bytes + RECORD_XID);

    add_times(summary, time, time);
    summary->transactions++;
    if (record->begin > summary->last_lsn)
        summary->last_lsn = record->begin;
    if (wal_record_is_prepared_end(record->bytes) && !find_prepared_xid(record, data + 8, &xid))
        lose_xids(summary);
    else
        add_xid(summary, xid);
}

bool wal_record_add(struct wal_summary *summary, const struct wal_record *record,
                    struct wal_restore_point *point)
{
    size_t data = find_data(record);

    point->name[0] = '\0';
    if (data == 0 || data + 8 > record->length)
        return false;
    int64_t time = (int64_t)(wal_get64(record->bytes + data) + POSTGRESQL_EPOCH);
    if (time < 0 || time > LAST_INSTANT)
        return false;
    if (record->bytes[WAL_RECORD_MANAGER] == RM_XACT) {
        add_transaction(summary, record, data, time);
        return true;
    }
    if (data + RESTORE_POINT_DATA_BYTES > record->length)
        return false;
    if (record->bytes[data + 8] == '\0') /* one without a name can't be asked for */
        return true;
    summary->restore_points++;
    point->time = time;
    point->lsn = record->end;
    memcpy(point->name, record->bytes + data + 8, WAL_RESTORE_POINT_BYTES);
    point->name[WAL_RESTORE_POINT_BYTES - 1] = '\0';
    return true;
}

/* Across an edge */

void wal_edge_keep(struct wal_edge *edge, uint32_t passed, const unsigned char *bytes, uint64_t lsn)
{
    edge->length = passed;
    edge->lsn = lsn;
    memcpy(edge->bytes, bytes, passed < WAL_EDGE_BYTES ? passed : WAL_EDGE_BYTES);
}

bool wal_edge_may_be_restore_point(const struct wal_edge *begun)
{
    if (begun->length >= WAL_RECORD_HEADER_BYTES)
        return wal_record_is_restore_point(begun->bytes);
    if (begun->length < sizeof(uint32_t))
        return false;
    uint32_t total = wal_get32(begun->bytes);
    return total == RESTORE_POINT_RECORD_BYTES || total == RESTORE_POINT_RECORD_BYTES + TOP_LEVEL_XID_BYTES;
}

/* How much is known of the first bytes of an edge's record. */
static size_t known_bytes(const struct wal_edge *edge)
{
    return edge->length < WAL_EDGE_BYTES ? edge->length : WAL_EDGE_BYTES;
}

/* What is known of a record that a segment's edge cuts. How many bytes. */
static size_t put_together(const struct wal_edge *begun, const struct wal_edge *continued,
                           unsigned char bytes[2 * WAL_EDGE_BYTES])
{
    size_t length = known_bytes(begun);

    memcpy(bytes, begun->bytes, length);
    if (length < begun->length)
        return length;
    memcpy(bytes + length, continued->bytes, known_bytes(continued));
    return length + known_bytes(continued);
}

bool wal_summary_join(const struct wal_summary *earlier, unsigned version, struct wal_summary *later,
                      struct wal_restore_point *point)
{
    unsigned char bytes[2 * WAL_EDGE_BYTES] = {0};
    const struct wal_edge *begun = &earlier->begun, *continued = &later->continued;
    uint64_t length = (uint64_t)begun->length + continued->length;

    point->name[0] = '\0';
    if (begun->length == 0 || continued->length == 0)
        return true;
    const struct wal_record record = {bytes, put_together(begun, continued, bytes), version, begun->lsn,
                                      continued->lsn};
    if (continued->lsn == 0) {
        if (length >= wal_get32(bytes))
            return false;
        wal_edge_keep(&later->begun, (uint32_t)length, bytes, begun->lsn);
        return true;
    }
    if (length != wal_get32(bytes) || record.length < WAL_RECORD_HEADER_BYTES)
        return false;
    return !wal_record_is_of_interest(bytes) || wal_record_add(later, &record, point);
}

void wal_summary_extend(struct wal_summary *run, const struct wal_summary *next)
{
    if (next->transactions > 0) {
        add_times(run, next->least_time, next->most_time);
        run->transactions += next->transactions;
        if (next->last_lsn > run->last_lsn)
            run->last_lsn = next->last_lsn;
        add_xid(run, next->least_xid);
        add_xid(run, next->most_xid);
    }
    if (!next->xids_are_known)
        lose_xids(run);
    run->is_whole = run->is_whole && next->is_whole;
    run->restore_points += next->restore_points;
    run->begun = next->begun;
}
