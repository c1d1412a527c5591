/* Large files, open, of which workers take pieces: so one huge file keeps all of them busy. Thread-safe. */
#ifndef WALFERRY_SPLIT_H
#define WALFERRY_SPLIT_H

#include "ship.h"

struct splits;

/* piece_bytes: a multiple of SOURCE_WINDOW_BYTES. catalog is borrowed. NULL after logging. */
struct splits *splits_new(struct catalog *catalog, uint64_t piece_bytes);
void splits_free(struct splits *splits); /* NULL-safe */

/* A worker looks for a file, and has offered what it found: in between another one can't know yet that there
 * is nothing left to do. */
void splits_begin_search(struct splits *splits);
void splits_end_search(struct splits *splits);

/* 1: the file is large; it is handed out in pieces from now on, opened belongs to the splits, of file copies
 * were made. 0: it is to be shipped whole. -1 after logging. */
int splits_offer(struct splits *splits, const struct ship_file *file, const struct ship_opened *opened);

/* The next piece of what was offered first. With may_wait: waits for others that search. False: there is
 * none.
 */
bool splits_take(struct splits *splits, bool may_wait, struct ship_piece *piece);
/* The worker is done with it, for better or worse. */
void splits_release(struct splits *splits, const struct ship_piece *piece);

#endif
