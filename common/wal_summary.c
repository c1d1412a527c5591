#include "wal_summary.h"

#include "crc32c.h"
#include "log.h"
#include "wal.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_XID 4 /* where the header has it */
#define RECORD_PREVIOUS 8
#define RECORD_CRC 20
#define RECORD_MOST_BYTES (1020u * 1024 * 1024) /* XLogRecordMaxSize */
#define BLOCK_MOST_BYTES 65536
#define RECORD_LEAST_BYTES 32  /* of the end of a transaction, with its time */
#define KEPT_BYTES (16 * 1024) /* of a record that is looked into, where a page's edge cuts it */
#define POSTGRESQL_EPOCH INT64_C(946684800000000) /* 2000-01-01 in microseconds since 1970 */
#define LAST_INSTANT INT64_C(253402300799999999)  /* the last of the year 9999, and of what can be written */

/* xlp_info */
#define FIRST_IS_CONTINUED 0x0001
#define LONG_HEADER 0x0002
#define FIRST_IS_OVERWRITTEN 0x0008

/* Resource managers, and what they log. */
#define RM_XACT 1
#define XLOG_RESTORE_POINT 0x70
#define XACT_OPERATION 0x70
#define XACT_HAS_INFO 0x80
#define XACT_COMMIT 0x00
#define XACT_ABORT 0x20
#define XACT_COMMIT_PREPARED 0x30
#define XACT_ABORT_PREPARED 0x40

/* What stands before a record's own data, and refers to no block. */
#define DATA_SHORT 255 /* XLR_BLOCK_ID_DATA_SHORT: its length in one byte */
#define DATA_SHORT_BYTES 2
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

struct wal_scan {
    struct wal_summary summary;
    unsigned version;   /* PostgreSQL's major; 0: unknown */
    uint16_t magic;     /* of each page */
    size_t block_bytes; /* 0: nothing was read yet */
    uint64_t page_lsn;  /* of the page that is looked at */
    bool is_first_page;
    bool is_over; /* what follows is not looked at */

    /* The record that goes by, from page to page. */
    uint64_t record_lsn;
    uint64_t previous_lsn;  /* of the one before; 0: not known */
    uint32_t total, passed; /* its bytes; total 0: none */
    bool began_before;      /* only its end is here, of which passed and total tell */
    bool is_kept;           /* it is looked into */
    bool may_be_switch;     /* the one before was the end of a record, perhaps of a switch */
    uint32_t crc;           /* of what is behind its header */
    uint64_t found_lsn;     /* where the end of the transaction begins that is looked for; 0: not found */

    /* Not initialised with each segment. */
    uint32_t sought_xid; /* 0: of none */
    unsigned char kept[KEPT_BYTES];
    uint16_t
        ends[BLOCK_MOST_BYTES / WAL_RECORD_HEADER_BYTES]; /* of transactions, in the page that is looked at */
    struct wal_restore_point points[WAL_RESTORE_POINTS_MOST];
};

