#include "source_file.h"

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE_LEAST_BYTES 4096
/* The kernel cuts a longer request to read ahead short. */
#define AHEAD_BYTES (128u * 1024)
#ifndef SYS_cachestat /* younger than Debian 12's headers */
#define SYS_cachestat 451
#endif

struct window {
    uint64_t begin;
    size_t length;
    bool is_known;                                                    /* what was in the page cache */
    unsigned char was_cached[SOURCE_WINDOW_BYTES / PAGE_LEAST_BYTES]; /* a byte for each page */
};

struct source_file {
    size_t page_bytes;
    int fd;
    uint64_t begin, end;
    unsigned char *map; /* of begin to end, never touched; NULL: there is none */
    uint64_t next;      /* where the next window begins */
    struct window windows[2];
    unsigned at; /* of them: the one to be read next */
};

struct source_file *source_file_new(void)
{
    struct source_file *source = calloc(1, sizeof *source);

    if (source == NULL) {
        log_out_of_memory();
        return NULL;
    }
    source->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    source->fd = -1;
    return source;
}

void source_file_free(struct source_file *source)
{
    if (source == NULL)
        return;
    source_file_end(source);
    free(source);
}

static void map(struct source_file *source)
{
    void *address = mmap(NULL, (size_t)(source->end - source->begin), PROT_READ, MAP_SHARED, source->fd,
                         (off_t)source->begin);

    source->map = address == MAP_FAILED ? NULL : address;
}

/* How many of the file's pages from begin to end the kernel has; -1: it does not tell (before Linux 6.5).
 * Then mincore does, for which the file has to be mapped: as much work again as opening and reading a small
 * one. */
static int64_t count_cached(const struct source_file *source)
{
    struct {
        uint64_t offset, length;
    } range = {source->begin, source->end - source->begin};
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } count;

    return syscall(SYS_cachestat, source->fd, &range, &count, 0) == 0 ? (int64_t)count.cached : -1;
}

/* Which pages of it are in the page cache? To be asked before anything reads them. */
static void look(struct source_file *source, struct window *window)
{
    window->is_known = source->map != NULL && mincore(source->map + (window->begin - source->begin),
                                                      window->length, window->was_cached) == 0;
}

/* The only window of a small file: mostly all of it is cached, or nothing. */
static void look_at_small(struct source_file *source, struct window *window)
{
    int64_t cached = count_cached(source);

    if (cached == 0) {
        memset(window->was_cached, 0, sizeof window->was_cached);
        window->is_known = true;
    } else if (cached < 0 || (uint64_t)cached * source->page_bytes < window->length) {
        map(source);
        look(source, window);
    }
}

/* Calls each for every run of pages that were not in the cache. */
static void for_absent(const struct source_file *source, const struct window *window,
                       void (*each)(int fd, uint64_t offset, size_t length))
{
    size_t page_bytes = source->page_bytes, pages = (window->length + page_bytes - 1) / page_bytes;

    for (size_t page = 0; window->is_known && page < pages;) {
        size_t first = page;
        while (page < pages && (window->was_cached[page] & 1) == 0)
            page++;
        if (page > first)
            each(source->fd, window->begin + first * page_bytes, (page - first) * page_bytes);
        else
            page++;
    }
}

static void read_ahead(int fd, uint64_t offset, size_t length)
{
    for (size_t done = 0; done < length; done += AHEAD_BYTES) {
        size_t part = length - done < AHEAD_BYTES ? length - done : AHEAD_BYTES;
        posix_fadvise(fd, (off_t)(offset + done), (off_t)part, POSIX_FADV_WILLNEED);
    }
}

static void drop(int fd, uint64_t offset, size_t length)
{
    posix_fadvise(fd, (off_t)offset, (off_t)length, POSIX_FADV_DONTNEED);
}

/* The window behind those that are known already; empty at the end. */
static void set_window(struct source_file *source, struct window *window)
{
    uint64_t left = source->end - source->next;

    window->begin = source->next;
    window->length = left < SOURCE_WINDOW_BYTES ? (size_t)left : SOURCE_WINDOW_BYTES;
    window->is_known = false;
    source->next += window->length;
}

void source_file_begin(struct source_file *source, int fd, uint64_t begin, uint64_t end)
{
    source->fd = fd;
    source->begin = source->next = begin;
    source->end = end;
    source->at = 0;
    set_window(source, &source->windows[0]);
    if (end - begin <= SOURCE_WINDOW_BYTES) {
        look_at_small(source, &source->windows[0]);
        return;
    }
    map(source);
    if (source->map != NULL)
        posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    look(source, &source->windows[0]);
}

static ssize_t read_fully(int fd, unsigned char *buffer, size_t length, uint64_t offset)
{
    size_t done = 0;

    while (done < length) {
        ssize_t got = pread(fd, buffer + done, length - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

ssize_t source_file_read(struct source_file *source, void *buffer)
{
    struct window *window = &source->windows[source->at], *ahead = &source->windows[source->at ^ 1];

    if (window->length == 0)
        return 0;
    set_window(source, ahead);
    if (ahead->length > 0) {
        look(source, ahead);
        for_absent(source, ahead, read_ahead);
    }
    source->at ^= 1;
    ssize_t got = read_fully(source->fd, buffer, window->length, window->begin);
    int error = errno;
    for_absent(source, window, drop);
    errno = error;
    return got;
}

void source_file_end(struct source_file *source)
{
    if (source->map != NULL)
        munmap(source->map, (size_t)(source->end - source->begin));
    source->map = NULL;
    source->fd = -1;
}
