/* Checksums of pages, on a page of a real server (PostgreSQL 15, pg_class, block 3: checksum 1026, LSN
 * 0/159B398), and what is made of pages that are wrong, torn, empty or cut off. */
#include "unit.h"

#include "basebackup/page.h"
#include "common/pg_control.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 8192
#define PAGE_LSN 0x159B398

static unsigned char golden[PAGE];
static uint64_t server_lsn; /* what the server answers; 0: it does not */
static unsigned asked;

static int answer(void *context, uint64_t *lsn)
{
    (void)context;
    asked++;
    *lsn = server_lsn;
    return server_lsn == 0 ? -1 : 0;
}

/* A file that begins with these pages. */
static int file_of(const void *data, size_t length)
{
    char name[] = "/tmp/walferry-test-page.XXXXXX";
    int fd = mkstemp(name);

    unlink(name);
    if (write(fd, data, length) != (ssize_t)length)
        return -1;
    return fd;
}

static struct page_check check_from(uint64_t start_lsn)
{
    struct page_check check = {
        .block_bytes = PAGE, .segment_blocks = 131072, .start_lsn = start_lsn, .insert_lsn = answer};

    asked = 0;
    return check;
}

static void test_checksum(void)
{
    unsigned char zero[PAGE] = {0};

    CHECK(pg_page_checksum(golden, PAGE, 3) == 1026);
    CHECK(pg_page_checksum(golden, PAGE, 4) != 1026);
    golden[PAGE - 1] ^= 1;
    CHECK(pg_page_checksum(golden, PAGE, 3) != 1026);
    golden[PAGE - 1] ^= 1;
    golden[8] ^= 0xff; /* the stored checksum does not count */
    CHECK(pg_page_checksum(golden, PAGE, 3) == 1026);
    golden[8] ^= 0xff;
    CHECK(pg_page_checksum(zero, PAGE, 0) != 0); /* never 0 */
}

/* Block 3 of the relation is block 3 of its first file. */
static int verify(struct page_check *check, unsigned char *page, int fd, uint32_t segment)
{
    struct page_file file = {.check = check, .fd = fd, .path = "base/5/1259", .segment = segment};
    int result = page_file_verify(&file, page, PAGE, 3 * PAGE);

    page_file_end(&file);
    return result;
}

static int file_with(const unsigned char *page)
{
    static unsigned char pages[4 * PAGE];

    memcpy(pages + 3 * PAGE, page, PAGE);
    return file_of(pages, sizeof pages);
}

static void test_good(void)
{
    struct page_check check = check_from(PAGE_LSN + 1);
    int fd = file_with(golden);

    CHECK(verify(&check, golden, fd, 0) == 0);
    CHECK(check.bad_pages == 0 && check.zero_pages == 0 && check.skipped_pages == 0 && asked == 0);
    /* The same page in the relation's second file lies in the wrong place. */
    CHECK(verify(&check, golden, fd, 1) == 0);
    CHECK(check.bad_pages == 1);
    close(fd);
}

static void test_wrong(void)
{
    struct page_check check = check_from(PAGE_LSN + 1);
    unsigned char page[PAGE];

    memcpy(page, golden, PAGE);
    page[4000] ^= 1;
    int fd = file_with(page);
    CHECK(verify(&check, page, fd, 0) == 0);
    CHECK(check.bad_pages == 1 && check.skipped_pages == 0 && asked == 0);

    /* Changed since the backup began: WAL replay brings it. */
    check = check_from(PAGE_LSN);
    server_lsn = PAGE_LSN;
    CHECK(verify(&check, page, fd, 0) == 0);
    CHECK(check.bad_pages == 0 && check.skipped_pages == 1 && asked == 1);
    CHECK(verify(&check, page, fd, 0) == 0); /* the server is not asked again for what is known */
    CHECK(check.skipped_pages == 2 && asked == 1);

    /* An LSN that the server has not reached is damage. */
    check = check_from(PAGE_LSN - 1);
    server_lsn = PAGE_LSN - 1;
    CHECK(verify(&check, page, fd, 0) == 0);
    CHECK(check.bad_pages == 1 && check.skipped_pages == 0 && asked == 1);

    check = check_from(PAGE_LSN);
    server_lsn = 0;
    CHECK(verify(&check, page, fd, 0) == -1);
    close(fd);
}