static uint16_t get16(const unsigned char *bytes)
{
    uint16_t value;

    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint32_t get32(const unsigned char *bytes)
{
    uint32_t value;

    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint64_t get64(const unsigned char *bytes)
{
    uint64_t value;

    memcpy(&value, bytes, sizeof value);
    return value;
}

struct wal_scan *wal_scan_new(void)
{
    struct wal_scan *scan = calloc(1, sizeof *scan);

    if (scan == NULL)
        log_out_of_memory();
    return scan;
}

void wal_scan_free(struct wal_scan *scan)
{
    free(scan);
}

void wal_scan_begin(struct wal_scan *scan)
{
    memset(scan, 0, offsetof(struct wal_scan, sought_xid));
    scan->is_first_page = true;
    scan->summary.is_whole = scan->summary.xids_are_known = true;
}

/* What a record says */

static bool is_restore_point(const unsigned char *header)
{
    return header[WAL_RECORD_MANAGER] == WAL_RM_XLOG &&
           (header[WAL_RECORD_INFO] & WAL_XLOG_OPERATION) == XLOG_RESTORE_POINT;
}

static bool is_transaction_end(const unsigned char *header)
{
    unsigned operation = header[WAL_RECORD_INFO] & XACT_OPERATION;

    return header[WAL_RECORD_MANAGER] == RM_XACT &&
           (operation == XACT_COMMIT || operation == XACT_ABORT || operation == XACT_COMMIT_PREPARED ||
            operation == XACT_ABORT_PREPARED);
}

static bool is_prepared_end(const unsigned char *header)
{
    unsigned operation = header[WAL_RECORD_INFO] & XACT_OPERATION;

    return operation == XACT_COMMIT_PREPARED || operation == XACT_ABORT_PREPARED;
}

static bool is_of_interest(const unsigned char *header)
{
    return is_transaction_end(header) || is_restore_point(header);
}

/* A record as far as it is there, but all of its header. */
struct record {
    const unsigned char *bytes;
    size_t length;
    unsigned version;    /* PostgreSQL's major */
    uint64_t begin, end; /* LSNs */
};

/* Where a record's own data begin, which refers to no block; 0: not found. */
static size_t find_data(const struct record *record)
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
static bool pass_list(const struct record *record, size_t *at, size_t item_bytes)
{
    if (*at + 4 > record->length)
        return false;
    size_t count = get32(record->bytes + *at);
    *at += 4;
    if (count > (record->length - *at) / item_bytes)
        return false;
    *at += count * item_bytes;
    return true;
}

/* The xid of a prepared transaction that ends; at: behind the time. */
static bool find_prepared_xid(const struct record *record, size_t at, uint32_t *xid)
{
    if ((record->bytes[WAL_RECORD_INFO] & XACT_HAS_INFO) == 0 || at + 4 > record->length)
        return false;
    uint32_t what = get32(record->bytes + at);
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
    *xid = get32(record->bytes + at);
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
static void add_transaction(struct wal_summary *summary, const struct record *record, size_t data,
                            int64_t time)
{
    uint32_t xid = get32(record->bytes + RECORD_XID);

    add_times(summary, time, time);
    summary->transactions++;
    if (record->begin > summary->last_lsn)
        summary->last_lsn = record->begin;
    if (is_prepared_end(record->bytes) && !find_prepared_xid(record, data + 8, &xid))
        lose_xids(summary);
    else
        add_xid(summary, xid);
}

/* Does the end of a transaction, which lies whole here, tell more than that there is one? True also where
 * that is not seen at once. */
static bool tells_more(const struct wal_summary *summary, const unsigned char *bytes, uint64_t lsn)
{
    const size_t data = WAL_RECORD_HEADER_BYTES + DATA_SHORT_BYTES;

    if (lsn > summary->last_lsn || get32(bytes) < data + 8 || bytes[WAL_RECORD_HEADER_BYTES] != DATA_SHORT ||
        is_prepared_end(bytes))
        return true;
    int64_t time = (int64_t)(get64(bytes + data) + POSTGRESQL_EPOCH);
    uint32_t xid = get32(bytes + RECORD_XID);
    if (time < summary->least_time || time > summary->most_time)
        return true;
    return xid != 0 && (summary->least_xid == 0 || (int32_t)(xid - summary->least_xid) < 0 ||
                        (int32_t)(xid - summary->most_xid) > 0);
}

/* Adds what a record of interest says. False if it is not as it should be. A restore point is filled; its
 * name is empty for all else. */
static bool add_record(struct wal_summary *summary, const struct record *record,
                       struct wal_restore_point *point)
{
    size_t data = find_data(record);

    point->name[0] = '\0';
    if (data == 0 || data + 8 > record->length)
        return false;
    int64_t time = (int64_t)(get64(record->bytes + data) + POSTGRESQL_EPOCH);
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

/* Going through the pages */

static void give_up(struct wal_scan *scan)
{
    scan->summary.is_whole = false;
    scan->is_over = true;
}

static uint64_t align(uint64_t lsn)
{
    return (lsn + 7) & ~(uint64_t)7;
}

static void keep_edge(struct wal_edge *edge, uint32_t passed, const unsigned char *bytes, uint64_t lsn)
{
    edge->length = passed;
    edge->lsn = lsn;
    memcpy(edge->bytes, bytes, passed < WAL_EDGE_BYTES ? passed : WAL_EDGE_BYTES);
}

static bool is_end_of(const struct record *record, uint32_t xid)
{
    struct wal_summary alone = {.xids_are_known = true};
    struct wal_restore_point ignored;

    return add_record(&alone, record, &ignored) && alone.transactions > 0 && alone.least_xid == xid;
}

/* crc: of what is behind its header. False if it is damaged. */
static bool look_into(struct wal_scan *scan, const struct record *record, uint32_t crc)
{
    struct wal_restore_point point;
    struct wal_summary *summary = &scan->summary;

    if (crc32c_extend(crc, record->bytes, RECORD_CRC) != get32(record->bytes + RECORD_CRC) ||
        !add_record(summary, record, &point))
        return false;
    if (point.name[0] != '\0' && summary->restore_points <= WAL_RESTORE_POINTS_MOST)
        scan->points[summary->restore_points - 1] = point;
    if (scan->sought_xid != 0 && is_end_of(record, scan->sought_xid))
        scan->found_lsn = record->begin;
    return true;
}

void wal_scan_seek_xid(struct wal_scan *scan, uint32_t xid)
{
    scan->sought_xid = xid;
}

uint64_t wal_scan_found_xid(const struct wal_scan *scan)
{
    return scan->found_lsn;
}

uint64_t wal_scan_last_record(const struct wal_scan *scan)
{
    return scan->previous_lsn;
}

/* A switch is a header only. What the segment's edge has left of it may be something else's end. */
static bool may_end_switch(const unsigned char *end, uint32_t length)
{
    unsigned char header[WAL_RECORD_HEADER_BYTES] = {0};

    if (length != 8 && length != 16)
        return false;
    memcpy(header + WAL_RECORD_HEADER_BYTES - length, end, length);
    return wal_record_is_switch(header);
}

/* The record that went from page to page has gone by; end: behind it. */
static void end_record(struct wal_scan *scan, uint64_t end)
{
    const struct record record = {scan->kept, scan->total < KEPT_BYTES ? scan->total : KEPT_BYTES,
                                  scan->version, scan->record_lsn, end};

    if (scan->began_before) {
        keep_edge(&scan->summary.continued, scan->total, scan->kept, end);
        scan->may_be_switch = may_end_switch(scan->kept, scan->total);
    } else {
        if (scan->is_kept && !look_into(scan, &record, scan->crc))
            give_up(scan);
        scan->previous_lsn = scan->record_lsn;
        scan->is_over = scan->is_over || wal_record_is_switch(scan->kept);
    }
    scan->total = scan->passed = 0;
    scan->began_before = false;
}

static bool has_other_previous(const struct wal_scan *scan, const unsigned char *header)
{
    return scan->previous_lsn != 0 && get64(header + RECORD_PREVIOUS) != scan->previous_lsn;
}

/* Bytes of a record's header. How many. */
static size_t pass_header(struct wal_scan *scan, const unsigned char *bytes, size_t length)
{
    size_t taken =
        WAL_RECORD_HEADER_BYTES - scan->passed < length ? WAL_RECORD_HEADER_BYTES - scan->passed : length;

    memcpy(scan->kept + scan->passed, bytes, taken);
    scan->passed += (uint32_t)taken;
    if (scan->passed < WAL_RECORD_HEADER_BYTES)
        return taken;
    if (has_other_previous(scan, scan->kept))
        give_up(scan);
    scan->is_kept = !scan->is_over && is_of_interest(scan->kept);
    scan->crc = 0;
    return taken;
}

/* Bytes behind its header. */
static void pass_body(struct wal_scan *scan, const unsigned char *bytes, size_t length)
{
    size_t room = scan->passed < KEPT_BYTES ? KEPT_BYTES - scan->passed : 0;

    if (scan->is_kept || scan->began_before)
        memcpy(scan->kept + scan->passed, bytes, length < room ? length : room);
    if (scan->is_kept)
        scan->crc = crc32c_extend(scan->crc, bytes, length);
    scan->passed += (uint32_t)length;
}

/* The next bytes of the record that goes by, as far as they are its own. Where in the page they end. */
static size_t pass(struct wal_scan *scan, const unsigned char *page, size_t at)
{
    size_t left = scan->total - scan->passed, room = scan->block_bytes - at;
    size_t end = at + (left < room ? left : room);

    if (!scan->began_before && scan->passed < WAL_RECORD_HEADER_BYTES)
        at += pass_header(scan, page + at, end - at);
    pass_body(scan, page + at, end - at);
    end = (size_t)align(end);
    if (scan->passed == scan->total)
        end_record(scan, scan->page_lsn + end);
    return end;
}

static void start(struct wal_scan *scan, uint32_t total, uint64_t lsn, bool began_before)
{
    scan->total = total;
    scan->passed = 0;
    scan->record_lsn = lsn;
    scan->began_before = began_before;
    scan->is_kept = scan->may_be_switch = false;
}

/* The page's header: where its records begin, or 0 when there is nothing more. */
static size_t take_header(struct wal_scan *scan, const unsigned char *page)
{
    uint16_t info = get16(page + 2);
    uint64_t expected = scan->page_lsn + scan->block_bytes;
    uint32_t left = (info & FIRST_IS_CONTINUED) != 0 ? get32(page + 16) : 0; /* xlp_rem_len */

    scan->page_lsn = get64(page + 8);
    if (get16(page) != scan->magic || (!scan->is_first_page && scan->page_lsn != expected)) {
        give_up(scan);
        return 0;
    }
    if ((info & FIRST_IS_OVERWRITTEN) != 0) { /* the record that goes by was never written to its end */
        scan->total = scan->passed = 0;
        scan->previous_lsn = 0;
    }
    if (scan->is_first_page && left > 0)
        start(scan, left, scan->page_lsn, true);
    else if (left != scan->total - scan->passed) {
        give_up(scan);
        return 0;
    }
    scan->is_first_page = false;
    return (info & LONG_HEADER) != 0 ? WAL_LONG_HEADER_BYTES : WAL_SHORT_HEADER_BYTES;
}

/* The record that lies whole in a page, looked into where it lies. False if it is damaged. */
static bool look_into_whole(struct wal_scan *scan, const unsigned char *page, size_t at)
{
    const unsigned char *bytes = page + at;
    const uint32_t total = get32(bytes);
    const struct record record = {bytes, total, scan->version, scan->page_lsn + at,
                                  scan->page_lsn + align(at + total)};

    return look_into(scan, &record, crc32c(bytes + WAL_RECORD_HEADER_BYTES, total - WAL_RECORD_HEADER_BYTES));
}

/* So many ends of transactions. From the last one on: since times and xids mostly rise, the others tell
 * nothing more then, and are only counted, which is what makes it cheap; unless one is looked for. If one is
 * damaged, those behind it don't count, nor does it. */
static void take_ends(struct wal_scan *scan, const unsigned char *page, size_t count)
{
    size_t left = count, good = 0;

    if (count == 0)
        return;
    const struct wal_summary before = scan->summary;
    for (; left > 0; left--) {
        size_t at = scan->ends[left - 1];
        if (scan->sought_xid == 0 && !tells_more(&scan->summary, page + at, scan->page_lsn + at))
            scan->summary.transactions++;
        else if (!look_into_whole(scan, page, at))
            break;
    }
    if (left == 0)
        return;
    scan->summary = before;
    while (good < count && look_into_whole(scan, page, scan->ends[good]))
        good++;
    give_up(scan);
}

/* A record of the two managers of interest that lies whole in the page. */
static void take_whole(struct wal_scan *scan, const unsigned char *page, size_t at, size_t *ends)
{
    const unsigned char *bytes = page + at;

    if (is_transaction_end(bytes)) {
        scan->ends[(*ends)++] = (uint16_t)at;
    } else if (is_restore_point(bytes)) {
        take_ends(scan, page, *ends);
        *ends = 0;
        if (!scan->is_over && !look_into_whole(scan, page, at))
            give_up(scan);
    } else if (wal_record_is_switch(bytes)) {
        scan->is_over = true;
    }
}

/* Most records lie whole in a page: they are passed over, or looked into. Where the first begins that does
 * not, or is none. */
static size_t take_whole_records(struct wal_scan *scan, const unsigned char *page, size_t at)
{
    const size_t block_bytes = scan->block_bytes, begin = at;
    const uint64_t page_lsn = scan->page_lsn;
    uint64_t previous = scan->previous_lsn;
    size_t ends = 0;

    while (at + WAL_RECORD_HEADER_BYTES <= block_bytes) {
        const unsigned char *bytes = page + at;
        uint32_t total = get32(bytes);
        if (total < WAL_RECORD_HEADER_BYTES || total > block_bytes - at ||
            (previous != 0 && get64(bytes + RECORD_PREVIOUS) != previous))
            break;
        if (bytes[WAL_RECORD_MANAGER] <= RM_XACT) {
            take_whole(scan, page, at, &ends);
            if (scan->is_over) {
                if (wal_record_is_switch(bytes))
                    previous = page_lsn + at;
                break;
            }
        }
        previous = page_lsn + at;
        at = (size_t)align(at + total);
    }
    take_ends(scan, page, ends);
    scan->previous_lsn = previous;
    scan->may_be_switch = scan->may_be_switch && at == begin;
    return at;
}

/* A record begins here. False if there is none. */
static bool start_at(struct wal_scan *scan, const unsigned char *page, size_t at)
{
    uint32_t total = get32(page + at);

    if (total == 0 && scan->may_be_switch)
        scan->is_over = true;
    else if (total < WAL_RECORD_HEADER_BYTES || total > RECORD_MOST_BYTES)
        give_up(scan);
    else
        start(scan, total, scan->page_lsn + at, false);
    return !scan->is_over;
}

static void take_page(struct wal_scan *scan, const unsigned char *page)
{
    size_t at = take_header(scan, page);

    while (!scan->is_over) {
        if (scan->total == 0)
            at = take_whole_records(scan, page, at);
        if (scan->is_over || at >= scan->block_bytes || (scan->total == 0 && !start_at(scan, page, at)))
            break;
        at = pass(scan, page, at);
    }
}

void wal_scan_feed(struct wal_scan *scan, const void *data, size_t length)
{
    const unsigned char *bytes = data;

    if (scan->block_bytes == 0 && !scan->is_over) {
        struct wal_page page;
        if (!wal_page_parse(bytes, length, &page)) {
            give_up(scan);
            return;
        }
        scan->magic = page.magic;
        scan->block_bytes = page.block_bytes;
        scan->version = wal_magic_version(page.magic);
    }
    for (size_t at = 0; !scan->is_over && at + scan->block_bytes <= length; at += scan->block_bytes)
        take_page(scan, bytes + at);
}

void wal_scan_end(struct wal_scan *scan, struct wal_summary *summary, const struct wal_restore_point **points)
{
    bool may_matter = scan->passed < WAL_RECORD_HEADER_BYTES || scan->is_kept;

    if (scan->block_bytes == 0)
        give_up(scan);
    if (!scan->is_over && scan->began_before)
        keep_edge(&scan->summary.continued, scan->passed, scan->kept, 0);
    else if (!scan->is_over && scan->total > 0 && may_matter)
        keep_edge(&scan->summary.begun, scan->passed, scan->kept, scan->record_lsn);
    *summary = scan->summary;
    *points = scan->points;
}

/* Across an edge */

bool wal_edge_may_be_restore_point(const struct wal_edge *begun)
{
    if (begun->length >= WAL_RECORD_HEADER_BYTES)
        return is_restore_point(begun->bytes);
    if (begun->length < sizeof(uint32_t))
        return false;
    uint32_t total = get32(begun->bytes);
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
    const struct record record = {bytes, put_together(begun, continued, bytes), version, begun->lsn,
                                  continued->lsn};
    if (continued->lsn == 0) {
        if (length >= get32(bytes))
            return false;
        keep_edge(&later->begun, (uint32_t)length, bytes, begun->lsn);
        return true;
    }
    if (length != get32(bytes) || record.length < WAL_RECORD_HEADER_BYTES)
        return false;
    return !is_of_interest(bytes) || add_record(later, &record, point);
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
