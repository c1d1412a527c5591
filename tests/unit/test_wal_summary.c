/* What a segment's records say of time: out of WAL of all kinds of records, cut by pages and segments at
 * every place, against what was put into it; and out of what is no WAL, of which nothing is believed. */
#include "common/base64.h"
#include "common/log.h"
#include "common/object.h"
#include "common/wal_summary_json.h"
#include "wal_builder.h"

#include <time.h>

#define MAGIC_13 0xD106
#define MAGIC_15 0xD110
#define MAGIC_18 0xD118
#define NOON INT64_C(1795262400000000)
#define LONGEST_NAME "012345678901234567890123456789012345678901234567890123456789012"
#define LOOSE_BYTES 131072u /* of a body that a segment's edge may cut more than once */

static uint64_t random_state;

static uint32_t any(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % below;
}

/* What a segment's scan says. feed: so much at once. */
static void scan_segment(const unsigned char *bytes, size_t length, size_t feed, struct wal_summary *summary,
                         struct wal_restore_point *points)
{
    static struct wal_scan *scan;
    const struct wal_restore_point *found;

    if (scan == NULL)
        REQUIRE((scan = wal_scan_new()) != NULL);
    if (bytes == NULL) {
        wal_scan_free(scan);
        scan = NULL;
        return;
    }
    wal_scan_begin(scan);
    for (size_t at = 0; at < length; at += feed)
        wal_scan_feed(scan, bytes + at, length - at < feed ? length - at : feed);
    wal_scan_end(scan, summary, &found);
    if (points != NULL)
        memcpy(points, found,
               (size_t)(summary->restore_points < WAL_RESTORE_POINTS_MOST ? summary->restore_points
                                                                          : WAL_RESTORE_POINTS_MOST) *
                   sizeof *points);
}

static void scan_built(const struct wal_builder *builder, size_t index, struct wal_summary *summary)
{
    scan_segment(builder_segment(builder, index), BUILDER_SEGMENT, BUILDER_SEGMENT, summary, NULL);
}

/* Comparing with what was built */

static bool is_end(const struct built *built)
{
    unsigned operation = built->info & 0x70;

    return built->manager == BUILDER_XACT && !built->is_broken &&
           (operation == BUILDER_COMMIT || operation == BUILDER_ABORT ||
            operation == BUILDER_COMMIT_PREPARED || operation == 0x40);
}

static bool is_point(const struct built *built)
{
    return built->manager == BUILDER_XLOG && built->info == BUILDER_RESTORE_POINT && !built->is_broken;
}

/* Of the records that end in this segment. A record that ends with it ends where the next one begins. */
static void expect(const struct wal_builder *builder, size_t index, struct wal_summary *summary)
{
    const uint64_t begin = builder->start + index * BUILDER_SEGMENT, end = begin + BUILDER_SEGMENT;

    *summary = (struct wal_summary){.is_whole = true, .xids_are_known = true};
    for (size_t i = 0; i < builder->count; i++) {
        const struct built *built = &builder->built[i];
        if (built->end <= begin || built->end > end)
            continue;
        summary->restore_points += is_point(built);
        if (!is_end(built))
            continue;
        if (summary->transactions == 0 || built->time < summary->least_time)
            summary->least_time = built->time;
        if (summary->transactions == 0 || built->time > summary->most_time)
            summary->most_time = built->time;
        if (built->xid != 0 && (summary->least_xid == 0 || (int32_t)(built->xid - summary->least_xid) < 0))
            summary->least_xid = built->xid;
        if (built->xid != 0 && (summary->most_xid == 0 || (int32_t)(built->xid - summary->most_xid) > 0))
            summary->most_xid = built->xid;
        summary->transactions++;
        summary->last_lsn = built->begin;
    }
}

