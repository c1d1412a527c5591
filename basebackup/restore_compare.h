/* What of a part need not be fetched: files that are there and right already (--delta), and those of
 * databases that come without content (--database), which are made here. A worker has one comparer of its
 * own. */
#ifndef WALFERRY_RESTORE_COMPARE_H
#define WALFERRY_RESTORE_COMPARE_H

#include "restore_databases.h"
#include "restore_part.h"

struct comparer {
    const struct restore_places *places;
    const struct database_choice *choice;
    struct progress *progress;    /* may be NULL */
    struct restore_parent parent; /* RESTORE_PARENT_CLOSED at first, and after each part */
    uint64_t kept_files;
    uint64_t kept_bytes;
};

/* Marks files of the part as left out. In a delta restore what is in the way of the others is removed. 0, or
 * -1 after logging (without, when interrupt_requested). */
int compare_part(struct comparer *comparer, struct backup_part *part);

#endif
