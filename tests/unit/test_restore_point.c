/* Restore points: their documents, and finding a point by its name, also one that a segment's edge cuts. */
#include "common/file.h"
#include "common/log.h"
#include "wal_repository.h"

#define NOON INT64_C(1795262400000000)

/* What a search told. */
struct told {
    size_t count;
    size_t most; /* so many are enough */
    uint32_t timeline;
    struct wal_restore_point last;
    char names[1024];
};

static uint64_t first_looked_into;

static bool hear(void *context, uint32_t timeline, const struct wal_restore_point *point)
{
    struct told *told = context;

    told->timeline = timeline;
    told->last = *point;
    snprintf(told->names + strlen(told->names), sizeof told->names - strlen(told->names), "%s;", point->name);
    return ++told->count != told->most;
}

static enum repository_result find(const char *name, size_t most, struct told *told)
{
    *told = (struct told){.most = most};
    return restore_points_find(&repository, SYSTEM, SEGMENT_BYTES, first_looked_into, name, hear, told);
}

static void put_points(const struct object_facts *facts, const struct wal_restore_point *points)
{
    struct buffer document = BUFFER_EMPTY;

    CHECK(restore_points_seal(facts, points, &document) == 0);
    CHECK(restore_points_put(&repository, facts, &document) == REPOSITORY_OK);
    CHECK(restore_points_put(&repository, facts, &document) == REPOSITORY_IDENTICAL);
    buffer_free(&document);
}

static void test_document(void)
{
    struct object_facts facts = {.name = "000000010000000A00000002",
                                 .system_identifier = SYSTEM,
                                 .summary = {.restore_points = 2, .begun = {.length = 16}}};
    const struct wal_restore_point points[] = {{"plain", NOON, 0x2800000028},
                                               {"\xE4\xF6\xFC", NOON + 1, UINT64_MAX}};
    struct buffer text = BUFFER_EMPTY;
    struct restore_points parsed;

    memset(facts.sha256, 0xAB, SHA256_BYTES);
    CHECK(restore_points_are_in(&facts.summary));
    CHECK(restore_points_seal(&facts, points, &text) == 0);
    REQUIRE(restore_points_parse(text.data, text.length, "the test's", &parsed) == 0);
    CHECK_TEXT(parsed.segment, facts.name);
    CHECK(parsed.system_identifier == SYSTEM && parsed.count == 2 && !parsed.begun &&
          memcmp(parsed.sha256, facts.sha256, SHA256_BYTES) == 0);
    for (size_t i = 0; i < 2; i++)
        CHECK(strcmp(parsed.points[i].name, points[i].name) == 0 && parsed.points[i].time == points[i].time &&
              parsed.points[i].lsn == points[i].lsn);
    restore_points_free(&parsed);
    CHECK(restore_points_parse(text.data, text.length - 10, "the test's", &parsed) == -1);
    CHECK(restore_points_parse("{}", 2, "the test's", &parsed) == -1);
    buffer_free(&text);

    memcpy(facts.summary.begun.bytes, "\x62\0\0\0", 4); /* 98 bytes: as a restore point's record */
    facts.summary.restore_points = 0;
    CHECK(restore_points_are_in(&facts.summary));
    CHECK(restore_points_seal(&facts, points, &text) == 0);
    REQUIRE(restore_points_parse(text.data, text.length, "the test's", &parsed) == 0);
    CHECK(parsed.begun && parsed.count == 0);
    restore_points_free(&parsed);
    facts.summary.begun.bytes[0]++;
    CHECK(!restore_points_are_in(&facts.summary));
    buffer_free(&text);
}

