/* Is a file still what an earlier backup stored of it? Read whole, by its SHA-256; never by time or size
 * alone. */
#ifndef WALFERRY_UNCHANGED_H
#define WALFERRY_UNCHANGED_H

#include "common/rate.h"
#include "page.h"
#include "tree.h"

/* One for each worker. */
struct unchanged;

/* Borrowed. pages: NULL: pages have no checksums. NULL after logging. */
struct unchanged *unchanged_new(const struct tree *tree, const struct page_check *pages, struct rate *rate);
void unchanged_free(struct unchanged *unchanged); /* NULL-safe */

/* The next line of the index, in its order; the pieces of a file follow each other. True: the file, or this
 * piece, is there, would be in a backup now, has the same mode, size and content, and no page of it looks
 * wrong. False: it is to be read anew, which will tell what is wrong; nothing is logged. */
bool unchanged_next(struct unchanged *unchanged, const struct tree_root *root,
                    const struct index_entry *entry);
/* Forgets a file of which not all pieces were asked for. */
void unchanged_reset(struct unchanged *unchanged);
/* How many all-zero pages were seen since the last call. */
uint64_t unchanged_zero_pages(struct unchanged *unchanged);

#endif
