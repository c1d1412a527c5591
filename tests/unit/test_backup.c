/* Base backups: the manifest there and back and every damaged byte of it, and choosing one for a target. */
#include "common/backup.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "unit.h"

#include <stdlib.h>

static const char *backup_id = "20261120T020003Z-00000001-0000000A1F000028";

static int64_t instant(const char *text)
{
    int64_t value = 0;

    CHECK(timestamp_parse(text, &value) == TIMESTAMP_OK);
    return value;
}

/* The manifest */

static void make_backup(struct backup *backup)
{
    backup_init(backup);
    snprintf(backup->id, sizeof backup->id, "%s", backup_id);
    backup->system_identifier = 7412345678901234567ULL;
    backup->postgresql_version = 15;
    backup->server_version = 150018;
    backup->timeline = 1;
    backup->start_lsn = 0xA1F000028ULL;
    backup->stop_lsn = 0xA20000100ULL;
    backup->start_time = instant("2026-11-20 02:00:03.25Z");
    backup->stop_time = instant("2026-11-20 02:10:03.000001Z");
    backup->covered_until = instant("2026-11-20 02:10:02.999999Z");
    backup->segment_bytes = 16u << 20;
    backup->block_bytes = 8192;
    backup->data_checksums = true;
    backup->label = string_copy("nightly \"one\"");
    backup->host = string_copy("db\xFF"); /* not UTF-8 */
    backup->tablespaces = calloc(2, sizeof *backup->tablespaces);
    backup->tablespace_count = 2;
    backup->tablespaces[0] = (struct backup_tablespace){16400, string_copy("fast"), string_copy("/mnt/fast")};
    backup->tablespaces[1] = (struct backup_tablespace){4294967295u, NULL, string_copy("/mnt/na\xEFve")};
    backup->databases = calloc(2, sizeof *backup->databases);
    backup->database_count = 2;
    backup->databases[0] = (struct backup_database){1, string_copy("template1")};
    backup->databases[1] = (struct backup_database){4294967295u, string_copy("na\xEFve")};
    backup->external = calloc(1, sizeof *backup->external);
    backup->external_count = 1;
    backup->external[0] = string_copy("/etc/postgresql/15/main/pg_hba.conf");
    backup->part_count = 12;
    backup->file_count = 987654;
    backup->plain_bytes = 123456789012345ULL;
    backup->stored_bytes = 23456789012345ULL;
    backup->zero_pages = 54;
    backup->page_errors = 7;
    backup->from_standby = true;
    backup->wal_included = true;
    backup->annotations = calloc(2, sizeof *backup->annotations);
    backup->annotation_count = 2;
    backup->annotations[0] = (struct backup_annotation){string_copy("ticket"), string_copy("OPS-4711 \"ü\"")};
    backup->annotations[1] = (struct backup_annotation){string_copy("before"), string_copy("")};
    backup->page_error_list = calloc(2, sizeof *backup->page_error_list);
    backup->page_error_list_count = 2;
    backup->page_error_list[0] =
        (struct backup_page_error){string_copy("base/1/\xFF"), 131073, true, 0xFFFF, 0};
    backup->page_error_list[1] = (struct backup_page_error){string_copy("base/5/1249"), 0, false, 0, 0};
    memset(backup->files_sha256, 0xAB, SHA256_BYTES);
    backup->files_bytes = 4711;
}