/* Read while it was being written: half of it is another page's. */
static void test_torn(void)
{
    struct page_check check = check_from(PAGE_LSN + 1);
    unsigned char page[PAGE];
    int fd = file_with(golden);

    memcpy(page, golden, PAGE);
    memset(page + PAGE / 2, 0x55, PAGE / 2);
    CHECK(verify(&check, page, fd, 0) == 0);
    CHECK(check.bad_pages == 0 && memcmp(page, golden, PAGE) == 0);

    /* Cut off meanwhile: zeros, as the rest of a file that shrank. */
    page[100] ^= 1;
    CHECK(ftruncate(fd, 2 * PAGE) == 0);
    CHECK(verify(&check, page, fd, 0) == 0);
    CHECK(check.bad_pages == 0 && check.zero_pages == 1 && page[100] == 0);
    close(fd);
}

static void test_empty(void)
{
    struct page_check check = check_from(PAGE_LSN + 1);
    unsigned char page[PAGE] = {0};
    int fd = file_with(page);

    CHECK(verify(&check, page, fd, 0) == 0);
    CHECK(check.zero_pages == 1 && check.bad_pages == 0);
    close(fd);
    page[PAGE - 1] = 1; /* pd_upper is 0, but something is there */
    fd = file_with(page);
    CHECK(verify(&check, page, fd, 0) == 0);
    CHECK(check.zero_pages == 1 && check.bad_pages == 1);
    close(fd);
}

/* Pages of one read, the last one incomplete. */
static void test_several(void)
{
    struct page_check check = check_from(PAGE_LSN + 1);
    static unsigned char pages[12 * PAGE + 100];
    struct page_file file = {.check = &check, .path = "base/5/1259"};

    for (size_t i = 0; i < 12; i++)
        memcpy(pages + i * PAGE, golden, PAGE);
    file.fd = file_of(pages, sizeof pages);
    CHECK(page_file_verify(&file, pages, sizeof pages, 0) == 0);
    CHECK(check.bad_pages == 11 && file.bad_pages == 11); /* all but block 3 */
    page_file_end(&file);
    close(file.fd);
}

/* The list for the manifest: by file and block, whoever came first, and no longer than it may be. */
static void test_list(void)
{
    struct page_check check = check_from(PAGE_LSN + 1);
    struct backup backup;
    unsigned char page[PAGE];
    struct page_file file = {.check = &check, .path = "base/5/2", .fd = -1, .wrong_pages = 100};

    backup_init(&backup);
    check.errors = page_errors_new();
    REQUIRE(check.errors != NULL);
    memcpy(page, golden, PAGE);
    file.fd = file_of(page, PAGE);
    CHECK(page_file_verify(&file, page, PAGE, 0) == 0);
    for (uint32_t i = 0; i < BACKUP_PAGE_ERRORS_MOST + 10; i++)
        CHECK(page_errors_add(check.errors, &(struct backup_page_error){.file = (char *)"base/5/1",
                                                                        .block = 5000 - i}) == 0);
    page_errors_take(check.errors, &backup);
    page_errors_free(check.errors);
    CHECK(backup.page_error_list_count == BACKUP_PAGE_ERRORS_MOST);
    for (size_t i = 0; i + 2 < backup.page_error_list_count; i++)
        CHECK(backup.page_error_list[i].block + 1 == backup.page_error_list[i + 1].block);
    const struct backup_page_error *last = &backup.page_error_list[backup.page_error_list_count - 1];
    CHECK_TEXT(last->file, "base/5/2");
    CHECK(last->block == 0 && last->has_checksums && last->found == 1026);
    CHECK(last->expected == pg_page_checksum(golden, PAGE, 0) && check.bad_pages == 1);
    close(file.fd);
    backup_free(&backup);
}

int main(int argc, char **argv)
{
    FILE *file = fopen(argc > 1 ? argv[1] : "tests/data/page-15", "rb");

    CHECK(file != NULL && fread(golden, 1, PAGE, file) == PAGE);
    if (file != NULL)
        fclose(file);
    test_checksum();
    test_good();
    test_wrong();
    test_torn();
    test_empty();
    test_several();
    test_list();
    return unit_done("test_page");
}