static void check_equal(const struct wal_summary *found, const struct wal_summary *expected, size_t index)
{
    bool are_equal = found->is_whole == expected->is_whole && found->transactions == expected->transactions &&
                     found->least_time == expected->least_time && found->most_time == expected->most_time &&
                     found->last_lsn == expected->last_lsn &&
                     found->restore_points == expected->restore_points &&
                     (!found->xids_are_known ||
                      (found->least_xid == expected->least_xid && found->most_xid == expected->most_xid));

    CHECK(are_equal);
    if (!are_equal)
        fprintf(
            stderr,
            "segment %zu: whole %d transactions %llu %llu times %lld..%lld %lld..%lld last %llx %llx points "
            "%llu %llu xids %u..%u %u..%u\n",
            index, found->is_whole, (unsigned long long)found->transactions,
            (unsigned long long)expected->transactions, (long long)found->least_time,
            (long long)found->most_time, (long long)expected->least_time, (long long)expected->most_time,
            (unsigned long long)found->last_lsn, (unsigned long long)expected->last_lsn,
            (unsigned long long)found->restore_points, (unsigned long long)expected->restore_points,
            found->least_xid, found->most_xid, expected->least_xid, expected->most_xid);
}

static bool edges_are_equal(const struct wal_edge *left, const struct wal_edge *right)
{
    size_t length = left->length < WAL_EDGE_BYTES ? left->length : WAL_EDGE_BYTES;

    return left->length == right->length && (length == 0 || left->lsn == right->lsn) &&
           memcmp(left->bytes, right->bytes, length) == 0;
}

/* As a trailer has it. */
static void check_round_trip(const struct wal_summary *summary)
{
    struct json *json = wal_summary_to_json(summary);
    struct buffer text = BUFFER_EMPTY;
    struct wal_summary again;

    REQUIRE(json_write(json, 0, &text) == 0);
    json_free(json);
    REQUIRE((json = json_parse(text.data, text.length, NULL, 0)) != NULL);
    CHECK(wal_summary_from_json(json, &again));
    CHECK(again.is_whole == summary->is_whole && again.transactions == summary->transactions &&
          again.least_time == summary->least_time && again.most_time == summary->most_time &&
          again.last_lsn == summary->last_lsn && again.xids_are_known == summary->xids_are_known &&
          again.least_xid == summary->least_xid && again.most_xid == summary->most_xid &&
          again.restore_points == summary->restore_points &&
          edges_are_equal(&again.continued, &summary->continued) &&
          edges_are_equal(&again.begun, &summary->begun));
    json_free(json);
    buffer_free(&text);
}

/* All segments, joined over their edges; version: PostgreSQL's major. */
static void check_built(const struct wal_builder *builder, unsigned version)
{
    struct wal_summary before = {.is_whole = false}, found, expected, pieces, run = {.is_whole = false};
    struct wal_restore_point point;
    uint64_t transactions = 0, last_lsn = 0;

    for (size_t i = 0; i < builder->segments; i++) {
        scan_built(builder, i, &found);
        scan_segment(builder_segment(builder, i), BUILDER_SEGMENT, 65536, &pieces, NULL);
        check_equal(&pieces, &found, i);
        check_round_trip(&found);
        if (i > 0)
            CHECK(wal_summary_join(&before, version, &found, &point));
        expect(builder, i, &expected);
        check_equal(&found, &expected, i);
        check_round_trip(&found);
        transactions += expected.transactions;
        last_lsn = expected.transactions > 0 ? expected.last_lsn : last_lsn;
        if (i == 0)
            run = found;
        else
            wal_summary_extend(&run, &found);
        before = found;
    }
    CHECK(run.is_whole && run.transactions == transactions && run.last_lsn == last_lsn);
}

/* One record of each kind, whole in a page */