static void test_round_trip(void)
{
    struct backup made, read;
    struct buffer text = BUFFER_EMPTY, again = BUFFER_EMPTY;

    make_backup(&made);
    backup_init(&read);
    CHECK(backup_seal(&made, &text) == 0);
    CHECK(backup_parse(text.data, text.length, "manifest.json", &read) == 0);
    CHECK_TEXT(read.id, made.id);
    CHECK(read.system_identifier == made.system_identifier);
    CHECK(read.start_lsn == made.start_lsn && read.stop_lsn == made.stop_lsn);
    CHECK(read.start_time == made.start_time && read.stop_time == made.stop_time);
    CHECK(read.covered_until == made.covered_until);
    CHECK_TEXT(read.label, made.label);
    CHECK_TEXT(read.host, made.host);
    CHECK(read.tablespace_count == 2 && read.tablespaces[1].oid == 4294967295u);
    CHECK(read.tablespaces[1].name == NULL);
    CHECK_TEXT(read.tablespaces[1].location, "/mnt/na\xEFve");
    CHECK(read.database_count == 2 && read.databases[1].oid == 4294967295u);
    CHECK_TEXT(read.databases[1].name, "na\xEFve");
    CHECK(read.from_standby && read.wal_included);
    CHECK(read.annotation_count == 2);
    CHECK_TEXT(read.annotations[0].key, "ticket");
    CHECK_TEXT(read.annotations[0].value, "OPS-4711 \"ü\"");
    CHECK_TEXT(read.annotations[1].value, "");
    CHECK(read.page_errors == 7 && read.page_error_list_count == 2);
    CHECK_TEXT(read.page_error_list[0].file, "base/1/\xFF");
    CHECK(read.page_error_list[0].block == 131073 && read.page_error_list[0].has_checksums);
    CHECK(read.page_error_list[0].found == 0xFFFF && read.page_error_list[0].expected == 0);
    CHECK(!read.page_error_list[1].has_checksums && read.page_error_list[1].block == 0);
    CHECK(read.external_count == 1);
    CHECK_TEXT(read.external[0], made.external[0]);
    CHECK(memcmp(read.files_sha256, made.files_sha256, SHA256_BYTES) == 0);
    /* The rest is compared at once: the same document comes out again. */
    CHECK(backup_seal(&read, &again) == 0);
    CHECK_TEXT(buffer_string(&again), buffer_string(&text));
    backup_free(&made);
    backup_free(&read);
    buffer_free(&text);
    buffer_free(&again);
}

static void test_damaged_bytes(void)
{
    struct backup made, read;
    struct buffer text = BUFFER_EMPTY;
    size_t undetected = 0;

    make_backup(&made);
    CHECK(backup_seal(&made, &text) == 0);
    for (size_t i = 0; i + 1 < text.length; i++) { /* the closing line end means nothing */
        text.data[i] ^= 1;
        undetected += backup_parse(text.data, text.length, "manifest.json", &read) == 0;
        text.data[i] ^= 1;
    }
    for (size_t length = 0; length + 1 < text.length; length++)
        undetected += backup_parse(text.data, length, "manifest.json", &read) == 0;
    CHECK(undetected == 0);
    backup_free(&made);
    buffer_free(&text);
}

/* A manifest that is sealed well but says what can't be. */
static void test_impossible_manifests(void)
{
    struct backup made, read;
    struct buffer text = BUFFER_EMPTY;

    make_backup(&made);
    made.stop_lsn = made.start_lsn - 1;
    CHECK(backup_seal(&made, &text) == 0);
    CHECK(backup_parse(text.data, text.length, "manifest.json", &read) != 0);
    made.stop_lsn = made.start_lsn;
    buffer_clear(&text);
    CHECK(backup_seal(&made, &text) == 0);
    CHECK(backup_parse(text.data, text.length, "manifest.json", &read) == 0);
    backup_free(&read);

    snprintf(made.id, sizeof made.id, "../../../etc/passwd");
    buffer_clear(&text);
    CHECK(backup_seal(&made, &text) == 0);
    CHECK(backup_parse(text.data, text.length, "manifest.json", &read) != 0);
    snprintf(made.id, sizeof made.id, "%s", backup_id);
    free(made.tablespaces[0].location);
    made.tablespaces[0].location = string_copy("relative");
    buffer_clear(&text);
    CHECK(backup_seal(&made, &text) == 0);
    CHECK(backup_parse(text.data, text.length, "manifest.json", &read) != 0);
    free(made.tablespaces[0].location);
    made.tablespaces[0].location = string_copy("/mnt/fast");
    made.databases[0].oid = 0;
    buffer_clear(&text);
    CHECK(backup_seal(&made, &text) == 0);
    CHECK(backup_parse(text.data, text.length, "manifest.json", &read) != 0);
    backup_free(&made);
    buffer_free(&text);
}

static void test_ids(void)
{
    char id[BACKUP_ID_BYTES];

    backup_id_make(instant("2026-11-20 02:00:03.25Z"), 1, 0xA1F000028ULL, id);
    CHECK_TEXT(id, backup_id);
    CHECK(backup_id_is_valid(id));
    CHECK(!backup_id_is_valid(""));
    CHECK(!backup_id_is_valid("latest"));
    CHECK(!backup_id_is_valid("20261120T020003Z-00000001-0000000a1F000028"));
    CHECK(!backup_id_is_valid("20261120T020003Z-00000001-0000000A1F0000280"));
    CHECK(!backup_id_is_valid("20261120T020003Z/00000001-0000000A1F000028"));
    CHECK(!backup_id_is_valid("20261120T020003Z-00000001-0000000A1F00002."));
}

