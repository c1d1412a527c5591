/* Reading leaves the page cache as it was: pages that were there stay, those that were not are not there
 * afterwards. On a file system with a page cache of its own: /var/tmp, as long as that is no tmpfs. */
#include "unit.h"

#include "basebackup/source_file.h"
#include "common/log.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#define PAGES_MOST 2048

static size_t page_bytes;
static unsigned char content[PAGES_MOST * 4096];

/* Of each page of the file, whether it is in the page cache. */
static void look(int fd, size_t bytes, unsigned char pages[PAGES_MOST])
{
    void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);

    REQUIRE(map != MAP_FAILED && mincore(map, bytes, pages) == 0);
    munmap(map, bytes);
    for (size_t page = 0; page < PAGES_MOST; page++)
        pages[page] &= 1;
}

/* A file of so many bytes of content, nothing of it in the page cache. */
static int make_file(const char *directory, size_t bytes)
{
    char path[256];
    int fd;

    snprintf(path, sizeof path, "%s/walferry-source-XXXXXX", directory);
    fd = mkstemp(path);
    REQUIRE(fd >= 0 && unlink(path) == 0);
    REQUIRE(write(fd, content, bytes) == (ssize_t)bytes && fsync(fd) == 0);
    REQUIRE(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
    return fd;
}

/* So that the kernel does not read ahead for us: the test says which pages are cached. */
static void cache_page(int fd, size_t page)
{
    char byte;

    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    REQUIRE(pread(fd, &byte, 1, (off_t)(page * page_bytes)) == 1);
    posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL);
}

/* Reads all of begin to end; how many bytes came. */
static size_t read_all(struct source_file *source, int fd, size_t begin, size_t end)
{
    static unsigned char buffer[SOURCE_WINDOW_BYTES];
    size_t done = 0;
    ssize_t got;

    source_file_begin(source, fd, begin, end);
    do {
        got = source_file_read(source, buffer);
        CHECK(got >= 0);
        if (got > 0)
            CHECK(memcmp(buffer, content + begin + done, (size_t)got) == 0);
        done += got > 0 ? (size_t)got : 0;
    } while (got == SOURCE_WINDOW_BYTES);
    source_file_end(source);
    return done;
}

/* Which pages are cached before: of each step the first ones. */
struct pattern {
    size_t step, first;
};

/* False if the kernel does as it likes, as it may where memory is short. */
static bool make_cached(const char *directory, size_t bytes, const struct pattern *pattern,
                        unsigned char *cached, int *fd)
{
    bool as_wanted = true;

    *fd = make_file(directory, bytes);
    for (size_t page = 0; page * page_bytes < bytes; page++)
        if (page % pattern->step < pattern->first)
            cache_page(*fd, page);
    look(*fd, bytes, cached);
    for (size_t page = 0; page * page_bytes < bytes; page++)
        as_wanted = as_wanted && cached[page] == (page % pattern->step < pattern->first);
    return as_wanted;
}

static void test_pattern(struct source_file *source, const char *directory, size_t bytes, size_t begin,
                         size_t end, const struct pattern *pattern)
{
    static unsigned char before[PAGES_MOST], after[PAGES_MOST];
    size_t changed = 0;
    int fd;

    for (int tries = 0; !make_cached(directory, bytes, pattern, before, &fd) && tries < 20; tries++)
        close(fd);
    CHECK(read_all(source, fd, begin, end) == end - begin);
    look(fd, bytes, after);
    for (size_t page = 0; page * page_bytes < bytes; page++)
        if (before[page] != after[page]) {
            fprintf(stderr, "%zu bytes, %zu of %zu pages cached: page %zu was %s\n", bytes, pattern->first,
                    pattern->step, page, after[page] ? "left" : "dropped");
            changed++;
        }
    CHECK(changed == 0);
    close(fd);
}

static void test_patterns(struct source_file *source, const char *directory)
{
    static const struct pattern patterns[] = {{1, 0}, {1, 1}, {2, 1}, {7, 3}, {300, 200}};
    static const size_t sizes[] = {
        1, 4096, 8192, 8193, 40000, SOURCE_WINDOW_BYTES, SOURCE_WINDOW_BYTES + 1, 5000000, 4194304};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t j = 0; j < sizeof patterns / sizeof patterns[0]; j++)
            test_pattern(source, directory, sizes[i], 0, sizes[i], &patterns[j]);
    /* A piece: what is before and behind it is not its business. */
    for (size_t j = 0; j < sizeof patterns / sizeof patterns[0]; j++)
        test_pattern(source, directory, 5000000, SOURCE_WINDOW_BYTES, 3 * SOURCE_WINDOW_BYTES, &patterns[j]);
}

/* A file that is shorter than it was, or has become longer. */
static void test_changing(struct source_file *source, const char *directory)
{
    static const size_t sizes[] = {0, 1, 4096, 1000000, SOURCE_WINDOW_BYTES, 2000000};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int fd = make_file(directory, sizes[i]);
        CHECK(read_all(source, fd, 0, 3000000) == sizes[i]);
        CHECK(read_all(source, fd, 0, 500000) == (sizes[i] < 500000 ? sizes[i] : 500000));
        close(fd);
    }
    source_file_begin(source, -1, 0, 100);
    CHECK(source_file_read(source, content) == -1);
    source_file_end(source);
}

int main(void)
{
    const char *directory = "/var/tmp";
    struct statfs status;
    struct source_file *source = source_file_new();

    log_open("test_source_file", LOG_ERROR, false);
    page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    REQUIRE(source != NULL && page_bytes <= 65536);
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (unsigned char)(i * 2654435761u >> 13);
    test_changing(source, directory);
    if (statfs(directory, &status) == 0 && status.f_type != TMPFS_MAGIC && page_bytes == 4096)
        test_patterns(source, directory);
    else
        printf("test_source_file: the page cache is not looked at: %s is a tmpfs, or has other pages\n",
               directory);
    source_file_free(source);
    return unit_done("test_source_file");
}
