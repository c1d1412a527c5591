/* basebackup-fetch: tablespace mappings, where an entry may go, and taking a part apart byte by byte, with
 * every damage found. */
#include "basebackup/restore_compare.h"
#include "basebackup/restore_mapping.h"
#include "basebackup/restore_part.h"
#include "basebackup/restore_place.h"
#include "common/codec.h"
#include "common/file.h"
#include "common/log.h"
#include "common/tar.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* -T */

static void test_mappings(void)
{
    static const struct {
        const char *text, *location, *expected; /* expected NULL: refused */
    } cases[] = {
        {"/a=/b", "/a", "/b"},
        {"/a//x/./=//b/", "/a/x", "/b"},
        {"/a\\=1=/b\\=2", "/a=1", "/b=2"},
        {"/a\\b=/c\\d", "/a\\b", "/c\\d"},
        {"/with blank=/other blank", "/with blank/", "/other blank"},
        {"", NULL, NULL},
        {"/a", NULL, NULL},
        {"/a\\=/b", NULL, NULL},
        {"/a=", NULL, NULL},
        {"=/b", NULL, NULL},
        {"/a=/b=/c", NULL, NULL},
        {"a=/b", NULL, NULL},
        {"/a=b", NULL, NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mappings mappings = {NULL, 0};
        int result = mappings_add(&mappings, cases[i].text);
        CHECK((result == 0) == (cases[i].expected != NULL));
        if (result == 0 && cases[i].expected != NULL) {
            CHECK(mappings_find(&mappings, "/elsewhere") == NULL && !mappings.items[0].is_used);
            CHECK_TEXT(mappings_find(&mappings, cases[i].location), cases[i].expected);
            CHECK(mappings.items[0].is_used);
        }
        mappings_free(&mappings);
    }
    struct mappings twice = {NULL, 0};
    CHECK(mappings_add(&twice, "/a=/b") == 0);
    CHECK(mappings_add(&twice, "/a/=/c") != 0);
    mappings_free(&twice);
    char *escaped = path_escape_equals("/a=b");
    CHECK_TEXT(escaped, "/a\\=b");
    free(escaped);
}

/* Places */

static char base[] = "/tmp/walferry-restore-XXXXXX";
static char data_path[64], tablespace_path[64], external_path[64];
static struct restore_place items[3];
static struct restore_places places = {.items = items, .count = 3, .has_external = true};

static void close_places(void)
{
    for (size_t i = 0; i < 3; i++)
        if (items[i].fd >= 0)
            close(items[i].fd);
    unit_remove_tree(base);
}

static void open_places(void)
{
    struct stat status;

    snprintf(data_path, sizeof data_path, "%s/data", base);
    snprintf(tablespace_path, sizeof tablespace_path, "%s/fast", base);
    snprintf(external_path, sizeof external_path, "%s/external", base);
    items[0] = (struct restore_place){.path = data_path, .fd = -1};
    items[1] =
        (struct restore_place){.oid = 16400, .path = tablespace_path, .location = tablespace_path, .fd = -1};
    items[2] = (struct restore_place){.path = external_path, .fd = -1};
    CHECK(mkdir(tablespace_path, 0755) == 0 && mkdir(external_path, 0700) == 0 &&
          chmod(external_path, 0755) == 0);
    CHECK(restore_places_make(&places) == 0);
    CHECK(fstat(items[1].fd, &status) == 0 && (status.st_mode & 07777) == 0700);
    CHECK(fstat(items[2].fd, &status) == 0 && (status.st_mode & 07777) == 0755); /* who else reads there */
}

static unsigned mode_of(const char *name)
{
    struct stat status;

    return fstatat(items[0].fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status.st_mode & 07777u : 0;
}

static void test_finding(void)
{
    static const struct {
        const char *part, *path, *rest;
        int place; /* -1: refused */
    } cases[] = {
        {"main-00000001", "base/1/1259", "base/1/1259", 0},
        {"main-00000001", "pg_tblspc/16401/x", "pg_tblspc/16401/x", 0}, /* a tablespace made in place */
        {"main-00000001", "pg_tblspc/164001/x", "pg_tblspc/164001/x", 0},
        {"16400-00000001", "pg_tblspc/16400/PG_15/1", "PG_15/1", 1},
        {"external-00000001", "etc/x", "etc/x", 2},
        {"external-00000001", "pg_tblspc/16400/x", "pg_tblspc/16400/x", 2},
        {NULL, "base", "base", 0},
        {NULL, "pg_tblspc", "pg_tblspc", 0},
        {NULL, "pg_tblspc/16400", "", 1},
        {NULL, "pg_tblspc/16400/PG_15", "PG_15", 1},
        {"main-00000001", "pg_tblspc/16400/x", NULL, -1},
        {"16400-00000001", "base/1/1259", NULL, -1},
        {"16400-00000001", "pg_tblspc/16401/x", NULL, -1},
        {"16400-00000001", "pg_tblspc/16400", NULL, -1},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *rest = NULL;
        const struct restore_place *place = restore_places_find(&places, cases[i].part, cases[i].path, &rest);
        CHECK(place == (cases[i].place < 0 ? NULL : &items[cases[i].place]));
        if (place != NULL && cases[i].rest != NULL)
            CHECK_TEXT(rest, cases[i].rest);
    }
}

static void test_directories(void)
{
    const char *name;

    CHECK(mode_of(".") == 0700);
    CHECK(restore_make_directory(&places, "global", 0750) == 0);
    CHECK(mode_of("global") == 0750 && mode_of(".") == 0750); /* initdb -g */
    CHECK(restore_make_directory(&places, "base", 0700) == 0);
    CHECK(restore_make_directory(&places, "base/1", 0500) == 0);
    CHECK(mode_of("base/1") == 0700); /* it has to be written into */
    CHECK(restore_make_directory(&places, "missing/1", 0700) != 0);
    CHECK(restore_make_directory(&places, "pg_tblspc", 0700) == 0);
    CHECK(restore_make_directory(&places, "pg_tblspc/16400", 0700) == 0);
    CHECK(restore_make_directory(&places, "pg_tblspc/16400/PG_15", 0700) == 0);
    CHECK(faccessat(items[1].fd, "PG_15", F_OK, 0) == 0 && mode_of("pg_tblspc/16400") == 0);
    CHECK(restore_make_directory(&places, "global", 0700) == 0 && mode_of(".") == 0700);
    /* A link is never followed, wherever it came from. */
    CHECK(symlinkat("/tmp", items[0].fd, "evil") == 0);
    CHECK(restore_make_directory(&places, "evil", 0700) != 0);
    CHECK(restore_make_directory(&places, "evil/walferry-evil", 0700) != 0);
    errno = 0;
    CHECK(restore_open_parent(&items[0], "evil/x", true, &name) == -1 &&
          (errno == ELOOP || errno == ENOTDIR));
    CHECK(unlinkat(items[0].fd, "evil", 0) == 0);
}

static void test_linking(void)
{
    char target[64] = "";

    CHECK(restore_places_link(&places) == 0);
    CHECK(readlinkat(items[0].fd, "pg_tblspc/16400", target, sizeof target - 1) > 0);
    CHECK_TEXT(target, tablespace_path);
    CHECK(restore_places_link(&places) == 0);
    CHECK(unlinkat(items[0].fd, "pg_tblspc/16400", 0) == 0 &&
          symlinkat("/elsewhere", items[0].fd, "pg_tblspc/16400") == 0);
    CHECK(restore_places_link(&places) == 0);
    CHECK(readlinkat(items[0].fd, "pg_tblspc/16400", target, sizeof target - 1) > 0);
    CHECK_TEXT(target, tablespace_path);
    CHECK(unlinkat(items[0].fd, "pg_tblspc/16400", 0) == 0);
}

/* Parts */

static struct buffer stored;
static struct backup_part *part;

static void add_member(struct encoder *encoder, const char *path, bool is_directory, const char *content,
                       size_t length)
{
    struct tar_member member = {.path = path,
                                .is_directory = is_directory,
                                .mode = 0600,
                                .bytes = length,
                                .user_name = "",
                                .group_name = ""};
    struct index_entry entry = {.line = INDEX_FILE, .mode = 0640, .bytes = length, .offset = stored.length};
    struct buffer header = BUFFER_EMPTY;
    static const char zeros[TAR_BLOCK_BYTES];

    CHECK(tar_header_write(&member, &header) == 0 && encoder_begin(encoder, sink_to_buffer(&stored)) == 0);
    CHECK(encoder_write(encoder, header.data, header.length) == 0 &&
          encoder_write(encoder, content, length) == 0);
    CHECK(encoder_write(encoder, zeros, tar_padding_bytes(length)) == 0 && encoder_end(encoder) == 0);
    entry.path = string_copy(path);
    entry.header = (uint32_t)header.length;
    entry.stored = stored.length - entry.offset;
    entry.modified = 1000000000ll * 1000000;
    CHECK(sha256_of(content, length, entry.sha256) == 0);
    if (!is_directory)
        CHECK(backup_part_add(part, &entry) == 0);
    index_entry_free(&entry);
    buffer_free(&header);
}

/* A directory, an empty file, a small one, a name too long for one header, a directory in between,
 * pg_control. */
static void make_part(void)
{
    struct index_entry entry = {.line = INDEX_PART};
    struct encoder *encoder = encoder_new(&(struct compression){CODEC_LZ4, 1});
    char long_name[300] = "base/1/", content[2000];

    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)(i * i * 31 >> 3);
    memset(long_name + 7, 'n', 200);
    stored = (struct buffer)BUFFER_EMPTY;
    entry.path = string_copy("main-00000001");
    part = backup_part_new(&entry);
    index_entry_free(&entry);
    add_member(encoder, "base", true, "", 0);
    add_member(encoder, "base/1/empty", false, "", 0);
    add_member(encoder, "base/1/small", false, content, sizeof content);
    add_member(encoder, "base/2", true, "", 0);
    add_member(encoder, long_name, false, content, 512);
    add_member(encoder, "global/pg_control", false, content, 700);
    part->bytes = stored.length;
    encoder_free(encoder);
}

static void remove_files(void)
{
    for (size_t i = 0; i < part->count; i++)
        unlinkat(items[0].fd, part->files[i].path, 0);
    unlinkat(items[0].fd, RESTORE_CONTROL_TEMPORARY, 0);
}

/* Pushes length bytes in steps, as a store would that has an object of total bytes. */
static int unpack(struct unpacker *unpacker, const unsigned char *data, size_t length, uint64_t total,
                  size_t step)
{
    struct sink sink = unpacker_sink(unpacker);
    struct part_range range;
    int result = 0;

    CHECK(backup_part_range(part, 0, &range));
    CHECK(unpacker_begin(unpacker, part, &range, "the part", &total) == 0);
    for (size_t at = 0; result == 0 && at < length; at += step)
        result = sink_write(&sink, data + at, step < length - at ? step : length - at);
    return unpacker_end(unpacker, result == 0);
}

static void test_unpacking(struct unpacker *unpacker)
{
    const size_t steps[] = {1, 100, stored.length};

    for (size_t i = 0; i < 3; i++) {
        CHECK(unpack(unpacker, stored.data, stored.length, stored.length, steps[i]) == 0);
        CHECK(mode_of("base/1/empty") == 0640 && mode_of("base/1/small") == 0640);
        CHECK(mode_of("global/pg_control") == 0 && mode_of(RESTORE_CONTROL_TEMPORARY) == 0640);
        struct stat status;
        CHECK(fstatat(items[0].fd, "base/1/small", &status, 0) == 0);
        CHECK(status.st_size == 2000 && status.st_mtime == 1000000000);
        CHECK(unpack(unpacker, stored.data, stored.length, stored.length, steps[i]) !=
              0); /* never over what is there */
        remove_files();
    }
}

static void unpack_plain(struct buffer *plain)
{
    struct decoder *decoder = decoder_new();
    struct sink sink = sink_to_buffer(plain);

    CHECK(decoder_begin(decoder, CODEC_LZ4) == 0);
    CHECK(decoder_write(decoder, stored.data, stored.length, &sink) == 0);
    decoder_free(decoder);
}

/* Some changed bytes change nothing: where zeros follow zeros, LZ4 may copy them from here or from there. */
static bool is_harmless(const struct buffer *plain)
{
    struct buffer changed = BUFFER_EMPTY;

    unpack_plain(&changed);
    bool same = changed.length == plain->length && memcmp(changed.data, plain->data, plain->length) == 0;
    buffer_free(&changed);
    return same;
}

static void test_damages(struct unpacker *unpacker)
{
    struct buffer plain = BUFFER_EMPTY;
    size_t undetected = 0;

    unpack_plain(&plain);
    for (size_t i = 0; i < stored.length; i++) {
        stored.data[i] ^= 0x55;
        if (unpack(unpacker, stored.data, stored.length, stored.length, stored.length) == 0 &&
            !is_harmless(&plain))
            undetected++;
        stored.data[i] ^= 0x55;
        remove_files();
    }
    buffer_free(&plain);
    CHECK(undetected == 0);
    for (size_t length = 0; length < stored.length; length++) {
        undetected +=
            unpack(unpacker, stored.data, length, stored.length, stored.length) == 0; /* cut on the way */
        remove_files();
    }
    CHECK(undetected == 0);
    CHECK(unpack(unpacker, stored.data, stored.length - 1, stored.length - 1, stored.length) != 0);
    remove_files();
    CHECK(unpack(unpacker, stored.data, 0, 0, 1) != 0);
    CHECK(unpack(unpacker, stored.data, stored.length, stored.length + 1, stored.length) != 0);
}

/* An index that doesn't fit the part. */
static void test_wrong_index(struct unpacker *unpacker)
{
    struct index_entry *file = &part->files[1];
    const struct index_entry right = *file;
    const uint64_t right_bytes = part->bytes;

#define WRONG(change)                                                                                        \
    do {                                                                                                     \
        change;                                                                                              \
        CHECK(unpack(unpacker, stored.data, stored.length, stored.length, stored.length) != 0);              \
        *file = right;                                                                                       \
        part->bytes = right_bytes;                                                                           \
        remove_files();                                                                                      \
    } while (0)
    WRONG(file->bytes--);
    WRONG(file->bytes++);
    WRONG(file->bytes = 512);
    WRONG(file->bytes = UINT32_MAX);
    WRONG(file->sha256[31] ^= 1);
    WRONG(file->header = 1024);
    WRONG(file->offset++; file->stored--);
    WRONG(file->stored--);
    WRONG(part->bytes--);
    WRONG(part->bytes++);
    static const char *const paths[] = {"tablespace_map",    "standby.signal", "recovery.signal",
                                        "postmaster.pid",    "nowhere/file",   "base/1",
                                        "pg_tblspc/16400/x", "base/1/empty"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s", paths[i]);
        WRONG(file->path = path);
    }
    CHECK(unpack(unpacker, stored.data, stored.length, stored.length, stored.length) == 0);
    remove_files();
}

/* A file in pieces */

#define SPLIT_NAME "base/1/split"

static const uint64_t cuts[] = {0, 1000, 2024, 2500};
static unsigned char split_content[2500];

/* The part with one piece of the file, tar header before the first, padding behind the last. */
static void make_piece(size_t number, struct buffer *out, struct index_entry *entry)
{
    struct tar_member member = {
        .path = SPLIT_NAME, .mode = 0600, .bytes = sizeof split_content, .user_name = "", .group_name = ""};
    struct encoder *encoder = encoder_new(&(struct compression){CODEC_LZ4, 1});
    struct buffer header = BUFFER_EMPTY;
    static const char zeros[TAR_BLOCK_BYTES];
    uint64_t at = cuts[number], bytes = cuts[number + 1] - at;

    CHECK(tar_header_write(&member, &header) == 0 && encoder_begin(encoder, sink_to_buffer(out)) == 0);
    if (number == 0)
        CHECK(encoder_write(encoder, header.data, header.length) == 0);
    CHECK(encoder_write(encoder, split_content + at, bytes) == 0);
    if (number == 2)
        CHECK(encoder_write(encoder, zeros, tar_padding_bytes(sizeof split_content)) == 0);
    CHECK(encoder_end(encoder) == 0);
    *entry = (struct index_entry){.line = INDEX_FILE,
                                  .mode = 0640,
                                  .bytes = bytes,
                                  .stored = out->length,
                                  .header = number == 0 ? (uint32_t)header.length : 0,
                                  .modified = 1000000000ll * 1000000,
                                  .at = at,
                                  .of = sizeof split_content};
    entry->path = string_copy(SPLIT_NAME);
    CHECK(sha256_of(split_content + at, bytes, entry->sha256) == 0);
    buffer_free(&header);
    encoder_free(encoder);
}

struct pieces {
    struct buffer stored[3];
    struct backup_part *parts[3];
};

static void free_parts(struct pieces *pieces)
{
    for (size_t i = 0; i < 3; i++) {
        backup_part_free(pieces->parts[i]);
        pieces->parts[i] = NULL;
    }
}

static void free_pieces(struct pieces *pieces)
{
    free_parts(pieces);
    for (size_t i = 0; i < 3; i++)
        buffer_free(&pieces->stored[i]);
    unlinkat(items[0].fd, SPLIT_NAME, 0);
}

/* All parts as the index tells of them: the file is there then, and empty. */
static int make_pieces(struct pieces *pieces)
{
    struct restore_split *current = NULL;
    struct index_entry line = {.line = INDEX_PART}, entry;
    char name[] = "main-00000001";
    int result = 0;

    memset(pieces, 0, sizeof *pieces);
    for (size_t i = 0; i < 3; i++) {
        make_piece(i, &pieces->stored[i], &entry);
        line.path = name;
        line.bytes = pieces->stored[i].length;
        pieces->parts[i] = backup_part_new(&line);
        CHECK(backup_part_add(pieces->parts[i], &entry) == 0);
        struct restore_split *split = restore_split_for(&current, &places, name, &entry);
        if (split == NULL)
            result = -1;
        else
            restore_part_attach(pieces->parts[i], split);
        index_entry_free(&entry);
    }
    CHECK(current == NULL);
    return result;
}

static int unpack_piece(struct unpacker *unpacker, const struct backup_part *one, const struct buffer *bytes)
{
    struct sink sink = unpacker_sink(unpacker);
    uint64_t total = bytes->length;
    struct part_range range;

    CHECK(backup_part_range(one, 0, &range));
    CHECK(unpacker_begin(unpacker, one, &range, "the part", &total) == 0);
    return unpacker_end(unpacker, sink_write(&sink, bytes->data, bytes->length) == 0);
}

static bool split_is_right(void)
{
    unsigned char content[sizeof split_content + 1];
    struct stat status;
    int fd = openat(items[0].fd, SPLIT_NAME, O_RDONLY | O_CLOEXEC);
    bool right = fd >= 0 && fstat(fd, &status) == 0 && status.st_mtime == 1000000000 &&
                 (status.st_mode & 07777) == 0640 &&
                 read(fd, content, sizeof content) == (ssize_t)sizeof split_content &&
                 memcmp(content, split_content, sizeof split_content) == 0;

    if (fd >= 0)
        close(fd);
    return right;
}

static void test_pieces(struct unpacker *unpacker)
{
    static const size_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
    struct pieces pieces;

    for (size_t i = 0; i < 3; i++) {
        CHECK(make_pieces(&pieces) == 0);
        for (size_t j = 0; j < 3; j++) {
            size_t number = orders[i][j];
            CHECK(!split_is_right() && mode_of(SPLIT_NAME) == 0600); /* before the last one */
            CHECK(unpack_piece(unpacker, pieces.parts[number], &pieces.stored[number]) == 0);
        }
        CHECK(split_is_right());
        free_parts(&pieces);
        for (size_t j = 0; j < 3; j++)
            buffer_free(&pieces.stored[j]);
        CHECK(make_pieces(&pieces) != 0); /* never over what is there */
        free_pieces(&pieces);
    }
}

static void test_wrong_pieces(struct unpacker *unpacker)
{
    struct pieces pieces;

    CHECK(make_pieces(&pieces) == 0);
    for (size_t i = 0; i < 3; i++) { /* each in the place of the one before */
        size_t before = (i + 2) % 3;
        pieces.parts[i]->bytes = pieces.stored[before].length;
        pieces.parts[i]->files[0].stored = pieces.stored[before].length;
        CHECK(unpack_piece(unpacker, pieces.parts[i], &pieces.stored[before]) != 0);
        pieces.parts[i]->bytes = pieces.parts[i]->files[0].stored = pieces.stored[i].length;
    }
    pieces.parts[1]->files[0].header = 512;
    CHECK(unpack_piece(unpacker, pieces.parts[1], &pieces.stored[1]) != 0);
    pieces.parts[1]->files[0].header = 0;
    pieces.parts[1]->files[0].sha256[0] ^= 1;
    CHECK(unpack_piece(unpacker, pieces.parts[1], &pieces.stored[1]) != 0);
    CHECK(!split_is_right());
    /* What was made is the only thing written into: neither made again nor a link followed. */
    CHECK(unlinkat(items[0].fd, SPLIT_NAME, 0) == 0);
    CHECK(unpack_piece(unpacker, pieces.parts[0], &pieces.stored[0]) != 0);
    CHECK(mode_of(SPLIT_NAME) == 0);
    unit_write(unit_path("%s/base/1/elsewhere", data_path), "", 0);
    CHECK(symlinkat("elsewhere", items[0].fd, SPLIT_NAME) == 0);
    CHECK(unpack_piece(unpacker, pieces.parts[0], &pieces.stored[0]) != 0);
    struct stat status;
    CHECK(fstatat(items[0].fd, "base/1/elsewhere", &status, 0) == 0 && status.st_size == 0);
    CHECK(unlinkat(items[0].fd, "base/1/elsewhere", 0) == 0);
    free_pieces(&pieces);
}

/* --delta: of a file that is there only the wrong piece is fetched. */
static void test_kept_pieces(struct unpacker *unpacker)
{
    struct database_choice all = {.is_all = true};
    struct comparer comparer = {.places = &places, .choice = &all, .parent = RESTORE_PARENT_CLOSED};
    struct pieces pieces;

    CHECK(make_pieces(&pieces) == 0);
    for (size_t i = 0; i < 3; i++)
        CHECK(unpack_piece(unpacker, pieces.parts[i], &pieces.stored[i]) == 0);
    CHECK(split_is_right());
    int fd = openat(items[0].fd, SPLIT_NAME, O_WRONLY | O_CLOEXEC);
    CHECK(pwrite(fd, "wrong", 5, (off_t)pieces.parts[1]->files[0].at + 10) == 5);
    CHECK(fchmod(fd, 0400) == 0);
    close(fd);
    free_parts(&pieces);
    for (size_t i = 0; i < 3; i++)
        buffer_free(&pieces.stored[i]);
    places.is_delta = true;
    CHECK(make_pieces(&pieces) == 0);
    for (size_t i = 0; i < 3; i++) {
        CHECK(compare_part(&comparer, pieces.parts[i]) == 0);
        CHECK(pieces.parts[i]->left_out[0] == (i != 1));
    }
    CHECK(comparer.kept_files == 1 && !split_is_right());
    CHECK(unpack_piece(unpacker, pieces.parts[1], &pieces.stored[1]) == 0);
    CHECK(split_is_right());
    places.is_delta = false;
    free_pieces(&pieces);
}

/* Names that no file in pieces may have. */
static void test_pieces_elsewhere(void)
{
    static const char *const paths[] = {"recovery.signal", "global/pg_control", RESTORE_CONTROL_TEMPORARY,
                                        "nowhere/file", "pg_tblspc/16400/x"};
    struct restore_split *current = NULL;

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct index_entry entry = {.line = INDEX_FILE, .bytes = 1, .of = 2};
        entry.path = string_copy(paths[i]);
        CHECK(restore_split_for(&current, &places, "main-00000001", &entry) == NULL && current == NULL);
        CHECK(mode_of(paths[i]) == 0);
        index_entry_free(&entry);
    }
}

int main(int argc, char **argv)
{
    (void)argv;
    /* The messages of some thousand damages tell nothing; an argument shows them. */
    log_open("test_restore", argc > 1 ? LOG_DEBUG : LOG_ERROR + 1, false);
    test_mappings();
    if (mkdtemp(base) == NULL) {
        perror(base);
        return 1;
    }
    open_places();
    test_finding();
    test_directories();
    test_linking();
    make_part();
    struct unpacker *unpacker = unpacker_new(&places, NULL, NULL);
    CHECK(unpacker != NULL);
    if (unpacker != NULL) {
        test_unpacking(unpacker);
        test_damages(unpacker);
        test_wrong_index(unpacker);
        for (size_t i = 0; i < sizeof split_content; i++)
            split_content[i] = (unsigned char)(i * i * 7 >> 3);
        test_pieces(unpacker);
        test_wrong_pieces(unpacker);
        test_kept_pieces(unpacker);
        test_pieces_elsewhere();
    }
    unpacker_free(unpacker);
    backup_part_free(part);
    buffer_free(&stored);
    close_places();
    return unit_done("test_restore");
}
