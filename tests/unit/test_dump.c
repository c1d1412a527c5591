/* Dumps: what is written is read; names; which ones a policy keeps; what PostgreSQL's programs are told of a
 * server, without the password. */
#include "common/dump.h"
#include "common/log.h"
#include "common/server.h"
#include "dump/policy.h"
#include "unit.h"

#define SYSTEM 7574912398475612345u
#define DAY (86400 * 1000000ll)
#define NOW 1795254000000000ll /* 2026-11-21 */

static struct dump_stream streams[] = {
    {.started = NOW - DAY, .pieces = 1, .bytes = 100, .stored_bytes = 1100},
    {.oid = 5, .name = (char *)"postgres", .started = NOW, .pieces = 1, .bytes = 1000, .stored_bytes = 1500},
    {.oid = 16384,
     .name = (char *)"a \"b\" \xff\n",
     .started = NOW + 1,
     .pieces = 3,
     .bytes = 3 * (uint64_t)DUMP_PIECE_BYTES - 7,
     .stored_bytes = 70000},
};
static const struct dump whole = {.id = "20261120T020003Z",
                                  .system_identifier = SYSTEM,
                                  .server_version = 150018,
                                  .program_major = 17,
                                  .has_passwords = true,
                                  .started = NOW - 2 * DAY,
                                  .ended = NOW,
                                  .codec = CODEC_ZSTD,
                                  .host = (char *)"db1",
                                  .streams = streams,
                                  .stream_count = 3};

static void test_manifest(void)
{
    struct buffer text = BUFFER_EMPTY;
    struct dump found;

    streams[2].sha256[31] = 0xAB;
    REQUIRE(dump_seal(&whole, &text) == 0 && dump_parse(text.data, text.length, "the test's", &found) == 0);
    CHECK_TEXT(found.id, whole.id);
    CHECK_TEXT(found.host, "db1");
    CHECK(found.system_identifier == SYSTEM && found.server_version == 150018 && found.program_major == 17);
    CHECK(found.has_passwords && !found.from_standby && found.codec == CODEC_ZSTD);
    CHECK(found.started == whole.started && found.ended == NOW && found.stream_count == 3);
    CHECK(found.streams[0].oid == 0 && found.streams[0].name == NULL);
    CHECK(dump_find(&found, NULL) == &found.streams[0]);
    CHECK(dump_find(&found, "a \"b\" \xff\n") == &found.streams[2] && dump_find(&found, "a") == NULL);
    CHECK(memcmp(found.streams[2].sha256, streams[2].sha256, SHA256_BYTES) == 0);
    CHECK(found.streams[2].pieces == 3 && found.streams[2].started == NOW + 1);
    CHECK(dump_bytes(&found) == 1100 + streams[2].bytes && dump_stored_bytes(&found) == 72600);
    dump_free(&found);
    buffer_free(&text);
}

/* A manifest that is whole, but says what can't be. */
static void refused(const struct dump *dump)
{
    struct buffer text = BUFFER_EMPTY;
    struct dump found;

    CHECK(dump_seal(dump, &text) == 0);
    unit_listen();
    CHECK(dump_parse(text.data, text.length, "the test's", &found) == -1);
    CHECK(unit_heard("the test's is damaged"));
    buffer_free(&text);
}

static void test_refusals(void)
{
    struct dump_stream two[] = {streams[2], streams[2]};
    struct dump dump = whole;

    snprintf(dump.id, sizeof dump.id, "20261320T020003Z");
    refused(&dump);
    dump = whole;
    dump.stream_count = 0;
    refused(&dump);
    dump = whole;
    dump.server_version = 0;
    refused(&dump);
    dump = whole;
    dump.streams = two; /* one database twice */
    dump.stream_count = 2;
    refused(&dump);
    dump.stream_count = 1;
    two[0].pieces = 0;
    refused(&dump);
    two[0].pieces = (uint64_t)DUMP_PIECES_MOST + 1;
    refused(&dump);
    two[0] = streams[2];
    two[0].name = NULL;
    refused(&dump);
}

static void test_names(void)
{
    static const char *const wrong[] = {
        "",           "globals",       "globals-1",           "globals-00000000",
        "0-00000001", "016-00000001",  "4294967296-00000001", "16384-000000001",
        "-00000001",  "main-00000001", "16384-0000000x",      "16384 -00000001"};
    char name[DUMP_PIECE_NAME_BYTES], id[DUMP_ID_BYTES];
    uint64_t number;
    uint32_t oid;
    int64_t time;

    dump_piece_name(0, 1, name);
    CHECK_TEXT(name, "globals-00000001");
    CHECK(dump_piece_parse(name, &oid, &number) && oid == 0 && number == 1);
    dump_piece_name(UINT32_MAX, DUMP_PIECES_MOST, name);
    CHECK_TEXT(name, "4294967295-99999999");
    CHECK(dump_piece_parse(name, &oid, &number) && oid == UINT32_MAX && number == DUMP_PIECES_MOST);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(!dump_piece_parse(wrong[i], &oid, &number));
    dump_id_make(NOW + 999999, id);
    CHECK(dump_id_parse(id, &time) && time == NOW);
    CHECK(!dump_id_is_valid("20261120T020003Z-00000001-0000000A1F000028") && !dump_id_is_valid("latest") &&
          !dump_id_is_valid("20260230T020003Z") && !dump_id_is_valid("2026T120T020003Z"));
}

