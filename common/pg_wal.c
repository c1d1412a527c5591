#include "pg_wal.h"

#include "file.h"
#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES (256u * 1024)

/* Opening */

static bool fits(int fd, uint64_t number, uint64_t system_identifier, uint32_t segment_bytes,
                 struct wal_page *page)
{
    unsigned char header[WAL_LONG_HEADER_BYTES];
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (uint64_t)status.st_size == segment_bytes &&
           file_pread_fully(fd, header, sizeof header, 0) == 0 &&
           wal_page_parse(header, sizeof header, page) && page->system_identifier == system_identifier &&
           page->segment_bytes == segment_bytes && page->address == number * segment_bytes;
}

int pg_wal_open(const char *path, uint64_t number, uint64_t system_identifier, uint32_t segment_bytes,
                struct pg_wal_segment *segment)
{
    segment->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (segment->fd < 0) {
        if (errno == ENOENT)
            return 1;
        log_error("could not open file \"%s\": %m", path);
        return -1;
    }
    if (fits(segment->fd, number, system_identifier, segment_bytes, &segment->page))
        return 0;
    pg_wal_close(segment);
    return 1;
}

void pg_wal_close(struct pg_wal_segment *segment)
{
    if (segment->fd >= 0)
        close(segment->fd);
    segment->fd = -1;
}

/* Written to its end? */

struct page_place {
    int fd;
    size_t block_bytes;
    uint64_t offset; /* of the page in its segment */
};

/* Bytes of this page that are not zero, up to the last of them. -1: could not read. */
static int64_t page_used(const struct page_place *place, unsigned char *page)
{
    size_t used = place->block_bytes;

    if (file_pread_fully(place->fd, page, used, place->offset) != 0)
        return -1;
    while (used > 0 && page[used - 1] == 0)
        used--;
    return (int64_t)used;
}

/* Is the last record of this page, the rest of which is zero, a switch to the next segment? */
static bool ends_with_switch(const struct page_place *place, const unsigned char *page, size_t used)
{
    const size_t header = place->offset == 0 ? WAL_LONG_HEADER_BYTES : WAL_SHORT_HEADER_BYTES;
    const size_t end = (used + 7) / 8 * 8;
    unsigned char record[WAL_RECORD_HEADER_BYTES] = {0};
    uint32_t length;

    if (end <= header)
        return false;
    size_t here = end - header < sizeof record ? end - header : sizeof record, before = sizeof record - here;
    if (before > 0 &&
        (place->offset == 0 || file_pread_fully(place->fd, record, before, place->offset - before) != 0))
        return false;
    memcpy(record + before, page + end - here, here);
    memcpy(&length, record, sizeof length);
    return length == WAL_RECORD_HEADER_BYTES && wal_record_is_switch(record);
}

/* Zeros alone at the end are right behind a switch. */
bool pg_wal_is_written_to_its_end(int fd, const struct wal_page *first)
{
    struct page_place place = {fd, first->block_bytes, first->segment_bytes};
    unsigned char *page = malloc(place.block_bytes);
    int64_t used = 0;
    bool written = false;

    while (page != NULL && used == 0 && place.offset > 0) {
        place.offset -= place.block_bytes;
        used = page_used(&place, page);
    }
    if (used > 0) {
        uint64_t address;
        memcpy(&address, page + 8, sizeof address);
        written = memcmp(page, &first->magic, sizeof first->magic) == 0 &&
                  address == first->address + place.offset &&
                  (place.offset + place.block_bytes == first->segment_bytes ||
                   ends_with_switch(&place, page, (size_t)used));
    }
    free(page);
    return written;
}

/* Its records */

int pg_wal_feed(const struct pg_wal_segment *segment, struct wal_scan *scan)
{
    unsigned char *chunk = malloc(READ_BYTES);
    int result = chunk == NULL ? log_out_of_memory() : 0;

    for (uint64_t at = 0; result == 0 && at < segment->page.segment_bytes; at += READ_BYTES) {
        if (file_pread_fully(segment->fd, chunk, READ_BYTES, at) == 0)
            wal_scan_feed(scan, chunk, READ_BYTES);
        else {
            log_error("could not read a segment in pg_wal: %m");
            result = -1;
        }
    }
    free(chunk);
    return result;
}

/* Names */

struct names {
    struct pg_wal_name *items;
    size_t count;
};

static int add_name(struct names *names, struct pg_wal_name name)
{
    if ((names->count & (names->count + 1)) == 0) { /* 0, 1, 3, 7, ...: time to double */
        struct pg_wal_name *grown = realloc(names->items, (2 * names->count + 1) * sizeof *grown);
        if (grown == NULL)
            return log_out_of_memory();
        names->items = grown;
    }
    names->items[names->count++] = name;
    return 0;
}

static int compare_names(const void *left, const void *right)
{
    const struct pg_wal_name *a = left, *b = right;

    if (a->timeline != b->timeline)
        return a->timeline < b->timeline ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

int pg_wal_list(const char *directory, uint32_t timeline, uint32_t segment_bytes, struct pg_wal_name **names,
                size_t *count)
{
    struct names found = {NULL, 0};
    DIR *stream = opendir(directory);
    int result = 0;

    *names = NULL;
    *count = 0;
    if (stream == NULL && errno == ENOENT)
        return 0;
    if (stream == NULL) {
        log_error("could not open directory \"%s\": %m", directory);
        return -1;
    }
    for (struct dirent *item; result == 0 && (errno = 0, item = readdir(stream)) != NULL;) {
        struct wal_name parsed = wal_name_parse(item->d_name);
        struct pg_wal_name name = {parsed.timeline, 0};
        if (parsed.kind == WAL_SEGMENT && (timeline == 0 || parsed.timeline == timeline) &&
            wal_segment_number(&parsed, segment_bytes, &name.number))
            result = add_name(&found, name);
    }
    if (result == 0 && errno != 0) {
        log_error("could not read directory \"%s\": %m", directory);
        result = -1;
    }
    closedir(stream);
    if (result != 0) {
        free(found.items);
        return -1;
    }
    if (found.count > 1)
        qsort(found.items, found.count, sizeof *found.items, compare_names);
    *names = found.items;
    *count = found.count;
    return 0;
}
