/* An encrypted repository in a directory: what goes in comes out, whole and by ranges, and whatever else lies
 * there is found. The vectors of docs/encryption.md. */
#include "common/digest.h"
#include "common/file.h"
#include "common/key.h"
#include "common/keyring.h"
#include "common/sealing.h"
#include "common/store.h"
#include "questions.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "main/7000000000000000001/wal/0000000100000000/000000010000000000000001"
#define OTHER "main/7000000000000000001/wal/0000000100000000/000000010000000000000002"
#define COPY "copy/7000000000000000001/wal/0000000100000000/000000010000000000000002"
#define MOST (9 * SEALING_CHUNK_BYTES + SEALING_TAIL_BYTES + 1)

static char directory[] = "/tmp/walferry-sealed-XXXXXX";
static unsigned char *content;

static void write_file(const char *path, const void *data, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    REQUIRE(fd >= 0 && file_write_fully(fd, data, length) == 0 && close(fd) == 0);
}

static char *path_of(const char *rest)
{
    return unit_path("%s/%s", directory, rest);
}

/* A store, with epochs 1 and 2 known. */
static struct store *open_store(struct repository_config *config, const char *keys)
{
    static const struct store_limits limits = {.operation_seconds = 10};
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    struct sealing_epoch epochs[2];

    *config = (struct repository_config){.name = (char *)"here",
                                         .kind = REPOSITORY_FILE,
                                         .path = directory,
                                         .encryption_key_file = (char *)keys};
    struct store *store = store_open(config, &limits);
    REQUIRE(store != NULL);
    struct keyring *keyring = keyring_open(config);
    for (uint32_t epoch = 1; epoch <= 2; epoch++) {
        memset(epoch_key, (int)epoch, sizeof epoch_key);
        REQUIRE(keyring_add(keyring, epoch, epoch_key, &epochs[epoch - 1]) == 0);
    }
    keyring_set_epoch(keyring, &epochs[0]);
    keyring_close(keyring);
    return store;
}

static bool range_is(struct store *store, const char *name, size_t total, struct store_range range)
{
    struct buffer out = BUFFER_EMPTY;
    struct store_object object = {.total_bytes = 12345};
    uint64_t from = range.offset, to = range.length == 0 ? total : range.offset + range.length;
    enum store_result result = get_text(store, name, &range, &out, &object);

    if (range.suffix != 0) {
        from = range.suffix < total ? total - range.suffix : 0;
        to = total;
    }
    bool good = to > total || from > total
                    ? result == STORE_SHORT
                    : result == STORE_OK && object.total_bytes == total && out.length == to - from &&
                          (to == from || memcmp(out.data, content + from, to - from) == 0);
    if (!good)
        fprintf(stderr, "%zu bytes, from %zu, %zu, last %zu: %d, %zu bytes\n", total, (size_t)range.offset,
                (size_t)range.length, (size_t)range.suffix, result, out.length);
    buffer_free(&out);
    return good;
}

static bool tell_bytes(void *context, const char *name, uint64_t bytes)
{
    *(uint64_t *)context = strcmp(name, NAME) == 0 ? bytes : 99;
    return true;
}

static void check_object(struct store *store, size_t length)
{
    static const size_t edges[] = {1, 1023, 1024, 1025, SEALING_CHUNK_BYTES - 1, SEALING_CHUNK_BYTES, 70000};
    uint64_t listed = 77;
    const struct store_listing listing = {.prefix = "main/7", .each = tell_bytes, .context = &listed};
    struct stat status;

    CHECK(stat(path_of(NAME), &status) == 0 && (uint64_t)status.st_size == sealing_stored_bytes(length));
    CHECK(store_list(store, &listing) == STORE_OK && listed == length);
    CHECK(range_is(store, NAME, length, (struct store_range){0, 0, 0}));
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        CHECK(range_is(store, NAME, length, (struct store_range){0, 0, edges[i]}));
        if (edges[i] < length)
            CHECK(range_is(store, NAME, length, (struct store_range){edges[i], 0, 0}));
        CHECK(range_is(store, NAME, length, (struct store_range){0, edges[i], 0}));
        CHECK(range_is(store, NAME, length, (struct store_range){edges[i], 1, 0}));
        CHECK(range_is(store, NAME, length, (struct store_range){edges[i], edges[i], 0}));
        if (length > edges[i])
            CHECK(range_is(store, NAME, length, (struct store_range){length - edges[i], edges[i], 0}));
        CHECK(range_is(store, NAME, length, (struct store_range){length, edges[i], 0}));
    }
    for (unsigned i = 0; i < 50 && length > 0; i++) {
        size_t from = (size_t)random() % length, count = (size_t)random() % (length - from) + 1;
        CHECK(range_is(store, NAME, length, (struct store_range){from, count, 0}));
    }
}

