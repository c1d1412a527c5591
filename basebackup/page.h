/* Verifies the pages of relation files on the one read that a backup makes of them (rule 26 of the design).
 * A page that looks wrong is read again before it is hashed and stored: the server may have been writing it.
 */
#ifndef WALFERRY_PAGE_H
#define WALFERRY_PAGE_H

#include "page_errors.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One for the backup, shared by all workers; counters start at 0. */
struct page_check {
    uint32_t block_bytes;
    uint32_t segment_blocks; /* blocks in one file of a relation (RELSEG_SIZE) */
    uint64_t start_lsn;      /* of the backup: what was changed later is mended by WAL replay */
    int (*insert_lsn)(void *context,
                      uint64_t *lsn); /* the server's, now. 0, or -1 after logging. Thread-safe */
    void *context;
    struct page_errors *errors;     /* borrowed: receives the wrong ones; NULL: they are only counted */
    atomic_ullong known_insert_lsn; /* the newest one heard */
    atomic_ullong zero_pages;       /* all zero: legal */
    atomic_ullong skipped_pages;    /* wrong, but changed since the backup began */
    atomic_ullong bad_pages;
};

/* One file. */
struct page_file {
    struct page_check *check;
    int fd;
    const char *path;     /* for messages; borrowed */
    uint32_t segment;     /* number in NAME.1, NAME.2, ...; 0 for the first */
    unsigned wrong_pages; /* stayed wrong, even if WAL replay mends them; starts at 0 */
    unsigned bad_pages;   /* of these, those that nothing mends */
};

/* Looks at the whole pages in data, which was read from offset, and replaces those it had to read again. A
 * page that stays wrong is logged and counted, and that is no failure. 0, or -1 after logging (it cannot be
 * read, the server cannot be asked). */
int page_file_verify(struct page_file *file, void *data, size_t length, uint64_t offset);

/* Does every whole page in data, of which the first is this block, look right at once? Nothing is read again,
 * logged or counted but zero_pages. */
bool page_check_quietly(const struct page_check *check, const void *data, size_t length, uint32_t block,
                        uint64_t *zero_pages);

/* Says how many wrong pages of the file were not logged one by one. */
void page_file_end(struct page_file *file);

#endif
