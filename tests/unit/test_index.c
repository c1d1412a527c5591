/* The index of a base backup: there and back byte by byte, files in pieces, and lines that can't be. */
#include "common/backup_index.h"
#include "common/log.h"
#include "unit.h"

#include <stdlib.h>

static const char *backup_id = "20261120T020003Z-00000001-0000000A1F000028";

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

    entries[2].modified = 1795140003000000; /* 2026-11-20T02:00:03Z */
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

int main(int argc, char **argv)
{
    (void)argv;
    /* The messages of some thousand damages tell nothing; an argument shows them. */
    log_open("test_index", argc > 1 ? LOG_DEBUG : LOG_ERROR + 1, false);
    test_index_round_trip();
    test_bad_lines();
    test_pieces();
    test_bad_pieces();
    test_bad_headers();
    return unit_done("test_index");
}