static void test_kinds(void)
{
    struct wal_builder builder;
    struct wal_summary summary;
    struct wal_restore_point points[3];
    static const unsigned char lists[] = {
        0x1f, 1,    0, 0,              /* database, subtransactions, files, invalidations, xid, statistics */
        5,    0,    0, 0, 9,  0, 0, 0, /* database */
        2,    0,    0, 0, 11, 0, 0, 0,  12,                       /* subtransactions */
        0,    0,    0, 1, 0,  0, 0, 1,  2,                        /* files */
        3,    4,    5, 6, 7,  8, 9, 10, 11, 12,                   /* of one */
        1,    0,    0, 0, 0,  0, 0, 0,  0,  0,  0, 0, 0, 0, 0, 0, /* statistics: one of 12 bytes, before 18 */
        0,    0,    0, 0,                                         /* invalidations: none */
        0x39, 0x30, 0, 0,                                         /* xid 12345 */
    };

    builder_begin(&builder, MAGIC_15, 5, 1);
    builder_end(&builder, BUILDER_COMMIT, 100, NOON, NULL, 0, 0);
    builder_end(&builder, BUILDER_ABORT, 101, NOON + 5, NULL, 0, 1);
    builder_end(&builder, BUILDER_COMMIT, 102, NOON - 7, NULL, 0, 2 | 4);
    builder_point(&builder, "before lunch", NOON + 1, 0);
    builder_point(&builder, "", NOON + 1, 0); /* nobody can ask for it */
    builder_point(&builder, "in a subtransaction", NOON + 2, 2);
    builder_record(&builder, BUILDER_XACT, 0x10, 300, lists, sizeof lists); /* prepared */
    builder_end(&builder, BUILDER_COMMIT_PREPARED | BUILDER_HAS_INFO, 0, NOON + 3, lists, sizeof lists, 3);
    uint64_t last = builder.built[builder.count - 1].begin;
    builder_fill(&builder, 0);
    scan_segment(builder_segment(&builder, 0), BUILDER_SEGMENT, 65536, &summary, points);
    CHECK(summary.is_whole && summary.transactions == 4);
    CHECK(summary.least_time == NOON - 7 && summary.most_time == NOON + 5 && summary.last_lsn == last);
    CHECK(summary.xids_are_known && summary.least_xid == 100 && summary.most_xid == 12345);
    CHECK(summary.restore_points == 2 && summary.begun.length == 0 && summary.continued.length == 0);
    CHECK_TEXT(points[0].name, "before lunch");
    CHECK_TEXT(points[1].name, "in a subtransaction");
    CHECK(points[0].time == NOON + 1 && points[0].lsn == builder.built[3].end);
    builder_free(&builder);

    /* since 18 the statistics are longer: the xid lies elsewhere */
    builder_begin(&builder, MAGIC_18, 5, 1);
    builder_end(&builder, BUILDER_COMMIT_PREPARED | BUILDER_HAS_INFO, 0, NOON, lists, sizeof lists, 0);
    builder_fill(&builder, 0);
    scan_built(&builder, 0, &summary);
    CHECK(summary.is_whole && summary.transactions == 1 && summary.least_xid != 12345);
    builder_free(&builder);

    /* of an unknown version nobody knows; the time stands where it always did */
    builder_begin(&builder, 0xD1FF, 5, 1);
    builder_end(&builder, BUILDER_COMMIT_PREPARED | BUILDER_HAS_INFO, 0, NOON, lists, sizeof lists, 0);
    builder_fill(&builder, 0);
    scan_built(&builder, 0, &summary);
    CHECK(summary.is_whole && summary.most_time == NOON && !summary.xids_are_known && summary.least_xid == 0);
    builder_free(&builder);

    /* xids wrap */
    builder_begin(&builder, MAGIC_15, 5, 1);
    builder_end(&builder, BUILDER_COMMIT, 3, NOON, NULL, 0, 0);
    builder_end(&builder, BUILDER_COMMIT, 0xFFFFFFF0u, NOON, NULL, 0, 0);
    builder_end(&builder, BUILDER_COMMIT, 7, NOON, NULL, 0, 0);
    builder_fill(&builder, 0);
    scan_built(&builder, 0, &summary);
    CHECK(summary.least_xid == 0xFFFFFFF0u && summary.most_xid == 7);
    builder_free(&builder);
}

