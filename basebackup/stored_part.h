/* Is a stored part still right? Read back whole, decompressed, and held against its lines in the index: every
 * file by its SHA-256. */
#ifndef WALFERRY_STORED_PART_H
#define WALFERRY_STORED_PART_H

#include "restore_part.h"

#include "common/store.h"

/* part: of files only, without directories. 1: it is; 0: it is damaged, and nothing is logged; -1 after
 * logging (without, when interrupt_requested): that could not be found out. */
int stored_part_check(struct store *store, const char *key, const struct restore_part *part);

#endif
