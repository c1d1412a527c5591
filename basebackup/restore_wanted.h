/* The paths that a backup has, to be asked for one by one, for any number of files: what is kept of each is a
 * checksum of 16 bytes, in an unlinked file that is mapped, so that a million of them take 32 MiB of a file
 * and no memory that could not be had otherwise. */
#ifndef WALFERRY_RESTORE_WANTED_H
#define WALFERRY_RESTORE_WANTED_H

#include <stdbool.h>
#include <stdint.h>

struct wanted;

struct wanted *wanted_new(void); /* NULL after logging */
void wanted_free(struct wanted *wanted);

/* A file is another one if its size is another. path is relative to the data directory, a tablespace's is
 * pg_tblspc/<oid>/... 0, or -1 after logging. */
int wanted_add_file(struct wanted *wanted, const char *path, uint64_t bytes);
int wanted_add_directory(struct wanted *wanted, const char *path);

bool wanted_has_file(const struct wanted *wanted, const char *path, uint64_t bytes);
bool wanted_has_directory(const struct wanted *wanted, const char *path);

#endif
