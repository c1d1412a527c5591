/* The file that is to be archived, changed under wal-push in every way that a server or a person can (rule
 * 16).
 */
#include "unit.h"
#include "wal-push/source.h"

#include "common/buffer.h"
#include "common/file.h"
#include "common/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SEGMENT_BYTES (1u << 20)
#define NAME "000000030000000000000005"

static char directory[] = "/tmp/walferry-source-XXXXXX";
static char path[64], other[64];

/* A segment, whose first page is right and whose last byte is this one. */
static void make_segment(const char *where, char last)
{
    unsigned char page[WAL_LONG_HEADER_BYTES] = {0x10, 0xD1, 2, 0, 3};
    uint32_t segment_bytes = SEGMENT_BYTES, block_bytes = 8192;
    uint64_t address = 5 * (uint64_t)SEGMENT_BYTES, system = 7301234567890123456u;
    int fd = open(where, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    memcpy(page + 8, &address, 8);
    memcpy(page + 24, &system, 8);
    memcpy(page + 32, &segment_bytes, 4);
    memcpy(page + 36, &block_bytes, 4);
    CHECK(fd >= 0 && pwrite(fd, page, sizeof page, 0) == sizeof page &&
          pwrite(fd, &last, 1, SEGMENT_BYTES - 1) == 1 && close(fd) == 0);
    /* a change that follows gets another time, whatever the file system's clock ticks */
    nanosleep(&(struct timespec){0, 30000000}, NULL);
}

static int read_source(struct source *source)
{
    struct object_writer *writer = object_writer_new(1);
    struct buffer stored = BUFFER_EMPTY;
    int result = -2;

    if (writer != NULL && object_writer_begin(writer, sink_to_buffer(&stored)) == 0)
        result = source_read(source, writer);
    object_writer_free(writer);
    buffer_free(&stored);
    return result;
}

static void overwrite(const char *data, off_t offset)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    CHECK(fd >= 0 && pwrite(fd, data, 1, offset) == 1 && close(fd) == 0);
}

static void nothing(void)
{
}

static void change_in_place(void)
{
    overwrite("x", SEGMENT_BYTES / 2);
}

static void change_header(void)
{
    overwrite("x", 8);
}

static void grow(void)
{
    overwrite("x", SEGMENT_BYTES);
}

static void shrink(void)
{
    CHECK(truncate(path, SEGMENT_BYTES / 2) == 0);
}

static void replace(void)
{
    make_segment(other, 'b');
    CHECK(rename(other, path) == 0);
}

static void recycle(void) /* it gets a later name, and is not written yet */
{
    CHECK(rename(path, other) == 0);
}

static void recycle_and_make(void)
{
    recycle();
    make_segment(path, 'a');
}

static const struct {
    void (*change)(void);
    bool is_taken;
} changes[] = {
    {nothing, true}, {change_in_place, false}, {change_header, false}, {grow, false},
    {shrink, false}, {replace, false},         {recycle, false},       {recycle_and_make, false},
};

static void test_changes(void)
{
    const struct config config = {.pgdata = NULL};

    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct source source;

        make_segment(path, 'a');
        CHECK(source_open(path, &config, &source) == SOURCE_OK);
        changes[i].change();
        log_set_threshold(LOG_ERROR + 1);
        int result = read_source(&source);
        log_set_threshold(LOG_INFO);
        if (result != (changes[i].is_taken ? 0 : -1))
            fprintf(stderr, "change %zu\n", i);
        CHECK(result == (changes[i].is_taken ? 0 : -1));
        source_close(&source);
    }
}

int main(void)
{
    log_open("test_source", LOG_INFO, false);
    if (mkdtemp(directory) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/" NAME, directory);
    snprintf(other, sizeof other, "%s/000000030000000000000009", directory);
    test_changes();
    unit_remove_tree(directory);
    return unit_done("source");
}
