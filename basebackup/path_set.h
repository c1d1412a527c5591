/* A set of paths, for any number of them: what is kept of each is a checksum of 16 bytes, in an unlinked file
 * that is mapped, so that a million take 32 MiB of a file and no memory that could not be had otherwise. */
#ifndef WALFERRY_PATH_SET_H
#define WALFERRY_PATH_SET_H

#include <stdbool.h>
#include <stdint.h>

struct path_set;

/* A path is in the set with what is to be known of it: a file's size, or one of these. */
#define PATH_SET_DIRECTORY UINT64_MAX
#define PATH_SET_NAME (UINT64_MAX - 1) /* a file of any size */

/* directory: for the file; NULL: $TMPDIR or /tmp. NULL after logging. */
struct path_set *path_set_new(const char *directory);
void path_set_free(struct path_set *set); /* NULL-safe */

/* Both thread-safe. */
/* *is_new: it was not in the set before; may be NULL. 0, or -1 after logging. */
int path_set_add(struct path_set *set, const char *path, uint64_t what, bool *is_new);
bool path_set_has(struct path_set *set, const char *path, uint64_t what);

#endif
