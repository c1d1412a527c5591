/* Base backups: the manifest there and back and every damaged byte of it, choosing one for a target, the
 * index byte by byte. */
#include "common/backup.h"
#include "common/backup_index.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "common/utf8.h"
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

/* The index */

struct seen {
    struct index_entry entries[16];
    size_t count;
};

static int remember_entry(void *context, struct index_entry *entry)
{
    struct seen *seen = context;

    if (seen->count == 16)
        return -1;
    seen->entries[seen->count] = *entry;
    seen->entries[seen->count++].path = string_copy(entry->path);
    return 0;
}

static void forget(struct seen *seen)
{
    for (size_t i = 0; i < seen->count; i++)
        index_entry_free(&seen->entries[i]);
    seen->count = 0;
}

/* 0 if the whole text was read and closed well. */
static int read_index(const void *text, size_t length, size_t step, struct seen *seen)
{
    struct index_reader *reader = index_reader_new(backup_id, "index", remember_entry, seen);
    struct sink sink = index_reader_sink(reader);
    int result = 0;

    for (size_t at = 0; result == 0 && at < length; at += step)
        result = sink_write(&sink, (const char *)text + at, step < length - at ? step : length - at);
    if (result == 0)
        result = index_reader_finish(reader);
    index_reader_free(reader);
    return result;
}

static void test_index_round_trip(void)
{
    char directory[] = "base/\x80", file[] = "base/\x80/na\"\\me\n", part[] = "main-00000001",
         plain[] = "base/1/1259";
    struct index_entry entries[] = {
        {.line = INDEX_DIRECTORY, .path = directory, .mode = 0750},
        {.line = INDEX_PART, .path = part, .bytes = 1000, .files = 2},
        {.line = INDEX_FILE,
         .path = file,
         .mode = 0640,
         .bytes = 9,
         .offset = 100,
         .stored = 200,
         .header = 1536},
        {.line = INDEX_FILE,
         .path = plain,
         .mode = 04600,
         .bytes = 1234567890123456789,
         .offset = 300,
         .stored = 700,
         .header = 512},
    };
    struct buffer text = BUFFER_EMPTY, spaced = BUFFER_EMPTY;

    entries[2].modified = instant("2026-11-20T02:00:03Z");
    memset(entries[3].sha256, 7, SHA256_BYTES);
    CHECK(index_header_write(backup_id, &text) == 0);
    for (size_t i = 0; i < 4; i++)
        CHECK(index_entry_write(&entries[i], &text) == 0);
    for (size_t i = 0; i < text.length; i++) /* not as it is written here, but the same */
        CHECK(buffer_append(&spaced, i > 0 && text.data[i - 1] == '{' ? " " : "",
                            i > 0 && text.data[i - 1] == '{') == 0 &&
              buffer_append(&spaced, &text.data[i], 1) == 0);
    CHECK(spaced.length == text.length + 5);
    const size_t steps[] = {1, 7, text.length};
    for (size_t step = 0; step < 6; step++) {
        struct seen seen = {.count = 0};
        const struct buffer *read = step < 3 ? &text : &spaced;
        CHECK(read_index(read->data, read->length, steps[step % 3], &seen) == 0);
        CHECK(seen.count == 4);
        for (size_t i = 0; i < seen.count; i++) {
            const struct index_entry *got = &seen.entries[i], *made = &entries[i];
            CHECK_TEXT(got->path, made->path);
            CHECK(got->line == made->line && got->mode == made->mode && got->bytes == made->bytes);
            CHECK(got->files == made->files && got->offset == made->offset && got->stored == made->stored);
            CHECK(got->header == made->header && got->modified == made->modified);
            CHECK(memcmp(got->sha256, made->sha256, SHA256_BYTES) == 0);
        }
        forget(&seen);
    }
    for (size_t length = 0; length < text.length; length++) { /* cut short anywhere */
        struct seen seen = {.count = 0};
        CHECK(read_index(text.data, length, length + 1, &seen) != 0 ||
              (length > 0 && text.data[length - 1] == '\n' && seen.count < 2));
        forget(&seen);
    }
    buffer_free(&text);
    buffer_free(&spaced);
}

