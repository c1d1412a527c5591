/* Whether there is room for a restore, asked before anything is written. */
#ifndef WALFERRY_RESTORE_SPACE_H
#define WALFERRY_RESTORE_SPACE_H

#include "restore_clean.h"

/* What a file of this size takes of a disk; is_sparse: one of zeros. */
void restore_space_add(struct restore_place *place, uint64_t bytes, bool is_sparse);

/* Are there as many bytes and files free, on each file system, as the places on it are to get? What is in
 * them already, and will be replaced or removed, counts as free. 0, or -1 after logging each that is too
 * small. */
int restore_space_check(const struct clean_settings *settings);

#endif