static void test_wrong_documents(void)
{
    static const char *const changes[][2] = {
        {"\"name\":\"plain\"", "\"name\":\"\""},
        {"\"name\":\"plain\"", "\"name\":null"},
        {"\"name\":\"plain\"", "\"name_hex\":\"zz\""},
        {"\"name\":\"plain\"",
         "\"name\":\"0123456789012345678901234567890123456789012345678901234567890123\""},
        {"\"time\":\"2026", "\"time\":\"x026"},
        {"\"lsn\":\"28/28\"", "\"lsn\":28"},
        {"\"segment\":\"000000010000000A00000002\"", "\"segment\":\"000000010000000A0000000\""},
        {"\"begun\":false", "\"begun\":0"},
        {"\"points\":[", "\"points\":[{},"},
        {"\"points\":", "\"pints\":"},
        {"\"plain_sha256\":\"", "\"plain_sha256\":\"0"},
        {"\"system_identifier\":\"", "\"system_identifier\":\"x"},
    };
    struct object_facts facts = {
        .name = "000000010000000A00000002", .system_identifier = SYSTEM, .summary = {.restore_points = 1}};
    const struct wal_restore_point point = {"plain", NOON, 0x2800000028};
    struct restore_points parsed;

    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct buffer text = BUFFER_EMPTY, changed = BUFFER_EMPTY;
        unsigned char digest[SHA256_BYTES];
        char hex[SHA256_HEX_BYTES];
        REQUIRE(restore_points_seal(&facts, &point, &text) == 0);
        const char *begin = buffer_string(&text), *place_of = strstr(begin, changes[i][0]);
        const char *end = strstr(begin, ",\"sha256\":\"");
        REQUIRE(place_of != NULL && end != NULL);
        REQUIRE(buffer_printf(&changed, "%.*s%s%.*s", (int)(place_of - begin), begin, changes[i][1],
                              (int)(end - place_of - (ptrdiff_t)strlen(changes[i][0])),
                              place_of + strlen(changes[i][0])) == 0);
        REQUIRE(sha256_of(changed.data, changed.length, digest) == 0);
        hex_encode(digest, sizeof digest, hex);
        REQUIRE(buffer_printf(&changed, ",\"sha256\":\"%s\"}\n", hex) == 0);
        bool is_refused = restore_points_parse(changed.data, changed.length, "the test's", &parsed) == -1;
        CHECK(is_refused);
        if (!is_refused) {
            fprintf(stderr, "%s", buffer_string(&changed));
            restore_points_free(&parsed);
        }
        buffer_free(&text);
        buffer_free(&changed);
    }
}

/* Where the document of a segment lies. */
static char *document_of(const struct object_facts *segment)
{
    char hash[SHA256_HEX_BYTES];

    hex_encode(segment->sha256, SHA256_BYTES, hash);
    return below(unit_path("restore-points/%s.%.8s", segment->name, hash));
}

/* A later version may find other points in a segment that is pushed again; what it had told stays. Another
 * segment's have a name of their own. */
static void test_again(void)
{
    struct wal_summary summary = {.is_whole = true, .xids_are_known = true, .restore_points = 2};
    const struct wal_restore_point points[] = {{"first", NOON, 0x280000028}, {"second", NOON, 0x280001000}};
    struct object_facts facts;
    struct buffer document = BUFFER_EMPTY;
    struct told told;

    put_segment(1, 10, &summary, &facts);
    put_points(&facts, points);
    facts.summary.restore_points = 1;
    CHECK(restore_points_seal(&facts, points, &document) == 0);
    CHECK(restore_points_put(&repository, &facts, &document) == REPOSITORY_IDENTICAL);
    CHECK(find(NULL, 0, &told) == REPOSITORY_OK && told.count == 2);
    facts.sha256[0]++;
    CHECK(restore_points_put(&repository, &facts, &document) == REPOSITORY_OK);
    facts.sha256[0]++;
    unit_write(document_of(&facts), "{}", 2);
    CHECK(restore_points_put(&repository, &facts, &document) == REPOSITORY_COLLISION);
    buffer_free(&document);
    unit_remove_tree(below("restore-points"));
    unit_remove_tree(below("wal"));
}

/* The server crashed, or was set back, before the segment was stored; then it wrote another one of its name.
 */
static void test_never_stored(void)
{
    struct wal_summary summary = {.is_whole = true, .xids_are_known = true, .restore_points = 1};
    struct wal_restore_point points[] = {{"never", NOON, 0x280000028}};
    struct object_facts facts, never;
    struct told told;

    put_segment(1, 10, &summary, &facts);
    for (unsigned i = 1; i < 4; i++) { /* before and behind it in the listing */
        never = facts;
        never.sha256[0] = (unsigned char)(never.sha256[0] + 85 * i);
        put_points(&never, points);
    }
    CHECK(find("never", 0, &told) == REPOSITORY_OK && told.count == 0);
    snprintf(points[0].name, sizeof points[0].name, "stored");
    put_points(&facts, points);
    CHECK(find("stored", 0, &told) == REPOSITORY_OK && told.count == 1);
    CHECK(find("never", 0, &told) == REPOSITORY_OK && told.count == 0);
    CHECK(find(NULL, 0, &told) == REPOSITORY_OK && told.count == 1);
    CHECK_TEXT(told.names, "stored;");
    unit_remove_tree(below("restore-points"));
    unit_remove_tree(below("wal"));
}