static void test_bad_lines(void)
{
#define PART "{\"part\":\"main-00000001\",\"bytes\":100,\"codec\":\"lz4\",\"files\":1}\n"
#define FILE_LINE(path, offset, stored, header)                                                              \
    "{\"file\":\"" path "\",\"bytes\":0,\"sha256\":"                                                         \
    "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"mode\":\"0600\","                \
    "\"modified\":\"2026-11-20T02:00:03Z\",\"offset\":" offset ",\"stored\":" stored header "}\n"
    static const char *lines[] = {
        "{\"directory\":\"/etc\",\"mode\":\"0700\"}\n",
        "{\"directory\":\"..\",\"mode\":\"0700\"}\n",
        "{\"directory\":\".\",\"mode\":\"0700\"}\n",
        "{\"directory\":\"\",\"mode\":\"0700\"}\n",
        "{\"directory\":\"base/\",\"mode\":\"0700\"}\n",
        "{\"directory\":\"base//1\",\"mode\":\"0700\"}\n",
        "{\"directory\":\"base/../../x\",\"mode\":\"0700\"}\n",
        "{\"directory\":\"base/..\",\"mode\":\"0700\"}\n",
        "{\"directory\":\"base/./1\",\"mode\":\"0700\"}\n",
        "{\"directory\":\"base\\u0000x\",\"mode\":\"0700\"}\n",
        "{\"path_hex\":\"2e2e\",\"mode\":\"0700\"}\n",
        "{\"path_hex\":\"2f65746300\",\"mode\":\"0700\"}\n",
        "{\"path_hex\":\"62617365002e\",\"mode\":\"0700\"}\n",
        "{\"path_hex\":\"6261736\",\"mode\":\"0700\"}\n",
        "{\"directory\":\"base\"}\n",
        "{\"directory\":\"base\",\"mode\":\"0900\"}\n",
        "{\"directory\":\"base\",\"mode\":\"77777\"}\n",
        "{\"directory\":\"base\",\"mode\":\"0700\",\"part\":\"main-00000001\"}\n",
        "{\"link\":\"base\",\"mode\":\"0700\"}\n",
        "\n",
        "[]\n",
        "{\"directory\":\"base\",\"mode\":\"0700\"\n",
        "{\"part\":\"../main-00000001\",\"bytes\":100,\"codec\":\"lz4\",\"files\":0}\n",
        "{\"part\":\"main-1\",\"bytes\":100,\"codec\":\"lz4\",\"files\":0}\n",
        "{\"part\":\"other-00000001\",\"bytes\":100,\"codec\":\"lz4\",\"files\":0}\n",
        "{\"part\":\"-00000001\",\"bytes\":100,\"codec\":\"lz4\",\"files\":0}\n",
        "{\"part\":\"main-00000001\",\"bytes\":100,\"codec\":\"gzip\",\"files\":0}\n",
        "{\"part\":\"main-00000001\",\"bytes\":-1,\"codec\":\"lz4\",\"files\":0}\n",
        FILE_LINE("x", "0", "100", ""),         /* of no part */
        PART FILE_LINE("../x", "0", "100", ""), /* outside */
        PART FILE_LINE("x", "1", "100", ""),    /* behind the part's end */
        PART FILE_LINE("x", "101", "0", ""),    /* the same */
        PART FILE_LINE("x", "18446744073709551615", "2", ""),
        PART FILE_LINE("x", "0", "0", ""), /* no member is empty */
        PART FILE_LINE("x", "00", "100", ""),
        PART FILE_LINE("x", "0", "0100", ""),
        PART FILE_LINE("x", "", "100", ""),
        PART FILE_LINE("x", "0", "100", "}"),
        PART FILE_LINE("x\\", "0", "100", ""),
        PART FILE_LINE("x", "0", "100", ",\"header\":0"),
        PART FILE_LINE("x", "0", "100", ",\"header\":513"),
        PART FILE_LINE("x", "0", "100", ",\"header\":4294967808"),
        PART FILE_LINE("x", "0", "50", "") FILE_LINE("y", "50", "50", ""), /* more files than the part has */
        PART,                                                              /* fewer */
        PART "{\"part\":\"main-00000002\",\"bytes\":100,\"codec\":\"lz4\",\"files\":0}\n",
        "{\"part\":\"main-00000001\",\"bytes\":100,\"codec\":\"lz4\",\"files\":2}\n" /* overlapping */
        FILE_LINE("x", "0", "50", "") FILE_LINE("y", "49", "50", ""),
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct buffer text = BUFFER_EMPTY;
        struct seen seen = {.count = 0};
        index_header_write(backup_id, &text);
        buffer_append_string(&text, lines[i]);
        int result = read_index(text.data, text.length, text.length, &seen);
        CHECK(result != 0);
        if (result == 0)
            fprintf(stderr, "accepted: %s", lines[i]);
        forget(&seen);
        buffer_free(&text);
    }
    static const char *good[] = {
        PART FILE_LINE("..x/.y/...", "0", "100", ",\"header\":1024"),
        PART FILE_LINE("x", "50", "50", ""),
        "{\"part\":\"16400-00000001\",\"bytes\":100,\"codec\":\"lz4\",\"files\":0,\"later\":1}\n" PART
            FILE_LINE("x", "50", "50", ""),
        "",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct buffer text = BUFFER_EMPTY;
        struct seen seen = {.count = 0};
        index_header_write(backup_id, &text);
        buffer_append_string(&text, good[i]);
        CHECK(read_index(text.data, text.length, text.length, &seen) == 0);
        forget(&seen);
        buffer_free(&text);
    }
}

