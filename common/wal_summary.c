#include "wal_record.h"

#include "crc32c.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_PREVIOUS 8
#define RECORD_CRC 20
#define RECORD_MOST_BYTES (1020u * 1024 * 1024) /* XLogRecordMaxSize */
#define BLOCK_MOST_BYTES 65536
#define KEPT_BYTES (16 * 1024) /* of a record that is looked into, where a page's edge cuts it */

/* xlp_info */
#define FIRST_IS_CONTINUED 0x0001
#define LONG_HEADER 0x0002
#define FIRST_IS_OVERWRITTEN 0x0008

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

static bool is_end_of(const struct wal_record *record, uint32_t xid)
{
    struct wal_summary alone = {.xids_are_known = true};
    struct wal_restore_point ignored;

    return wal_record_add(&alone, record, &ignored) && alone.transactions > 0 && alone.least_xid == xid;
}

/* crc: of what is behind its header. False if it is damaged. */
static bool look_into(struct wal_scan *scan, const struct wal_record *record, uint32_t crc)
{
    struct wal_restore_point point;
    struct wal_summary *summary = &scan->summary;

    if (crc32c_extend(crc, record->bytes, RECORD_CRC) != wal_get32(record->bytes + RECORD_CRC) ||
        !wal_record_add(summary, record, &point))
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
    const struct wal_record record = {scan->kept, scan->total < KEPT_BYTES ? scan->total : KEPT_BYTES,
                                      scan->version, scan->record_lsn, end};

    if (scan->began_before) {
        wal_edge_keep(&scan->summary.continued, scan->total, scan->kept, end);
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
    return scan->previous_lsn != 0 && wal_get64(header + RECORD_PREVIOUS) != scan->previous_lsn;
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
    scan->is_kept = !scan->is_over && wal_record_is_of_interest(scan->kept);
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
    uint16_t info = wal_get16(page + 2);
    uint64_t expected = scan->page_lsn + scan->block_bytes;
    uint32_t left = (info & FIRST_IS_CONTINUED) != 0 ? wal_get32(page + 16) : 0; /* xlp_rem_len */

    scan->page_lsn = wal_get64(page + 8);
    if (wal_get16(page) != scan->magic || (!scan->is_first_page && scan->page_lsn != expected)) {
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
    const uint32_t total = wal_get32(bytes);
    const struct wal_record record = {bytes, total, scan->version, scan->page_lsn + at,
                                      scan->page_lsn + align(at + total)};

    return look_into(scan, &record, crc32c(bytes + WAL_RECORD_HEADER_BYTES, total - WAL_RECORD_HEADER_BYTES));
}

/* Does the end of a transaction, which lies whole here, tell more than that there is one? True also where
 * that is not seen at once. */
static bool tells_more(const struct wal_summary *summary, const unsigned char *bytes, uint64_t lsn)
{
    const size_t data = WAL_RECORD_HEADER_BYTES + DATA_SHORT_BYTES;

    if (lsn > summary->last_lsn || wal_get32(bytes) < data + 8 ||
        bytes[WAL_RECORD_HEADER_BYTES] != DATA_SHORT || wal_record_is_prepared_end(bytes))
        return true;
    int64_t time = (int64_t)(wal_get64(bytes + data) + POSTGRESQL_EPOCH);
    uint32_t xid = wal_get32(bytes + RECORD_XID);
    if (time < summary->least_time || time > summary->most_time)
        return true;
    return xid != 0 && (summary->least_xid == 0 || (int32_t)(xid - summary->least_xid) < 0 ||
                        (int32_t)(xid - summary->most_xid) > 0);
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

    if (wal_record_is_transaction_end(bytes)) {
        scan->ends[(*ends)++] = (uint16_t)at;
    } else if (wal_record_is_restore_point(bytes)) {
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
        uint32_t total = wal_get32(bytes);
        if (total < WAL_RECORD_HEADER_BYTES || total > block_bytes - at ||
            (previous != 0 && wal_get64(bytes + RECORD_PREVIOUS) != previous))
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
    uint32_t total = wal_get32(page + at);

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
        wal_edge_keep(&scan->summary.continued, scan->passed, scan->kept, 0);
    else if (!scan->is_over && scan->total > 0 && may_matter)
        wal_edge_keep(&scan->summary.begun, scan->passed, scan->kept, scan->record_lsn);
    *summary = scan->summary;
    *points = scan->points;
}