static const size_t lengths[] = {0,
                                 1,
                                 960,
                                 1000,
                                 1023,
                                 1024,
                                 1025,
                                 2048,
                                 SEALING_CHUNK_BYTES,
                                 SEALING_CHUNK_BYTES + 1023,
                                 SEALING_CHUNK_BYTES + 1024,
                                 SEALING_CHUNK_BYTES + 1025,
                                 2 * SEALING_CHUNK_BYTES + 1024,
                                 2 * SEALING_CHUNK_BYTES + 5000,
                                 MOST};
#define LENGTHS (sizeof lengths / sizeof *lengths)

static void test_lengths(void)
{
    bool longer_is_longer = true, comes_back = true, between_is_none = true;
    uint64_t plain, last = 0;

    for (uint64_t length = 0; length < 300000; length++) {
        uint64_t stored = sealing_stored_bytes(length);

        longer_is_longer &= length == 0 || stored > last;
        comes_back &= sealing_plain_bytes(stored, &plain) && plain == length;
        for (uint64_t between = last + 1; length > 0 && between < stored; between++)
            between_is_none &= !sealing_plain_bytes(between, &plain);
        last = stored;
    }
    CHECK(longer_is_longer);
    CHECK(comes_back);
    CHECK(between_is_none);
    CHECK(sealing_stored_bytes(0) == 152 && !sealing_plain_bytes(151, &plain));
    CHECK(!sealing_plain_bytes(0, &plain));
    CHECK(sealing_plain_bytes(UINT64_MAX / 2, &plain) || plain > 0);
}

static void test_round_trip(struct store *store)
{
    for (size_t i = 0; i < LENGTHS; i++) {
        struct body body = body_of(content, lengths[i]);
        struct store_object object;

        if (body.data == NULL || lengths[i] == 0)
            body.data = "";
        CHECK(store_put_absent(store, NAME, &body, STORE_CONDITION_HONOURED, &object) == STORE_OK);
        CHECK(object.total_bytes == lengths[i]);
        CHECK(store_put_absent(store, NAME, &body, STORE_CONDITION_HONOURED, NULL) == STORE_EXISTS);
        check_object(store, lengths[i]);
        CHECK(store_replace(store, NAME, &body) == STORE_OK);
        check_object(store, lengths[i]);
        CHECK(store_delete(store, NAME, NULL) == STORE_OK);

        struct store_upload *upload = store_upload_begin(store, NAME, lengths[i], STORE_CONDITION_HONOURED);
        REQUIRE(upload != NULL);
        for (size_t at = 0, piece = 1; at < lengths[i]; at += piece) {
            piece = (size_t)random() % (i % 2 == 0 ? 100000 : 3000) + 1;
            if (piece > lengths[i] - at)
                piece = lengths[i] - at;
            CHECK(store_upload_write(upload, content + at, piece) == 0);
        }
        CHECK(store_upload_finish(upload, &object) == STORE_OK && object.total_bytes == lengths[i]);
        check_object(store, lengths[i]);
        CHECK(store_copy(store, NAME, OTHER) == STORE_OK);
        CHECK(store_copy(store, NAME "x", OTHER "x") == STORE_ABSENT);
        CHECK(range_is(store, OTHER, lengths[i], (struct store_range){0, 0, 0}));
        CHECK(store_delete(store, NAME, NULL) == STORE_OK && store_delete(store, OTHER, NULL) == STORE_OK);
    }
}