/* A file in pieces */

#define PIECE_PART(number, files)                                                                            \
    "{\"part\":\"main-0000000" number "\",\"bytes\":100,\"codec\":\"lz4\",\"files\":" files "}\n"
#define PIECE_LINE(path, bytes, mode, place, rest)                                                           \
    "{\"file\":\"" path "\",\"bytes\":" bytes ",\"sha256\":"                                                 \
    "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"mode\":\"" mode "\","            \
    "\"modified\":\"2026-11-20T02:00:03Z\"," place rest "}\n"
#define ALONE "\"offset\":0,\"stored\":100"
#define FIRST(rest) PIECE_LINE("x", "40", "0600", ALONE, rest)
#define NEXT(rest) PIECE_LINE("x", "40", "0600", ALONE ",\"header\":0", rest)
#define AT(at) ",\"at\":" at ",\"of\":100,\"crc32c\":\"0123abcd\""
#define LAST PIECE_LINE("x", "20", "0600", ALONE ",\"header\":0", AT("80"))

static int read_lines(const char *lines, struct seen *seen)
{
    struct buffer text = BUFFER_EMPTY;

    index_header_write(backup_id, &text);
    buffer_append_string(&text, lines);
    int result = read_index(text.data, text.length, text.length, seen);
    buffer_free(&text);
    return result;
}

static void test_pieces(void)
{
    struct seen seen = {.count = 0};
    struct buffer text = BUFFER_EMPTY;
    static const char lines[] = PIECE_PART("1", "1") FIRST(AT("0")) PIECE_PART("2", "0") NEXT(AT("40"))
        PIECE_PART("3", "0") LAST PART FILE_LINE("y", "0", "100", "");

    CHECK(read_lines(lines, &seen) == 0);
    CHECK(seen.count == 8);
    for (size_t i = 0; i < seen.count; i++)
        CHECK(index_entry_write(&seen.entries[i], &text) == 0);
    CHECK_TEXT(buffer_string(&text), lines);
    for (size_t i = 1; seen.count == 8 && i < 8; i += 2) {
        const struct index_entry *entry = &seen.entries[i];
        CHECK(index_entry_begins_file(entry) == (i == 1 || i == 7));
        CHECK(index_entry_ends_file(entry) == (i == 5 || i == 7));
        CHECK(entry->of == (i == 7 ? 0 : 100) && entry->crc32c == (i == 7 ? 0 : 0x0123abcd));
        CHECK(entry->at == (i == 7 ? 0 : (i - 1) * 20));
        CHECK(entry->header == (i == 1 || i == 7 ? 512 : 0));
    }
    buffer_free(&text);
    forget(&seen);
}