/* A record cut by the segment's edge at every place. */
static void test_edges(void)
{
    struct wal_builder builder;
    struct wal_summary earlier, later;
    struct wal_restore_point point;

    for (uint32_t left = 8; left <= 120; left += 8) {
        for (unsigned how = 0; how < 8; how++) {
            builder_begin(&builder, MAGIC_15, 5, 2);
            builder_end(&builder, BUILDER_COMMIT, 100, NOON, NULL, 0, 0);
            builder_fill(&builder, left);
            builder_end(&builder, BUILDER_ABORT, 200, NOON + 9, NULL, 0, how);
            builder_end(&builder, BUILDER_COMMIT, 150, NOON + 5, NULL, 0, how);
            builder_fill(&builder, 0);
            check_built(&builder, 15);
            builder_free(&builder);

            bool has_long_length = (how & 4) != 0; /* no server writes it so */
            builder_begin(&builder, MAGIC_15, 5, 2);
            builder_fill(&builder, left);
            builder_point(&builder, "on the edge", NOON + 9, has_long_length ? 0 : how & 2);
            uint64_t end = builder.built[builder.count - 1].end;
            builder_fill(&builder, 0);
            check_built(&builder, 15);
            scan_built(&builder, 0, &earlier);
            scan_built(&builder, 1, &later);
            bool is_cut = end > builder.start + BUILDER_SEGMENT;
            CHECK(earlier.restore_points == !is_cut && later.restore_points == 0);
            CHECK(wal_edge_may_be_restore_point(&earlier.begun) == is_cut);
            CHECK(wal_summary_join(&earlier, 15, &later, &point));
            CHECK(later.restore_points == is_cut);
            CHECK_TEXT(point.name, is_cut ? "on the edge" : "");
            if (is_cut)
                CHECK(point.time == NOON + 9 && point.lsn == end);
            builder_free(&builder);
        }
    }

    /* what does not belong together */
    builder_begin(&builder, MAGIC_15, 5, 2);
    builder_fill(&builder, 32);
    builder_end(&builder, BUILDER_COMMIT, 200, NOON, NULL, 0, 3);
    builder_fill(&builder, 0);
    scan_built(&builder, 0, &earlier);
    scan_built(&builder, 1, &later);
    CHECK(earlier.begun.length == 32 && later.continued.length > 0);
    earlier.begun.length -= 8;
    CHECK(!wal_summary_join(&earlier, 15, &later, &point));
    CHECK(later.transactions == 0);
    builder_free(&builder);
}

/* A commit that dropped so much that its record goes over more than two segments. */
static void test_long_records(void)
{
    const uint32_t length = 2 * BUILDER_SEGMENT + 5000;
    unsigned char *behind = calloc(1, length);
    struct wal_builder builder;
    struct wal_summary summary;

    REQUIRE(behind != NULL);
    for (uint32_t left = 8; left <= 64; left += 8) {
        builder_begin(&builder, MAGIC_13, 5, 4);
        builder_end(&builder, BUILDER_COMMIT, 100, NOON + 1, NULL, 0, 0);
        builder_fill(&builder, left);
        builder_end(&builder, BUILDER_COMMIT | BUILDER_HAS_INFO, 101, NOON + 2, behind, length, 2);
        builder_end(&builder, BUILDER_COMMIT, 102, NOON, NULL, 0, 0);
        builder_fill(&builder, 0);
        check_built(&builder, 13);
        scan_built(&builder, 1, &summary);
        CHECK(summary.is_whole && summary.continued.lsn == 0 && summary.continued.length > 1000000);
        builder_free(&builder);
    }
    free(behind);
}

/* A server that ended in a record, also at the segment's edge. */
static void test_overwritten(void)
{
    static const uint32_t places[] = {8, 16, 24, 40, 4000, 8152};
    struct wal_builder builder;

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        builder_begin(&builder, MAGIC_15, 5, 2);
        builder_end(&builder, BUILDER_COMMIT, 100, NOON, NULL, 0, 0);
        builder_break(&builder, 20000, NOON + 100); /* in mid-segment */
        builder_end(&builder, BUILDER_COMMIT, 101, NOON + 1, NULL, 0, 0);
        builder_fill(&builder, places[i]);
        builder_break(&builder, 20000, NOON + 100);
        builder_end(&builder, BUILDER_COMMIT, 102, NOON + 2, NULL, 0, 0);
        builder_fill(&builder, 0);
        check_built(&builder, 15);
        builder_free(&builder);
    }
}

