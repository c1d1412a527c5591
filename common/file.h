/* Files and directories, written so that they survive a crash. Layer 0. */
#ifndef WALFERRY_FILE_H
#define WALFERRY_FILE_H

#include "buffer.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

enum file_result { FILE_OK = 0, FILE_ABSENT = 1, FILE_FAILED = -1 };

/* The whole of a small file, appended to *out. FILE_ABSENT for ENOENT (nothing logged); FILE_FAILED after
 * logging, also when it is longer than limit_bytes. */
enum file_result file_read_all(const char *path, size_t limit_bytes, struct buffer *out);

/* The same for files that hold secrets or settings: refused (with the reason) if others may read or write it,
 * the group may write it, or it belongs neither to root nor to the caller. The check is made on the open
 * file. */
enum file_result file_read_private(const char *path, size_t limit_bytes, struct buffer *out);

/* The same for files that others may read, but whose settings are not theirs to make. */
enum file_result file_read_owned(const char *path, size_t limit_bytes, struct buffer *out);

/* All bytes, through short writes and EINTR. 0, or -1 with errno set and nothing logged. */
int file_write_fully(int fd, const void *data, size_t length);
/* The same at offset. */
int file_pwrite_fully(int fd, const void *data, size_t length, uint64_t offset);
/* Exactly length bytes from offset; -1 with errno set (0 when the file ends early). */
int file_pread_fully(int fd, void *data, size_t length, uint64_t offset);

/* Exactly length bytes from offset of what is to be uploaded. 0, or -1 after logging. */
int body_read(const struct body *body, uint64_t offset, void *out, size_t length);

/* Replaces path with these bytes: temporary name beside it, fsync, rename, fsync of the directory.
 * 0, or -1 after logging; the old file is then untouched. */
int file_replace(const char *path, const void *data, size_t length, mode_t mode);

/* A new file, which gets its name only when it is whole: unnamed until then (O_TMPFILE), or, on file systems
 * without that, of a hidden name beside it that nobody guesses, which listings pass over. Mode 0600. */
#define FILE_TEMPORARY ".walferry-tmp" /* how the hidden name ends */
struct file_new {
    const char *path; /* its name to be; borrowed */
    char *directory;
    char *temporary; /* the hidden name; NULL */
    int fd;          /* to write to */
};
/* 0, or -1 after logging. file_new_free in the first case. */
int file_new_open(const char *path, struct file_new *file);
/* Gives it its name, if that is free: 0, or -1 with errno set and nothing logged. Neither it nor the
 * directory is synced. */
int file_new_link(struct file_new *file);
void file_new_free(struct file_new *file);

/* fsync of a directory. 0, or -1 after logging. */
int file_sync_directory(const char *path);
/* Like mkdir -p, each new directory synced into its parent. 0, or -1 after logging. */
int file_make_directories(const char *path, mode_t mode);
/* An unlinked, unnamed temporary file in directory (or in $TMPDIR or /tmp when NULL), closed on exec. Its
 * descriptor, or -1 after logging. */
int file_open_unnamed(const char *directory);

/* Is it on a file system that is known to write to a device of its own, which no other machine writes to? */
bool file_is_on_own_device(int fd);
/* True if path exists as anything at all (links not followed). */
bool file_exists(const char *path);
/* directory + "/" + name; caller frees; NULL after logging. An absolute name is returned as it is. */
char *path_join(const char *directory, const char *name);
/* As -T of basebackup-fetch wants it, with a backslash before each equals sign. Caller frees; NULL after
 * logging. */
char *path_escape_equals(const char *path);
/* What stands before the last slash ("." when there is none, "/" for the root); caller frees; NULL after
 * logging. */
char *path_directory(const char *path);
/* The directory above a directory, by its name alone: pg_wal may be a link to another disk. ".." for ".".
 * Caller frees. */
char *path_parent(const char *directory);
/* What stands behind the last slash; borrowed. */
const char *path_name(const char *path);

#endif
