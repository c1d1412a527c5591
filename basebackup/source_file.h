/* Reads the server's files as if a backup were not there: what the page cache did not have before is dropped
 * when it has been read, what it had stays. So it cannot leave the kernel's own reading ahead on, and reads
 * ahead itself. Where the kernel does not tell what it has, nothing is dropped. */
#ifndef WALFERRY_SOURCE_FILE_H
#define WALFERRY_SOURCE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What is read at a time, and as much ahead. */
#define SOURCE_WINDOW_BYTES (1024u * 1024)

/* One for each worker. */
struct source_file;
struct source_file *source_file_new(void); /* NULL after logging */
void source_file_free(struct source_file *source);

/* The bytes from begin, a multiple of SOURCE_WINDOW_BYTES, up to end are to be read from fd, which is
 * borrowed until source_file_end. */
void source_file_begin(struct source_file *source, int fd, uint64_t begin, uint64_t end);
/* The next window, at most SOURCE_WINDOW_BYTES: how many bytes were read, fewer than are left in the window
 * only where the file ends before. -1 with errno set and nothing logged. */
ssize_t source_file_read(struct source_file *source, void *buffer);
void source_file_end(struct source_file *source);

#endif