/* What is behind a switch is no WAL. */
static void test_switch(void)
{
    struct wal_builder builder;
    struct wal_summary summary;

    for (uint32_t left = 8; left <= 48; left += 8) {
        builder_begin(&builder, MAGIC_15, 5, 2);
        builder_end(&builder, BUILDER_COMMIT, 100, NOON, NULL, 0, 0);
        builder_fill(&builder, left);
        builder_record(&builder, BUILDER_XLOG, BUILDER_SWITCH, 0, NULL, 0);
        scan_built(&builder, 0, &summary);
        CHECK(summary.is_whole && summary.transactions == 1);
        scan_built(&builder, 1, &summary); /* where the switch is cut, its end and zeros */
        CHECK(summary.is_whole == (left < 24) && summary.transactions == 0);
        builder_free(&builder);
    }
}

/* Random ones */

static void build_any(struct wal_builder *builder, const unsigned char *loose)
{
    uint32_t xid = any(2) == 0 ? 1000 + any(1000000) : 0xFFFFF000u + any(8192);
    static const uint8_t operations[] = {BUILDER_COMMIT, BUILDER_COMMIT, BUILDER_ABORT, 0x10, 0x50, 0x60};
    static const char *const names[] = {"a", "before the release", LONGEST_NAME};
    uint8_t operation;

    switch (any(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        operation = operations[any(6)];
        if (any(40) == 0)
            builder_end(builder, operation | BUILDER_HAS_INFO, xid, NOON + any(1000000), loose, any(40000),
                        any(8));
        else
            builder_end(builder, operation, xid, NOON + any(1000000), NULL, 0, any(8));
        break;
    case 4:
        if (any(8) == 0)
            builder_point(builder, names[any(3)], NOON + any(1000000), any(2) * 2);
        break;
    case 5:
        builder_record(builder, BUILDER_XLOG, 0xA0, 0, loose, any(9000)); /* an image of a page */
        break;
    case 6:
        if (any(2000) == 0 && builder_room(builder) > 4 * BUILDER_BLOCK)
            builder_break(builder, 10000 + any(100000), NOON);
        break;
    case 7:
        if (any(400) == 0)
            builder_record(builder, BUILDER_HEAP, 0, xid, loose, any(LOOSE_BYTES));
        break;
    default:
        builder_record(builder, BUILDER_HEAP, (uint8_t)any(256), xid, loose, any(400));
    }
}

static void test_random(unsigned rounds)
{
    unsigned char *loose = calloc(1, LOOSE_BYTES);
    struct wal_builder builder;

    REQUIRE(loose != NULL);
    for (unsigned round = 0; round < rounds; round++) {
        builder_begin(&builder, MAGIC_15, 5 + any(1000), 3);
        while (builder_room(&builder) > 0)
            build_any(&builder, loose);
        check_built(&builder, 15);
        builder_free(&builder);
    }
    free(loose);
}

/* No WAL */

/* Of a segment full of commits; where its records are wrong, this byte on. */
static bool is_believed(unsigned char *segment, size_t length)
{
    struct wal_summary summary;

    scan_segment(segment, length, 65536, &summary, NULL);
    check_round_trip(&summary);
    return summary.is_whole;
}

static void test_damage(unsigned rounds)
{
    struct wal_builder builder;
    unsigned char *segment = malloc(BUILDER_SEGMENT);
    struct wal_summary whole, summary;

    REQUIRE(segment != NULL);
    builder_begin(&builder, MAGIC_15, 5, 1);
    while (builder_room(&builder) > 0)
        builder_end(&builder, BUILDER_COMMIT, 100 + any(100), NOON + any(1000), NULL, 0, any(8));
    scan_built(&builder, 0, &whole);
    CHECK(whole.is_whole && whole.transactions > 10000);

    memset(segment, 0, BUILDER_SEGMENT);
    CHECK(!is_believed(segment, BUILDER_SEGMENT));
    CHECK(!is_believed(segment, 0));
    CHECK(!is_believed(segment, 39));
    for (unsigned round = 0; round < rounds; round++) {
        size_t at = 40 + any(BUILDER_SEGMENT - 40), length = 1 + any(BUILDER_SEGMENT - (uint32_t)at);
        memcpy(segment, builder_segment(&builder, 0), BUILDER_SEGMENT);
        memset(segment + at, 0, BUILDER_SEGMENT - at); /* it ends early */
        if (memcmp(segment, builder_segment(&builder, 0), BUILDER_SEGMENT) != 0)
            CHECK(!is_believed(segment, BUILDER_SEGMENT) || BUILDER_SEGMENT - at < 64);
        memcpy(segment, builder_segment(&builder, 0), BUILDER_SEGMENT);
        for (size_t i = 0; i < length; i++)
            segment[at + i] = (unsigned char)any(256);
        scan_segment(segment, BUILDER_SEGMENT, 65536, &summary, NULL);
        check_round_trip(&summary);
        CHECK(!summary.is_whole || length < 128);
        /* what stood before the damage is right, and nothing else is told */
        CHECK(summary.transactions <= whole.transactions);
        if (summary.transactions > 0)
            CHECK(summary.least_time >= whole.least_time && summary.most_time <= whole.most_time);
    }
    /* a page of another segment, as a recycled file has */
    memcpy(segment, builder_segment(&builder, 0), BUILDER_SEGMENT);
    segment[BUILDER_BLOCK + 8 + 3]++;
    CHECK(!is_believed(segment, BUILDER_SEGMENT));
    /* a header that promises a block size which the rest does not have */
    memcpy(segment, builder_segment(&builder, 0), BUILDER_SEGMENT);
    builder_put32(segment + 36, 16384);
    CHECK(!is_believed(segment, BUILDER_SEGMENT));
    builder_free(&builder);
    free(segment);
}

/* One byte of a record: it and what is behind it tell nothing, in its page neither. */
static void test_damaged_byte(void)
{
    struct wal_builder builder;
    struct wal_summary summary;

    builder_begin(&builder, MAGIC_15, 5, 1);
    for (uint32_t i = 0; i < 2000; i++)
        builder_end(&builder, BUILDER_COMMIT, 100 + i, NOON + i, NULL, 0, 0);
    builder_fill(&builder, 0);
    for (size_t i = 100; i < 2000; i += 7) {
        const struct built *built = &builder.built[i];
        unsigned char *record = builder.bytes + (built->begin - builder.start);
        if (built->begin / BUILDER_BLOCK != (built->end - 1) / BUILDER_BLOCK)
            continue;
        record[24 + 2 + 3] ^= 1; /* sixteen seconds later, or earlier */
        scan_built(&builder, 0, &summary);
        CHECK(!summary.is_whole && summary.transactions == i &&
              summary.last_lsn == builder.built[i - 1].begin && summary.most_time == NOON + (int64_t)i - 1 &&
              summary.least_time == NOON);
        record[24 + 2 + 3] ^= 1;
    }
    builder_free(&builder);

    /* a page of another segment in the middle of a record, which has nothing else to be known by */
    static const unsigned char body[5 * BUILDER_BLOCK];
    builder_begin(&builder, MAGIC_15, 5, 1);
    builder_record(&builder, BUILDER_HEAP, 0, 1, body, sizeof body);
    builder_fill(&builder, 0);
    builder.bytes[2 * BUILDER_BLOCK + 8 + 3]++;
    scan_built(&builder, 0, &summary);
    CHECK(!summary.is_whole);
    builder_free(&builder);
}

/* Times that no clock shows, and that could not be written. */
static void test_impossible_times(void)
{
    static const int64_t times[] = {-1, INT64_C(253402300800000000), INT64_MAX,
                                    INT64_MIN + 1 + BUILDER_EPOCH};
    struct wal_builder builder;
    struct wal_summary summary;

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        builder_begin(&builder, MAGIC_15, 5, 1);
        builder_end(&builder, BUILDER_COMMIT, 100, NOON, NULL, 0, 0);
        builder_end(&builder, BUILDER_COMMIT, 101, times[i], NULL, 0, 0);
        builder_fill(&builder, 0);
        scan_built(&builder, 0, &summary);
        CHECK(!summary.is_whole && summary.transactions == 1 && summary.most_time == NOON);
        builder_free(&builder);
    }
}

