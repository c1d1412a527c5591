#include "page.h"

#include "common/file.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/pg_control.h"
#include "common/wal.h"

#include <errno.h>
#include <string.h>

/* Offsets in PageHeaderData (bufpage.h), the same in all versions. */
enum { PD_LSN = 0, PD_CHECKSUM = 8, PD_UPPER = 14 };

#define LOGGED_MOST 5 /* in one file, as PostgreSQL does */

enum page_state { PAGE_GOOD, PAGE_ZERO, PAGE_HEADER_WRONG, PAGE_CHECKSUM_WRONG };

static uint16_t get_u16(const unsigned char *page, size_t offset)
{
    uint16_t value;

    memcpy(&value, page + offset, sizeof value);
    return value;
}

static uint64_t page_lsn(const unsigned char *page)
{
    uint32_t high, low;

    memcpy(&high, page + PD_LSN, sizeof high);
    memcpy(&low, page + PD_LSN + sizeof high, sizeof low);
    return (uint64_t)high << 32 | low;
}

static bool is_all_zero(const unsigned char *page, size_t length)
{
    return page[0] == 0 && memcmp(page, page + 1, length - 1) == 0;
}

static enum page_state page_look(const struct page_check *check, const unsigned char *page, uint32_t block)
{
    /* A page without pd_upper was never initialised and has no checksum: it must be empty. */
    if (get_u16(page, PD_UPPER) == 0)
        return is_all_zero(page, check->block_bytes) ? PAGE_ZERO : PAGE_HEADER_WRONG;
    return pg_page_checksum(page, check->block_bytes, block) == get_u16(page, PD_CHECKSUM)
               ? PAGE_GOOD
               : PAGE_CHECKSUM_WRONG;
}

/* Reads the page again until it is right, a few times with growing pauses: a write of one page takes far
 * less. Where a file has many wrong pages it is damaged, and waiting at each would take hours. A page beyond
 * the file's end was cut off: zeros, and WAL replay cuts it off too. */
static int read_again(const struct page_file *file, unsigned char *page, uint64_t offset, uint32_t block,
                      enum page_state *state)
{
    static const unsigned pauses[] = {0, 1, 4, 16, 64, 256}; /* milliseconds */
    size_t tries = file->wrong_pages < LOGGED_MOST ? sizeof pauses / sizeof *pauses : 2;

    for (size_t i = 0; i < tries && *state != PAGE_GOOD && *state != PAGE_ZERO; i++) {
        if (pauses[i] > 0)
            interrupt_sleep(pauses[i]);
        errno = 0;
        if (file_pread_fully(file->fd, page, file->check->block_bytes, offset) != 0) {
            if (errno != 0) {
                log_error("could not read file \"%s\": %m", file->path);
                return -1;
            }
            memset(page, 0, file->check->block_bytes);
        }
        *state = page_look(file->check, page, block);
    }
    return 0;
}

/* 1: changed since the backup began, so WAL replay brings the right page. 0: it is not. -1 after logging.
 * An LSN from the future is no excuse: damage can look like that. */
static int is_mended_by_replay(struct page_check *check, uint64_t lsn)
{
    uint64_t insert_lsn;

    if (lsn < check->start_lsn)
        return 0;
    if (lsn <= atomic_load(&check->known_insert_lsn))
        return 1;
    if (check->insert_lsn(check->context, &insert_lsn) != 0)
        return -1;
    atomic_store(&check->known_insert_lsn, insert_lsn);
    return lsn <= insert_lsn;
}

static void log_page(const struct page_file *file, const struct backup_page_error *error,
                     uint64_t changed_lsn)
{
    char lsn[24];

    lsn_format(changed_lsn, lsn);
    if (!error->has_checksums)
        log_error("invalid page in file \"%s\", block %u: the header is that of an empty page, but it is not "
                  "all zero",
                  file->path, (unsigned)error->block);
    else
        log_error("invalid page in file \"%s\", block %u: checksum found %04X, expected %04X, page LSN %s",
                  file->path, (unsigned)error->block, (unsigned)error->found, (unsigned)error->expected, lsn);
}

static int report(struct page_file *file, const unsigned char *page, uint32_t block, enum page_state state)
{
    struct page_check *check = file->check;
    struct backup_page_error error = {
        .file = (char *)file->path, .block = block, .has_checksums = state == PAGE_CHECKSUM_WRONG};

    if (error.has_checksums) {
        error.found = get_u16(page, PD_CHECKSUM);
        error.expected = pg_page_checksum(page, check->block_bytes, block);
    }
    atomic_fetch_add(&check->bad_pages, 1);
    if (++file->bad_pages <= LOGGED_MOST)
        log_page(file, &error, page_lsn(page));
    return check->errors == NULL ? 0 : page_errors_add(check->errors, &error);
}

static int verify_one(struct page_file *file, unsigned char *page, uint64_t offset)
{
    struct page_check *check = file->check;
    uint32_t block = (uint32_t)(offset / check->block_bytes) + file->segment * check->segment_blocks;
    enum page_state state = page_look(check, page, block);

    if (state != PAGE_GOOD && state != PAGE_ZERO && read_again(file, page, offset, block, &state) != 0)
        return -1;
    if (state == PAGE_ZERO)
        atomic_fetch_add(&check->zero_pages, 1);
    if (state == PAGE_GOOD || state == PAGE_ZERO)
        return 0;
    file->wrong_pages++;
    if (state == PAGE_CHECKSUM_WRONG) {
        int mended = is_mended_by_replay(check, page_lsn(page));
        if (mended < 0)
            return -1;
        if (mended) {
            atomic_fetch_add(&check->skipped_pages, 1);
            return 0;
        }
    }
    return report(file, page, block, state);
}

int page_file_verify(struct page_file *file, void *data, size_t length, uint64_t offset)
{
    unsigned char *bytes = data;
    size_t block_bytes = file->check->block_bytes;

    for (size_t done = 0; done + block_bytes <= length; done += block_bytes)
        if (verify_one(file, bytes + done, offset + done) != 0)
            return -1;
    /* The server may be extending the file at this moment; PostgreSQL itself passes over such an end. */
    if (length % block_bytes != 0)
        log_debug("could not verify the last page of file \"%s\": the file ends in the middle of it",
                  file->path);
    return 0;
}

bool page_check_quietly(const struct page_check *check, const void *data, size_t length, uint32_t block,
                        uint64_t *zero_pages)
{
    const unsigned char *bytes = data;

    for (size_t done = 0; done + check->block_bytes <= length; done += check->block_bytes) {
        enum page_state state = page_look(check, bytes + done, block++);
        if (state != PAGE_GOOD && state != PAGE_ZERO)
            return false;
        *zero_pages += state == PAGE_ZERO;
    }
    return true;
}

void page_file_end(struct page_file *file)
{
    if (file->bad_pages > LOGGED_MOST)
        log_error("%u more invalid pages in file \"%s\"", file->bad_pages - LOGGED_MOST, file->path);
}