/* All ways of reading: none hands a wrong byte on, and this many say that it is damaged. */
static void expect_damage(struct store *store, size_t length, const char *what)
{
    struct store_range ranges[] = {{0, 0, 0}, {0, 0, 1024}, {1, length > 1 ? length - 1 : 0, 0}};
    unsigned damaged = 0;

    for (size_t i = 0; i < 3; i++) {
        struct buffer out = BUFFER_EMPTY;
        enum store_result result = get_text(store, NAME, &ranges[i], &out, NULL);
        size_t from = i == 2 ? 1 : i == 1 && length > 1024 ? length - 1024 : 0;

        if (out.length > length || (out.length > 0 && memcmp(out.data, content + from, out.length) != 0)) {
            fprintf(stderr, "%s: wrong bytes came\n", what);
            CHECK(false);
        }
        damaged += result == STORE_DAMAGED;
        if (i == 0 && result != STORE_DAMAGED) {
            fprintf(stderr, "%s: %d\n", what, result);
            CHECK(false);
        }
        buffer_free(&out);
    }
    CHECK(damaged > 0);
}

static struct buffer read_file(const char *path)
{
    struct buffer out = BUFFER_EMPTY;

    REQUIRE(file_read_all(path, 10 * MEBIBYTE, &out) == FILE_OK);
    return out;
}

static void put_content(struct store *store, const char *name, size_t length)
{
    struct body body = body_of(content, length);

    store_delete(store, name, NULL);
    CHECK(store_put_absent(store, name, &body, STORE_CONDITION_HONOURED, NULL) == STORE_OK);
}

static void test_every_byte(struct store *store, size_t length, size_t stride)
{
    put_content(store, NAME, length);
    struct buffer good = read_file(path_of(NAME));

    for (size_t i = 0; i < good.length; i += i < 64 || i + 1200 > good.length ? 1 : stride) {
        good.data[i] ^= (unsigned char)(1u << i % 8);
        write_file(path_of(NAME), good.data, good.length);
        expect_damage(store, length, unit_path("byte %zu of %zu", i, good.length));
        good.data[i] ^= (unsigned char)(1u << i % 8);
    }
    for (size_t cut = 1; cut <= good.length; cut += cut < 100 ? 1 : good.length / 50 + 1) {
        write_file(path_of(NAME), good.data, good.length - cut);
        expect_damage(store, length, unit_path("%zu bytes cut off", cut));
    }
    write_file(path_of(NAME), good.data + 1, good.length - 1);
    expect_damage(store, length, "the first byte cut off");
    REQUIRE(buffer_append(&good, "more", 4) == 0);
    write_file(path_of(NAME), good.data, good.length);
    expect_damage(store, length, "longer");
    write_file(path_of(NAME), good.data, good.length - 4);
    CHECK(range_is(store, NAME, length, (struct store_range){0, 0, 0}));
    buffer_free(&good);
}