/* In a trailer */

/* Nothing that a segment can hold makes its trailer too long. */
static void test_longest_trailer(void)
{
    const struct compression compression = {CODEC_ZSTD, 1};
    struct object_writer *writer = object_writer_new(&compression);
    struct buffer object = BUFFER_EMPTY;
    struct object_facts found, facts = {
                                   .kind = "segment",
                                   .name = "FFFFFFFFFFFFFFFFFFFFFFFF",
                                   .system_identifier = UINT64_MAX,
                                   .timeline = UINT32_MAX,
                                   .postgresql_version = 1000,
                                   .has_summary = true,
                                   .summary =
                                       {
                                           .is_whole = false,
                                           .transactions = (1u << 30) / 40,
                                           .least_time = NOON + 123456,
                                           .most_time = INT64_C(253402300799999999),
                                           .last_lsn = UINT64_MAX,
                                           .xids_are_known = true,
                                           .least_xid = UINT32_MAX - 1,
                                           .most_xid = UINT32_MAX,
                                           .restore_points = (1u << 30) / 104,
                                           .continued = {.length = 1020u << 20, .lsn = UINT64_MAX},
                                           .begun = {.length = 1020u << 20, .lsn = UINT64_MAX},
                                       },
                               };
    /* of the sizes of a segment of 1 GiB, where this one has one digit and two */
    const size_t more_digits = strlen("1073741824") - 1 + strlen("1073741824") - 2;

    memset(facts.summary.continued.bytes, 0xFF, WAL_EDGE_BYTES);
    memset(facts.summary.begun.bytes, 0xFF, WAL_EDGE_BYTES);
    REQUIRE(writer != NULL && object_writer_begin(writer, sink_to_buffer(&object)) == 0 &&
            object_writer_write(writer, "hello", 5) == 0);
    CHECK(object_writer_end(writer, &facts) == 0);
    REQUIRE(object.length > OBJECT_TRAILER_BYTES);
    const char *trailer = (const char *)object.data + object.length - OBJECT_TRAILER_BYTES;
    size_t blanks = 0;
    while (trailer[OBJECT_TRAILER_BYTES - 2 - blanks] == ' ')
        blanks++;
    CHECK(blanks >= more_digits);
    printf("longest trailer: %zu bytes to spare\n", blanks - more_digits);
    CHECK(object_trailer_parse(trailer, object.length, "the test's", &found) == 0);
    CHECK(found.has_summary && found.summary.transactions == facts.summary.transactions &&
          edges_are_equal(&found.summary.continued, &facts.summary.continued) &&
          edges_are_equal(&found.summary.begun, &facts.summary.begun));
    object_writer_free(writer);
    buffer_free(&object);
}