/* Policies */

#define ENTRIES_MOST 16
static struct dump_entry entries[ENTRIES_MOST];
static struct dump_stream both[] = {{.oid = 0}, {.oid = 5, .name = (char *)"shop"}};
static unsigned reasons[ENTRIES_MOST];

static struct dump_entry *entry_of(struct dump_list *list, enum dump_state state, int64_t ended)
{
    struct dump_entry *entry = &entries[list->count++];

    *entry = (struct dump_entry){.state = state, .heard = ended};
    if (state == DUMP_COMPLETE) {
        entry->dump.ended = ended;
        entry->dump.streams = both;
        entry->dump.stream_count = 2;
    }
    return entry;
}

static void test_policy(void)
{
    struct retention_policy policy = {.keep_dumps = 2, .orphan_age_seconds = 7 * 86400};
    struct dump_list list = {.entries = entries};

    for (int i = 5; i >= 1; i--)
        entry_of(&list, DUMP_COMPLETE, NOW - i * 30 * DAY);
    dump_policy_plan(&policy, &list, NOW, reasons);
    CHECK(reasons[0] == 0 && reasons[1] == 0 && reasons[2] == 0);
    CHECK(reasons[3] == DUMP_KEPT_COUNT && reasons[4] == (DUMP_KEPT_COUNT | DUMP_KEPT_NEWEST));

    /* by the later of the two clocks */
    policy = (struct retention_policy){.keep_dumps_for_seconds = 65 * 86400, .orphan_age_seconds = 7 * 86400};
    entries[1].heard = NOW - DAY;
    dump_policy_plan(&policy, &list, NOW, reasons);
    CHECK(reasons[0] == 0 && reasons[1] == DUMP_KEPT_AGE && reasons[2] == 0 && reasons[3] == DUMP_KEPT_AGE);

    /* the newest stays, however old; what is in the future takes nobody's place, nor what is damaged */
    policy = (struct retention_policy){.keep_dumps = 1, .orphan_age_seconds = 7 * 86400};
    entry_of(&list, DUMP_DAMAGED, NOW);
    entry_of(&list, DUMP_UNFINISHED, NOW - 8 * DAY);
    entry_of(&list, DUMP_UNFINISHED, NOW - 6 * DAY);
    entry_of(&list, DUMP_UNFINISHED, 0);
    entry_of(&list, DUMP_COMPLETE, NOW + DAY);
    dump_policy_plan(&policy, &list, NOW, reasons);
    CHECK(reasons[3] == 0 && reasons[4] == (DUMP_KEPT_COUNT | DUMP_KEPT_NEWEST));
    CHECK(reasons[5] == DUMP_KEPT_DAMAGED && reasons[6] == 0 && reasons[7] == DUMP_KEPT_RUNNING &&
          reasons[8] == 0 && reasons[9] == DUMP_KEPT_FUTURE);

    /* the newest of each month: 2026-11-21, 11-01 and 10-25 */
    list.count = 0;
    policy = (struct retention_policy){.keep_dumps_monthly = 2};
    entry_of(&list, DUMP_COMPLETE, NOW - 60 * DAY);
    entry_of(&list, DUMP_COMPLETE, NOW - 27 * DAY);
    entry_of(&list, DUMP_COMPLETE, NOW - 20 * DAY);
    entry_of(&list, DUMP_COMPLETE, NOW);
    dump_policy_plan(&policy, &list, NOW, reasons);
    CHECK(reasons[0] == 0 && reasons[1] == DUMP_KEPT_MONTHLY && reasons[2] == 0 &&
          reasons[3] == (DUMP_KEPT_MONTHLY | DUMP_KEPT_NEWEST));
    CHECK_TEXT(dump_reason_name(DUMP_KEPT_MONTHLY), "keep_dumps_monthly");
}

