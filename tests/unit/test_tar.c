/* Headers of tar members: fields, checksum, names and sizes that do not fit; and what tar itself makes of
 * them. */
#include "unit.h"

#include "common/tar.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct tar_member member(const char *path, uint64_t bytes)
{
    return (struct tar_member){
        .path = path,
        .mode = 0640,
        .bytes = bytes,
        .modified_seconds = 1795132799,
        .user = 107,
        .group = 108,
        .user_name = "postgres",
        .group_name = "dba",
    };
}

/* The sum over the block with the checksum's own field as blanks. */
static bool checksum_is_right(const unsigned char *block)
{
    unsigned sum = 0;

    for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
        sum += i >= 148 && i < 156 ? ' ' : block[i];
    return strtoul((const char *)block + 148, NULL, 8) == sum;
}

static void test_plain(void)
{
    struct tar_member file = member("base/5/1259", 114688);
    struct buffer out = BUFFER_EMPTY;

    CHECK(tar_header_write(&file, &out) == 0);
    CHECK(out.length == TAR_BLOCK_BYTES);
    CHECK_TEXT((char *)out.data, "base/5/1259");
    CHECK_TEXT((char *)out.data + 100, "0000640");
    CHECK_TEXT((char *)out.data + 108, "0000153");
    CHECK_TEXT((char *)out.data + 116, "0000154");
    CHECK_TEXT((char *)out.data + 124, "00000340000");
    CHECK_TEXT((char *)out.data + 136, "15277706577");
    CHECK(out.data[156] == '0');
    CHECK(memcmp(out.data + 257, "ustar\00000", 8) == 0);
    CHECK_TEXT((char *)out.data + 265, "postgres");
    CHECK_TEXT((char *)out.data + 297, "dba");
    CHECK(checksum_is_right(out.data));
    buffer_free(&out);
}

static void test_directory(void)
{
    struct tar_member directory = member("pg_wal/archive_status", 0);
    struct buffer out = BUFFER_EMPTY;

    directory.is_directory = true;
    CHECK(tar_header_write(&directory, &out) == 0);
    CHECK_TEXT((char *)out.data, "pg_wal/archive_status/");
    CHECK(out.data[156] == '5');
    CHECK(checksum_is_right(out.data));
    buffer_free(&out);
}

/* A name of 100 bytes fills its field without a zero; up to 155 bytes more go into the prefix, cut at a
 * slash. */
static void test_long_names(void)
{
    char path[400] = "";
    struct tar_member file = member(path, 1);
    struct buffer out = BUFFER_EMPTY;

    memset(path, 'n', 100);
    path[100] = '\0';
    CHECK(tar_header_write(&file, &out) == 0 && out.length == TAR_BLOCK_BYTES);
    CHECK(memcmp(out.data, path, 100) == 0 && out.data[345] == '\0');
    buffer_clear(&out);

    memset(path, 'd', 155);
    path[155] = '/';
    memset(path + 156, 'n', 100);
    path[256] = '\0';
    CHECK(tar_header_write(&file, &out) == 0 && out.length == TAR_BLOCK_BYTES);
    CHECK(memcmp(out.data + 345, path, 155) == 0 && memcmp(out.data, path + 156, 100) == 0);
    buffer_clear(&out);

    path[155] = 'd'; /* no slash where one is needed */
    CHECK(tar_header_write(&file, &out) == 0 && out.length == 3 * TAR_BLOCK_BYTES);
    CHECK(out.data[156] == 'x' && checksum_is_right(out.data));
    CHECK(memcmp(out.data + TAR_BLOCK_BYTES, "266 path=ddd", 12) == 0);
    CHECK(out.data[2 * TAR_BLOCK_BYTES + 156] == '0' && checksum_is_right(out.data + 2 * TAR_BLOCK_BYTES));
    buffer_free(&out);
}

static void test_large_sizes(void)
{
    struct tar_member file = member("base/5/16384", 077777777777ull);
    struct buffer out = BUFFER_EMPTY;

    CHECK(tar_header_write(&file, &out) == 0 && out.length == TAR_BLOCK_BYTES);
    CHECK_TEXT((char *)out.data + 124, "77777777777");
    buffer_clear(&out);
    file.bytes++;
    CHECK(tar_header_write(&file, &out) == 0 && out.length == 3 * TAR_BLOCK_BYTES);
    CHECK_TEXT((char *)out.data + TAR_BLOCK_BYTES, "21 path=base/5/16384\n19 size=8589934592\n");
    buffer_free(&out);
}

static void test_padding(void)
{
    CHECK(tar_padding_bytes(0) == 0);
    CHECK(tar_padding_bytes(1) == 511);
    CHECK(tar_padding_bytes(511) == 1);
    CHECK(tar_padding_bytes(512) == 0);
    CHECK(tar_padding_bytes(8589934593ull) == 511);
}

/* Lengths around the limits, read back by tar. */
static void test_against_tar(void)
{
    static const size_t lengths[] = {1, 99, 100, 101, 155, 200, 255, 256, 257, 400};
    char file_name[] = "/tmp/walferry-test-tar.XXXXXX", path[512] = "";
    char program[] = "tar", option[] = "tif", listing[8192], *next = listing;
    char *const arguments[] = {program, option, file_name, NULL};
    int fd = mkstemp(file_name);
    struct buffer out = BUFFER_EMPTY;

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct tar_member file = member(path, 3);
        char content[TAR_BLOCK_BYTES] = "abc";
        for (size_t j = 0; j < lengths[i]; j++)
            path[j] = j % 60 == 40 ? '/' : (char)('a' + j % 26);
        path[lengths[i]] = '\0';
        CHECK(tar_header_write(&file, &out) == 0);
        CHECK(buffer_append(&out, content, sizeof content) == 0);
    }
    CHECK(write(fd, out.data, out.length) == (ssize_t)out.length);
    CHECK(unit_run(arguments, listing, sizeof listing) == 0);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (size_t j = 0; j < lengths[i]; j++)
            path[j] = j % 60 == 40 ? '/' : (char)('a' + j % 26);
        path[lengths[i]] = '\0';
        CHECK_TEXT(strsep(&next, "\n"), path);
    }
    CHECK_TEXT(next, ""); /* no more than that */
    close(fd);
    unlink(file_name);
    buffer_free(&out);
}

int main(void)
{
    test_plain();
    test_directory();
    test_long_names();
    test_large_sizes();
    test_padding();
    test_against_tar();
    return unit_done("test_tar");
}