static void test_json(void)
{
    static const struct {
        const char *text;
        bool is_good;
    } cases[] = {
        {"{\"whole\":true,\"transactions\":0}", true},
        {"{\"whole\":true,\"transactions\":0,\"later\":[1]}", true},
        {"{\"whole\":true,\"transactions\":0,\"xids\":null}", true},
        {"{\"whole\":1,\"transactions\":0}", false},
        {"{\"whole\":true,\"transactions\":-1}", false},
        {"{\"transactions\":0}", false},
        {"{\"whole\":true,\"transactions\":1}", false},
        {"{\"whole\":true,\"transactions\":1,\"times\":[\"2026-11-21T12:00:00Z\",\"2026-11-21T12:00:01Z\"],"
         "\"last_lsn\":\"0/3000028\"}",
         true},
        {"{\"whole\":true,\"transactions\":1,\"times\":[\"2026-11-21T12:00:02Z\",\"2026-11-21T12:00:01Z\"],"
         "\"last_lsn\":\"0/3000028\"}",
         false},
        {"{\"whole\":true,\"transactions\":1,\"times\":[\"2026-11-21T12:00:00Z\"],\"last_lsn\":\"0/"
         "3000028\"}",
         false},
        {"{\"whole\":true,\"transactions\":0,\"xids\":[1]}", false},
        {"{\"whole\":true,\"transactions\":0,\"xids\":[1,4294967296]}", false},
        {"{\"whole\":true,\"transactions\":0,\"restore_points\":\"1\"}", false},
        {"{\"whole\":true,\"transactions\":0,\"begun\":{\"bytes\":3,\"lsn\":\"0/8\",\"head\":\"AAAA\"}}",
         true},
        {"{\"whole\":true,\"transactions\":0,\"begun\":{\"bytes\":3,\"lsn\":\"8\",\"head\":\"AAAA\"}}",
         false},
        {"{\"whole\":true,\"transactions\":0,\"begun\":{\"bytes\":4,\"lsn\":\"0/8\",\"head\":\"AAAA\"}}",
         false},
        {"{\"whole\":true,\"transactions\":0,\"begun\":{\"bytes\":0,\"lsn\":\"0/8\",\"head\":\"\"}}", false},
        {"{\"whole\":true,\"transactions\":0,\"begun\":{\"bytes\":3,\"lsn\":\"0/8\"}}", false},
        {"[]", false},
    };
    struct wal_summary summary;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json *json = json_parse(cases[i].text, strlen(cases[i].text), NULL, 0);
        REQUIRE(json != NULL);
        bool is_good = wal_summary_from_json(json, &summary);
        CHECK(is_good == cases[i].is_good);
        if (is_good != cases[i].is_good)
            fprintf(stderr, "%s\n", cases[i].text);
        json_free(json);
    }
}