/* Segments 8 and 9 of timeline 1: two points in the first, one that the edge between them cuts. */
static void test_finding(void)
{
    struct wal_builder builder;
    struct wal_summary first, second;
    struct wal_restore_point points[WAL_RESTORE_POINTS_MOST];
    struct object_facts facts, refused;
    char eighth[512];
    struct told told;

    builder_begin(&builder, 0xD110, 8, 2);
    builder_point(&builder, "early", NOON, 0);
    builder_point(&builder, "twice", NOON + 1, 0);
    builder_fill(&builder, 16);
    builder_point(&builder, "cut", NOON + 2, 0);
    uint64_t end = builder.built[builder.count - 1].end;
    builder_point(&builder, "twice", NOON + 3, 0);
    builder_fill(&builder, 0);
    scan_built(&builder, 0, &first, points);
    put_segment(1, 8, &first, &facts);
    put_points(&facts, points);
    snprintf(eighth, sizeof eighth, "%s", document_of(&facts));
    CHECK(find("cut", 0, &told) == REPOSITORY_OK && told.count == 0); /* its end has not arrived */
    scan_built(&builder, 1, &second, points);
    put_segment(1, 9, &second, &facts);
    put_points(&facts, points);

    CHECK(find("early", 0, &told) == REPOSITORY_OK && told.count == 1 && told.timeline == 1 &&
          told.last.time == NOON && told.last.lsn == builder.built[0].end);
    CHECK(find("twice", 0, &told) == REPOSITORY_OK && told.count == 2 && told.last.time == NOON + 3);
    CHECK(find("twice", 1, &told) == REPOSITORY_OK && told.count == 1 && told.last.time == NOON + 1);
    CHECK(find("cut", 0, &told) == REPOSITORY_OK && told.count == 1 && told.last.time == NOON + 2 &&
          told.last.lsn == end);
    CHECK(find("late", 0, &told) == REPOSITORY_OK && told.count == 0);
    CHECK(find(NULL, 0, &told) == REPOSITORY_OK);
    CHECK_TEXT(told.names, "early;twice;cut;twice;");
    first_looked_into = 9;
    CHECK(find(NULL, 0, &told) == REPOSITORY_OK);
    CHECK_TEXT(told.names, "twice;");
    first_looked_into = 0;

    /* The timeline ended in segment 9: that is there only as the first of the next one. */
    CHECK(unlink(below("wal/0000000100000002/000000010000000200000001")) == 0);
    CHECK(find("cut", 0, &told) == REPOSITORY_OK && told.count == 0);
    put_segment(2, 9, &second, &facts);
    put_segment(3, 9, &second, &facts);
    struct object_facts history = {
        .kind = "history", .name = "00000002.history", .system_identifier = SYSTEM};
    put_object(&history, "1\t1/C0000028\tnone\n"); /* in segment 7 */
    CHECK(find("cut", 0, &told) == REPOSITORY_OK && told.count == 0);
    snprintf(history.name, sizeof history.name, "00000003.history");
    put_object(&history, "1\t2/40001000\tnone\n"); /* in segment 9 */
    CHECK(find("cut", 0, &told) == REPOSITORY_OK && told.count == 1 && told.timeline == 3);

    /* Of a segment that was refused, since another one has its name. */
    put_segment(1, 10, &second, &refused);
    refused.sha256[0]++;
    snprintf(points[0].name, sizeof points[0].name, "refused");
    put_points(&refused, points);
    CHECK(find("refused", 0, &told) == REPOSITORY_OK && told.count == 0);

    /* What is not readable keeps nobody from the rest. */
    CHECK(find("early", 0, &told) == REPOSITORY_OK && told.count == 1);
    char *other = below("restore-points/000000010000000100000000.01234567");
    CHECK(file_replace(other, "{}", 2, 0600) == 0);
    CHECK(find("early", 0, &told) == REPOSITORY_DAMAGED && told.count == 1);
    CHECK(rename(eighth, other) == 0);
    CHECK(find("early", 0, &told) == REPOSITORY_DAMAGED && told.count == 0);
    builder_free(&builder);
}

int main(void)
{
    struct told told;

    log_set_threshold((enum log_level)(LOG_ERROR + 1));
    open_repository();
    CHECK(find(NULL, 0, &told) == REPOSITORY_OK && told.count == 0);
    test_document();
    test_wrong_documents();
    test_again();
    test_never_stored();
    test_finding();
    close_repository();
    return unit_done("restore_point");
}