/* Choosing */

static struct backup_list three_backups(struct backup backups[3])
{
    static const char *start[] = {"2026-11-18 02:00:00Z", "2026-11-19 02:00:00Z", "2026-11-20 02:00:00Z"};
    static const char *stop[] = {"2026-11-18 02:30:00Z", "2026-11-19 02:30:00Z", "2026-11-20 02:30:00Z"};

    for (unsigned i = 0; i < 3; i++) {
        backup_init(&backups[i]);
        backups[i].timeline = i < 2 ? 1 : 2;
        backups[i].start_time = instant(start[i]);
        backups[i].stop_time = instant(stop[i]);
        backups[i].start_lsn = 0x1000000 * (i + 1);
        backups[i].stop_lsn = 0x1000000 * (i + 1) + 0x100;
        backup_id_make(backups[i].start_time, backups[i].timeline, backups[i].start_lsn, backups[i].id);
    }
    return (struct backup_list){backups, 3, 0};
}

static void test_choosing(void)
{
    struct backup backups[3];
    struct backup_list list = three_backups(backups), none = {NULL, 0, 0};
    struct config config = {.cluster_name = "main"};
    struct repository_config settings = {.name = "local"};
    struct repository repository = {.config = &config, .settings = &settings};
    struct backup_wish wish = {.id = NULL};

    CHECK(backup_choose(&repository, &none, &wish) == NULL);
    CHECK(backup_choose(&repository, &list, &wish) == &backups[2]);
    wish.id = "latest";
    CHECK(backup_choose(&repository, &list, &wish) == &backups[2]);
    wish.id = backups[0].id;
    CHECK(backup_choose(&repository, &list, &wish) == &backups[0]);
    wish.id = backup_id;
    CHECK(backup_choose(&repository, &list, &wish) == NULL);

    static const struct {
        const char *time;
        int backup; /* -1: none */
    } times[] = {
        {"2026-11-18 02:29:59.999999Z", -1}, {"2026-11-18 02:30:00Z", -1},
        {"2026-11-18 02:30:00.000001Z", 0},  {"2026-11-19 02:30:00Z", 0},
        {"2026-11-19 03:30:01+01", 1},       {"2026-11-20 02:30:00Z", 1},
        {"2026-11-20 02:30:00.000001Z", 2},  {"2036-11-20 02:30:00.000001Z", 2},
    };
    wish = (struct backup_wish){.has_time = true};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        wish.time = instant(times[i].time);
        CHECK(backup_choose(&repository, &list, &wish) ==
              (times[i].backup < 0 ? NULL : &backups[times[i].backup]));
    }
    wish.id = backups[1].id; /* named, but it ends too late */
    wish.time = instant("2026-11-18 12:00:00Z");
    CHECK(backup_choose(&repository, &list, &wish) == NULL);

    wish = (struct backup_wish){.has_lsn = true, .lsn = 0x10000FF};
    CHECK(backup_choose(&repository, &list, &wish) == NULL);
    wish.lsn = 0x1000100;
    CHECK(backup_choose(&repository, &list, &wish) == &backups[0]);
    wish.lsn = 0x2000100;
    CHECK(backup_choose(&repository, &list, &wish) == &backups[1]);

    struct timeline_history way = {.timeline = 1};
    const struct backup *earliest;
    CHECK(backup_find(&list, &wish, &way, &earliest) == &backups[1]);
    wish.lsn = 0x10000FF;
    CHECK(backup_find(&list, &wish, &way, &earliest) == NULL && earliest == &backups[0]);
    way.timeline = 7; /* no backup lies on it */
    CHECK(backup_find(&list, &wish, &way, &earliest) == NULL && earliest == NULL);
    CHECK(backup_find(&none, &wish, NULL, &earliest) == NULL && earliest == NULL);
}

int main(int argc, char **argv)
{
    (void)argv;
    /* The messages of some thousand damages tell nothing; an argument shows them. */
    log_open("test_backup", argc > 1 ? LOG_DEBUG : LOG_ERROR + 1, false);
    test_round_trip();
    test_damaged_bytes();
    test_impossible_manifests();
    test_ids();
    test_choosing();
    return unit_done("test_backup");
}
