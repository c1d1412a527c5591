/* A set of paths in an unlinked file, so that memory does not grow with it: their SHA-256, in a hash table
 * with open addressing. */
#ifndef WALFERRY_PATH_SET_H
#define WALFERRY_PATH_SET_H

#include <stdint.h>

struct path_set;

/* directory: for the file; NULL: $TMPDIR or /tmp. most: how many paths there can be. NULL after logging. */
struct path_set *path_set_new(const char *directory, uint64_t most);
void path_set_free(struct path_set *set); /* NULL-safe */

/* Thread-safe. 0, or -1 after logging. */
int path_set_add(struct path_set *set, const char *path);
/* Not while others add. 1: it is in the set; 0: it is not; -1 after logging. */
int path_set_has(const struct path_set *set, const char *path);

#endif