static void test_pieces_moved(struct store *store)
{
    const size_t piece = SEALING_PIECE_BYTES_MOST, first = SEALING_HEADER_BYTES;

    put_content(store, NAME, MOST);
    put_content(store, OTHER, MOST);
    struct buffer good = read_file(path_of(NAME)), other = read_file(path_of(OTHER));
    struct buffer bad = BUFFER_EMPTY;
#define BAD(what, ...)                                                                                       \
    do {                                                                                                     \
        buffer_clear(&bad);                                                                                  \
        CHECK(buffer_append(&bad, good.data, good.length) == 0);                                             \
        __VA_ARGS__;                                                                                         \
        write_file(path_of(NAME), bad.data, bad.length);                                                     \
        expect_damage(store, MOST, what);                                                                    \
    } while (0)
    BAD("two chunks swapped", memcpy(bad.data + first, good.data + first + piece, piece);
        memcpy(bad.data + first + piece, good.data + first, piece));
    BAD("a chunk twice", memcpy(bad.data + first + piece, good.data + first, piece));
    BAD("a chunk of another object", memcpy(bad.data + first, other.data + first, piece));
    BAD("a chunk is missing", memmove(bad.data + first, bad.data + first + piece, bad.length - first - piece);
        bad.length -= piece);
    BAD("another object", memcpy(bad.data, other.data, bad.length));
    BAD("the other's header", memcpy(bad.data, other.data, first));
    BAD("the other's footer",
        memcpy(bad.data + bad.length - SEALING_FOOTER_BYTES_MOST,
               other.data + bad.length - SEALING_FOOTER_BYTES_MOST, SEALING_FOOTER_BYTES_MOST));
    /* what was there before, of the same length, sealed anew */
    put_content(store, NAME, MOST);
    struct buffer again = read_file(path_of(NAME));
    CHECK(memcmp(again.data + 32, good.data + 32, 32) != 0);
    BAD("a chunk of the same content, sealed anew", memcpy(bad.data + first, again.data + first, piece));
    /* plain things */
    write_file(path_of(NAME), content, MOST);
    expect_damage(store, MOST, "plain content");
    write_file(path_of(NAME), "", 0);
    expect_damage(store, MOST, "nothing");
    unit_listen();
    write_file(path_of(NAME), content, 5000);
    struct buffer out = BUFFER_EMPTY;
    CHECK(get_text(store, NAME, NULL, &out, NULL) == STORE_DAMAGED);
    CHECK(unit_heard("was never encrypted"));
    /* of another cluster (system), with the same keys */
    CHECK(mkdir(path_of("main/7000000000000000002"), 0700) == 0);
    write_file(path_of("main/7000000000000000002/a"), good.data, good.length);
    CHECK(get_text(store, "main/7000000000000000002/a", NULL, &out, NULL) == STORE_DAMAGED);
    /* another folder of the cluster is all right: a copy */
    CHECK(mkdir(path_of("copy"), 0700) == 0 && mkdir(path_of("copy/7000000000000000001"), 0700) == 0 &&
          mkdir(path_of("copy/7000000000000000001/wal"), 0700) == 0 &&
          mkdir(path_of("copy/7000000000000000001/wal/0000000100000000"), 0700) == 0);
    write_file(path_of(COPY), other.data, other.length);
    CHECK(range_is(store, COPY, MOST, (struct store_range){0, 0, 0}));
    buffer_free(&good);
    buffer_free(&other);
    buffer_free(&again);
    buffer_free(&bad);
    buffer_free(&out);
}

