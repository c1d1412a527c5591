/* Collects the wrong pages that the workers find, for the manifest and the report. */
#ifndef WALFERRY_PAGE_ERRORS_H
#define WALFERRY_PAGE_ERRORS_H

#include "common/backup.h"

struct page_errors;

struct page_errors *page_errors_new(void);         /* NULL after logging */
void page_errors_free(struct page_errors *errors); /* NULL-safe */

/* Beyond BACKUP_PAGE_ERRORS_MOST it is passed over. error->file is borrowed. Thread-safe. 0, or -1 after
 * logging. */
int page_errors_add(struct page_errors *errors, const struct backup_page_error *error);

/* Hands them over to the backup's list, by file and block. */
void page_errors_take(struct page_errors *errors, struct backup *backup);

#endif