static void test_bad_pieces(void)
{
#define TWO PIECE_PART("1", "1") FIRST(AT("0")) PIECE_PART("2", "0")
#define THREE TWO NEXT(AT("40")) PIECE_PART("3", "0")
    static const char *lines[] = {
        PIECE_PART("1", "1") FIRST(AT("0")), /* none but the first */
        TWO,
        TWO NEXT(AT("40")), /* all but the last */
        TWO NEXT(AT("40")) PART FILE_LINE("y", "0", "100", ""),
        THREE PIECE_PART("4", "0") LAST,                                      /* a part without its piece */
        TWO LAST,                                                             /* a gap */
        THREE NEXT(AT("40")),                                                 /* twice */
        PIECE_PART("1", "0") NEXT(AT("40")) PIECE_PART("2", "0") LAST,        /* not the first */
        THREE PIECE_LINE("y", "20", "0600", ALONE ",\"header\":0", AT("80")), /* another file's */
        THREE PIECE_LINE("x", "20", "0640", ALONE ",\"header\":0", AT("80")),
        THREE PIECE_LINE("x", "40", "0600", ALONE ",\"header\":0",
                         ",\"at\":80,\"of\":120,\"crc32c\":\"0123abcd\""),
        THREE FILE_LINE("x", "0", "100", ",\"header\":0"), /* whole */
        THREE FILE_LINE("x", "0", "100", ""),
        THREE PIECE_LINE("x", "20", "0600", ALONE, AT("80")), /* a header in the last */
        THREE LAST LAST,                                      /* behind the end */
        PIECE_PART("1", "1") PIECE_LINE("x", "40", "0600", ALONE ",\"header\":0", AT("0"))
            PIECE_PART("2", "0") NEXT(AT("40")) PIECE_PART("3", "0") LAST, /* no header in the first */
        PIECE_PART("1", "0") FIRST(AT("0")) PIECE_PART("2", "0") NEXT(AT("40")) PIECE_PART("3", "0") LAST,
        PIECE_PART("1", "2") FIRST(AT("0")) PIECE_PART("2", "0") NEXT(AT("40")) PIECE_PART("3", "0") LAST,
        PIECE_PART("1", "1") FIRST(AT("0")) PIECE_PART("2", "1") NEXT(AT("40")) PIECE_PART("3", "0") LAST,
        PIECE_PART("1", "1") FIRST(AT("0")) PIECE_PART("3", "0") NEXT(AT("40")) PIECE_PART("4", "0") LAST,
        PIECE_PART("2", "1") FIRST(AT("0")) PIECE_PART("1", "0") NEXT(AT("40")) PIECE_PART("3", "0") LAST,
        PIECE_PART("1", "1")
            FIRST(AT("0")) "{\"part\":\"16400-00000002\",\"bytes\":100,\"codec\":\"lz4\",\"files\":0}\n" NEXT(
                AT("40")) PIECE_PART("3", "0") LAST,
        TWO "{\"directory\":\"base\",\"mode\":\"0700\"}\n" NEXT(AT("40")) PIECE_PART("3", "0") LAST,
        /* not alone */
        PIECE_PART("1", "1") PIECE_LINE("x", "40", "0600", "\"offset\":0,\"stored\":99", AT("0"))
            PIECE_PART("2", "0") NEXT(AT("40")) PIECE_PART("3", "0") LAST,
        PIECE_PART("1", "1") PIECE_LINE("x", "40", "0600", "\"offset\":1,\"stored\":99", AT("0"))
            PIECE_PART("2", "0") NEXT(AT("40")) PIECE_PART("3", "0") LAST,
        PIECE_PART("1", "2") FILE_LINE("y", "0", "10", "") FIRST(AT("0")) PIECE_PART("2", "0") NEXT(AT("40"))
            PIECE_PART("3", "0") LAST,
        PIECE_PART("1", "2") FIRST(AT("0")) FILE_LINE("y", "0", "10", ""),
        /* places in no file */
        PIECE_PART("1", "1") PIECE_LINE("x", "100", "0600", ALONE, AT("0")),
        PIECE_PART("1", "1") PIECE_LINE("x", "101", "0600", ALONE, AT("0")),
        TWO PIECE_LINE("x", "0", "0600", ALONE ",\"header\":0", AT("40")) PIECE_PART("3", "0") NEXT(AT("40"))
            PIECE_PART("4", "0") LAST,
        TWO PIECE_LINE("x", "61", "0600", ALONE ",\"header\":0", AT("40")),
        TWO NEXT(AT("18446744073709551615")),
        TWO NEXT(AT("-40")),
        /* members missing, or not what they should be */
        PIECE_PART("1", "1") FIRST(",\"at\":0"),
        PIECE_PART("1", "1") FIRST(",\"at\":0,\"of\":100"),
        PIECE_PART("1", "1") FIRST(",\"of\":100,\"crc32c\":\"0123abcd\""),
        PIECE_PART("1", "1") FIRST(",\"at\":0,\"of\":0,\"crc32c\":\"0123abcd\""),
        PIECE_PART("1", "1") FIRST(",\"at\":0,\"crc32c\":\"0123abcd\""),
        PIECE_PART("1", "1") FIRST(",\"at\":0,\"of\":100,\"crc32c\":\"0123abc\""),
        PIECE_PART("1", "1") FIRST(",\"at\":0,\"of\":100,\"crc32c\":\"0123abcg\""),
        PIECE_PART("1", "1") FIRST(",\"at\":0,\"of\":100,\"crc32c\":12345678"),
        PIECE_PART("1", "1") FIRST(",\"at\":\"0\",\"of\":100,\"crc32c\":\"0123abcd\""),
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct seen seen = {.count = 0};
        int result = read_lines(lines[i], &seen);
        CHECK(result != 0);
        if (result == 0)
            fprintf(stderr, "accepted: %s", lines[i]);
        forget(&seen);
    }
}