/* Dumps of one database push out none of another, nor the globals; by name, whatever the oid. */
static void test_policy_of_databases(void)
{
    static struct dump_stream small[] = {{.oid = 7, .name = (char *)"small"}},
                              anew[] = {{.oid = 9, .name = (char *)"shop"}};
    struct retention_policy policy = {.keep_dumps = 2};
    struct dump_list list = {.entries = entries};

    for (int i = 0; i < 4; i++)
        entry_of(&list, DUMP_COMPLETE, NOW - (20 - i) * DAY);
    for (int i = 0; i < 5; i++) {
        struct dump_entry *entry = entry_of(&list, DUMP_COMPLETE, NOW - (10 - i) * DAY);
        entry->dump.streams = i == 0 ? anew : small;
        entry->dump.stream_count = 1;
    }
    CHECK(dump_policy_plan(&policy, &list, NOW, reasons) == 0);
    CHECK(reasons[0] == 0 && reasons[1] == 0 && reasons[2] == DUMP_KEPT_COUNT);
    CHECK(reasons[3] == (DUMP_KEPT_COUNT | DUMP_KEPT_LAST)); /* of the globals */
    CHECK(reasons[4] == (DUMP_KEPT_COUNT | DUMP_KEPT_LAST)); /* of shop */
    CHECK(reasons[5] == 0 && reasons[6] == 0 && reasons[7] == DUMP_KEPT_COUNT);
    CHECK(reasons[8] == (DUMP_KEPT_COUNT | DUMP_KEPT_NEWEST));
    policy = (struct retention_policy){.keep_dumps_monthly = 1}; /* of November, each */
    CHECK(dump_policy_plan(&policy, &list, NOW, reasons) == 0);
    CHECK(reasons[3] == (DUMP_KEPT_MONTHLY | DUMP_KEPT_LAST) && reasons[2] == 0 &&
          reasons[4] == (DUMP_KEPT_MONTHLY | DUMP_KEPT_LAST) && reasons[7] == 0);

    /* the newest is none that is in the future, while there is another */
    list.now = NOW;
    CHECK(dump_list_find(&list, "latest") == &entries[8].dump);
    entries[8].dump.ended = NOW + 3600 * 1000000ll;
    CHECK(dump_list_find(&list, "latest") == &entries[7].dump);
    list.now = 0;
    CHECK(dump_list_find(&list, "latest") == &entries[8].dump);
}

/* What the programs are told */

static void test_conninfo(void)
{
    static const char *const malformed[] = {
        "host=db1 password=correct horse", "host=db1 password='correct horse", "host=db1 PassWord correct",
        "postgresql://me:correct@horse@db1/x", "postgresql://me:correct@horse/db1:x:y?a"};
    char *text, *line;

    unsetenv("PGPASSWORD");
    unsetenv("PGCONNECT_TIMEOUT");
    text = server_conninfo_for("conninfo", "host=/tmp user=me password=geheim dbname=x passfile=/old",
                               "o'd\\d", "/proc/self/fd/5");
    CHECK_TEXT(text,
               "user='me' host='/tmp' passfile='/proc/self/fd/5' dbname='o\\'d\\\\d' connect_timeout='30'"
               " keepalives_idle='60' keepalives_interval='10' keepalives_count='6'");
    free(text);
    text = server_conninfo_for("conninfo", "postgresql://me:geheim@db1/x?connect_timeout=3&keepalives_idle=9", NULL, NULL);
    CHECK_TEXT(text, "user='me' connect_timeout='3' dbname='x' host='db1' keepalives_idle='9'"
                     " keepalives_interval='10' keepalives_count='6'");
    free(text);
    unit_listen();
    CHECK(server_conninfo_for("conninfo", "host=db1 sslpassword=geheim", NULL, NULL) == NULL);
    CHECK(unit_heard("can't be handed"));
    CHECK(server_passfile_line("conninfo", "host=db1 password='a:b\\\\c'", &line) == 0);
    CHECK_TEXT(line, "*:*:*:*:a\\:b\\\\c\n");
    free(line);
    CHECK(server_passfile_line("conninfo", "host=db1", &line) == 0 && line == NULL);
    setenv("PGPASSWORD", "other", 1);
    CHECK(server_passfile_line("conninfo", "host=db1", &line) == 0);
    CHECK_TEXT(line, "*:*:*:*:other\n");
    free(line);
    unit_listen();
    CHECK(server_passfile_line("--to", "host=db1 nonsense", &line) == -1);
    CHECK(unit_heard("--to is malformed"));
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        unit_listen();
        CHECK(server_check_conninfo("conninfo", malformed[i]) == -1);
        const char *said = unit_listened();
        CHECK(strstr(said, "is malformed") != NULL);
        CHECK(strstr(said, "horse") == NULL && strstr(said, "correct") == NULL);
    }
    CHECK(server_check_conninfo("conninfo", "postgresql://me:correct%40horse@db1/x") == 0);
    unit_listen();
    CHECK(server_check_conninfo("conninfo", "host=db1 prot=5433") == -1);
    CHECK(unit_heard("prot"));
}

int main(void)
{
    log_open("test_dump", LOG_WARNING, false);
    test_manifest();
    test_refusals();
    test_names();
    test_policy();
    test_policy_of_databases();
    test_conninfo();
    return unit_done("dump");
}