static void test_base64(void)
{
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    static const char *const wrong[] = {"Zm9", "Zm9v=", "Zm9vYg", "Zm9 ", "Zh==", "Zg=a", "====", "Zg="};
    char text[BASE64_TEXT_BYTES(256)], bytes[256], again[256];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        base64_encode(cases[i][0], strlen(cases[i][0]), text);
        CHECK_TEXT(text, cases[i][1]);
        CHECK(base64_decode(text, bytes, strlen(cases[i][0])) &&
              memcmp(bytes, cases[i][0], strlen(cases[i][0])) == 0);
        CHECK(!base64_decode(text, bytes, strlen(cases[i][0]) + 3));
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        for (size_t length = 0; length <= 4; length++)
            CHECK(!base64_decode(wrong[i], bytes, length));
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
    base64_encode(bytes, sizeof bytes, text);
    CHECK(base64_decode(text, again, sizeof again) && memcmp(bytes, again, sizeof again) == 0);
}

int main(void)
{
    const char *seed = getenv("SEED");

    random_state = seed == NULL ? (uint64_t)time(NULL) : strtoull(seed, NULL, 10);
    printf("SEED=%llu\n", (unsigned long long)random_state);
    log_set_threshold((enum log_level)(LOG_ERROR + 1));
    test_kinds();
    test_edges();
    test_long_records();
    test_overwritten();
    test_switch();
    test_random(20);
    test_damage(200);
    test_damaged_byte();
    test_impossible_times();
    test_longest_trailer();
    test_json();
    test_base64();
    scan_segment(NULL, 0, 0, &(struct wal_summary){.is_whole = false}, NULL);
    return unit_done("wal_summary");
}