static void test_bad_headers(void)
{
    static const char *headers[] = {
        "{\"walferry\":2,\"kind\":\"files\",\"backup\":\"20261120T020003Z-00000001-0000000A1F000028\"}\n",
        "{\"walferry\":1,\"kind\":\"cluster\",\"backup\":\"20261120T020003Z-00000001-0000000A1F000028\"}\n",
        "{\"walferry\":1,\"kind\":\"files\",\"backup\":\"20261120T020003Z-00000001-0000000A1F000029\"}\n",
        "{\"directory\":\"base\",\"mode\":\"0700\"}\n",
    };
    struct seen seen = {.count = 0};
    char *long_line = malloc(100001);

    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        CHECK(read_index(headers[i], strlen(headers[i]), 5, &seen) != 0);
    memset(long_line, ' ', 100000);
    CHECK(read_index(long_line, 100000, 1000, &seen) != 0); /* memory stays bounded */
    CHECK(read_index(long_line, 100000, 100000, &seen) != 0);
    CHECK(seen.count == 0);
    free(long_line);
}

static void test_utf8(void)
{
    static const char *good[] = {
        "", "plain", "na\xC3\xAFve", "\xE2\x82\xAC", "\xF0\x9F\x90\x98", "\xF4\x8F\xBF\xBF"};
    static const char *bad[] = {
        "\x80", "\xC3", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK(utf8_is_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!utf8_is_valid(bad[i], strlen(bad[i])));
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
    test_index_round_trip();
    test_bad_lines();
    test_pieces();
    test_bad_pieces();
    test_bad_headers();
    test_utf8();
    return unit_done("test_backup");
}