/* As docs/encryption.md has them. */
static void test_vectors(void)
{
    static const char name[] =
        "7000000000000000001/base/20260101T000000Z-00000001-0000000002000028/started.json";
    static const char object[] =
        "57414c465345414c010000000000010001000000be6c05e7a704f3cc00000000404142434445464748494a4b4c4d4e4f"
        "505152535455565758595a5b5c5d5e5f3589a21ec99aacf162111d1aa71b12065bbfa856bc67e4cf016158cd8bcb1054"
        "57414c465345414c010000000000010001000000be6c05e7a704f3cc00000000404142434445464748494a4b4c4d4e4f"
        "505152535455565758595a5b5c5d5e5f";
    static const char wrapped[] = "bd317fc5f161e2f43ecc1435054237b654b9eef809a3750f"
                                  "b8a156b0f6012a392c1391aaabbac8a0cd805e83862b1089";
    static const char of_large[] = "8ee869ea2f634943e3f3e31ad92829b8164fc3e6d451e8a90ff938ee25f0bf39";
    unsigned char epoch_key[CIPHER_KEY_BYTES], bytes[CIPHER_KEY_BYTES], out[152 + 8], *large;
    struct key_derivation derivation = {.n = 16384, .r = 8, .p = 1};
    struct sealing sealing = {.associated_length = 0};
    struct sealing_header header;
    struct key_object key_object = {.epoch = 1};
    char hex[2 * sizeof out + 1];
    struct key key;

    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)i;
        epoch_key[i] = (unsigned char)(32 + i);
        header.salt[i] = (unsigned char)(64 + i);
    }
    CHECK(key_from_bytes(bytes, &key) == 0);
    CHECK_TEXT(key.id, "d69c14e4782be161");
    CHECK(sealing_epoch_of(1, epoch_key, &header.epoch) == 0);
    hex_encode(header.epoch.id, sizeof header.epoch.id, hex);
    CHECK_TEXT(hex, "be6c05e7a704f3cc");
    memcpy(key_object.id, key.id, sizeof key.id);
    memcpy(key_object.nonce, bytes, sizeof key_object.nonce);
    CHECK(hex_decode(wrapped, key_object.wrapped, sizeof key_object.wrapped));
    CHECK(key_object_unwrap(&key_object, &key, "the vector", bytes) == 0);
    CHECK(memcmp(bytes, epoch_key, sizeof bytes) == 0);
    key_object.epoch = 2; /* it is bound to its number */
    unit_listen();
    CHECK(key_object_unwrap(&key_object, &key, "the vector", bytes) != 0);
    CHECK(unit_heard("does not open it"));

    CHECK(sealing_begin(&sealing, epoch_key, &header, name) == 0);
    memcpy(out, sealing.header, SEALING_HEADER_BYTES);
    CHECK(sealing_seal_footer(&sealing, 8, "walferry", out + SEALING_HEADER_BYTES) == 0);
    hex_encode(out, sizeof out, hex);
    CHECK_TEXT(hex, object);

    const size_t length = 140000;
    const uint64_t last = sealing_piece_count(length) - 1;
    REQUIRE((large = malloc(sealing_stored_bytes(length))) != NULL);
    unsigned char *plain = malloc(length);
    REQUIRE(plain != NULL && last == 4);
    for (size_t i = 0; i < length; i++)
        plain[i] = (unsigned char)(i % 251);
    memcpy(large, sealing.header, SEALING_HEADER_BYTES);
    for (uint64_t i = 1; i <= last; i++) {
        struct sealing_piece piece = sealing_piece(length, i);
        CHECK((piece.is_footer
                   ? sealing_seal_footer(&sealing, length, plain + piece.plain_offset, large + piece.offset)
                   : sealing_seal_chunk(&sealing, i, piece.is_last, plain + piece.plain_offset,
                                        piece.plain_length, large + piece.offset)) == 0);
    }
    CHECK(sha256_of(large, sealing_stored_bytes(length), bytes) == 0);
    hex_encode(bytes, sizeof bytes, hex);
    CHECK_TEXT(hex, of_large);
    free(large);
    free(plain);
    sealing_end(&sealing);

    for (size_t i = 0; i < sizeof derivation.salt; i++)
        derivation.salt[i] = (unsigned char)i;
    CHECK(key_derive("correct horse", strlen("correct horse"), &derivation, &key) == 0);
    hex_encode(key.bytes, sizeof key.bytes, hex);
    CHECK_TEXT(hex, "25b376840366f4d3b0e21e414476676e3cd0e89af4430356a234ce0b65a021b5");
}

int main(void)
{
    static const char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    struct repository_config config;

    REQUIRE(mkdtemp(directory) != NULL && (content = malloc(MOST)) != NULL);
    for (size_t i = 0; i < MOST; i++)
        content[i] = (unsigned char)(i * 2654435761u >> 13);
    write_file(path_of("key"), hex, strlen(hex));
    char *key_path = string_copy(path_of("key"));
    struct store *store = open_store(&config, key_path);
    test_vectors();
    test_lengths();
    test_round_trip(store);
    test_every_byte(store, 0, 1);
    test_every_byte(store, 500, 1);
    test_every_byte(store, 3000, 7);
    test_every_byte(store, 2 * SEALING_CHUNK_BYTES + 2000, 1371);
    test_pieces_moved(store);
    store_close(store);
    free(content);
    free(key_path);
    unit_remove_tree(directory);
    return unit_done("test_sealed");
}
