/* WAL, of which the first page's records have their CRC and the one before put right, and the restore points
 * in it: what is told of it can be written, and is read again. */
#include "fuzz.h"

#include "common/crc32c.h"
#include "common/restore_point.h"
#include "common/wal_summary_json.h"

#define FUZZ_RECORD_BYTES 24

static void fuzz_mend(uint8_t *page, size_t length, uint64_t lsn)
{
    uint64_t previous = 0;
    uint32_t total;

    for (size_t at = WAL_LONG_HEADER_BYTES; at + FUZZ_RECORD_BYTES <= length;
         at = (at + total + 7) & ~(size_t)7) {
        uint8_t *record = page + at;
        memcpy(&total, record, sizeof total);
        if (total < FUZZ_RECORD_BYTES || total > length - at)
            return;
        if (previous != 0)
            memcpy(record + 8, &previous, sizeof previous);
        uint32_t crc = crc32c(record + FUZZ_RECORD_BYTES, total - FUZZ_RECORD_BYTES);
        crc = crc32c_extend(crc, record, 20);
        memcpy(record + 20, &crc, sizeof crc);
        previous = lsn + at;
    }
}

static void fuzz_told(const struct wal_summary *summary)
{
    struct json *json = wal_summary_to_json(summary);
    struct buffer text = BUFFER_EMPTY;
    struct wal_summary again;

    FUZZ_CHECK(json_write(json, 0, &text) == 0 && text.length <= 700);
    json_free(json);
    json = json_parse(text.data, text.length, NULL, 0);
    FUZZ_CHECK(json != NULL && wal_summary_from_json(json, &again));
    FUZZ_CHECK(again.transactions == summary->transactions && again.least_time == summary->least_time &&
               again.most_time == summary->most_time && again.last_lsn == summary->last_lsn &&
               again.least_xid == summary->least_xid && again.most_xid == summary->most_xid &&
               again.begun.length == summary->begun.length &&
               again.continued.length == summary->continued.length);
    json_free(json);
    buffer_free(&text);
}

static void fuzz_points(const struct wal_summary *summary, const struct wal_restore_point *points)
{
    struct object_facts facts = {
        .name = "000000010000000A00000002", .system_identifier = 1, .summary = *summary};
    struct buffer document = BUFFER_EMPTY;
    struct restore_points parsed;

    FUZZ_CHECK(restore_points_seal(&facts, points, &document) == 0);
    FUZZ_CHECK(restore_points_parse(document.data, document.length, "the input", &parsed) == 0);
    FUZZ_CHECK(parsed.count == summary->restore_points);
    for (size_t i = 0; i < parsed.count; i++)
        FUZZ_CHECK(strcmp(parsed.points[i].name, points[i].name) == 0);
    restore_points_free(&parsed);
    buffer_free(&document);
}

static void fuzz_scan(const char *bytes, size_t length, struct wal_summary *summary)
{
    struct wal_scan *scan = wal_scan_new();
    const struct wal_restore_point *points;

    FUZZ_CHECK(scan != NULL);
    wal_scan_begin(scan);
    for (size_t at = 0; at < length; at += 65536)
        wal_scan_feed(scan, bytes + at, length - at < 65536 ? length - at : 65536);
    wal_scan_end(scan, summary, &points);
    FUZZ_CHECK(summary->transactions == 0 || summary->least_time <= summary->most_time);
    fuzz_told(summary);
    if (summary->restore_points <= WAL_RESTORE_POINTS_MOST)
        fuzz_points(summary, points);
    wal_scan_free(scan);
}

/* Two segments, the second behind a separator. */
FUZZ_TARGET(records)
{
    struct fuzz_input input = {data, length};
    struct wal_summary summaries[2];
    struct wal_restore_point point;
    struct wal_page page;

    for (size_t i = 0; i < 2; i++) {
        size_t taken;
        char *bytes = fuzz_take(&input, 0, &taken);
        if (wal_page_parse(bytes, taken, &page))
            fuzz_mend((uint8_t *)bytes, taken < page.block_bytes ? taken : page.block_bytes, page.address);
        fuzz_scan(bytes, taken, &summaries[i]);
        free(bytes);
    }
    if (wal_summary_join(&summaries[0], 15, &summaries[1], &point))
        FUZZ_CHECK(memchr(point.name, '\0', sizeof point.name) != NULL);
    fuzz_told(&summaries[1]);
    wal_summary_extend(&summaries[0], &summaries[1]);
    fuzz_told(&summaries[0]);
    return 0;
}
