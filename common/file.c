#include "file.h"

#include "digest.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

static enum file_result read_open_file(int fd, const char *path, size_t limit_bytes, struct buffer *out)
{
    size_t total = 0;

    for (;;) {
        if (buffer_reserve(out, 65536) != 0)
            return FILE_FAILED;
        ssize_t got = read(fd, out->data + out->length, 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            log_error("could not read file \"%s\": %m", path);
            return FILE_FAILED;
        }
        if (got == 0)
            break;
        total += (size_t)got;
        if (total > limit_bytes) {
            log_error("file \"%s\" is longer than the %zu bytes that are sensible for it", path, limit_bytes);
            return FILE_FAILED;
        }
        out->length += (size_t)got;
    }
    out->data[out->length] = '\0';
    return FILE_OK;
}

#define OTHERS_MAY_NOTHING (S_IRWXO | S_IWGRP)
#define OTHERS_MAY_READ (S_IWOTH | S_IWGRP)

static enum file_result open_for_reading(const char *path, int *fd)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (*fd >= 0)
        return FILE_OK;
    if (errno == ENOENT)
        return FILE_ABSENT;
    log_error("could not open file \"%s\": %m", path);
    return FILE_FAILED;
}

enum file_result file_read_all(const char *path, size_t limit_bytes, struct buffer *out)
{
    int fd;
    enum file_result result = open_for_reading(path, &fd);

    if (result != FILE_OK)
        return result;
    result = read_open_file(fd, path, limit_bytes, out);
    close(fd);
    return result;
}

/* others: what the mode must not allow. */
static enum file_result check_private(int fd, const char *path, mode_t others)
{
    struct stat status;

    if (fstat(fd, &status) != 0) {
        log_error("could not stat file \"%s\": %m", path);
        return FILE_FAILED;
    }
    if (status.st_uid != 0 && status.st_uid != geteuid()) {
        log_error("file \"%s\" belongs to neither root nor the user that runs this program", path);
        if (geteuid() == 0) /* chown root, done in a hurry, would end the archiving */
            log_hint("Leave it with its owner, and run this program as the user that runs PostgreSQL, for "
                     "example with runuser -u postgres.");
        else
            log_hint("Give it to this user with chown, or to root if this user's group may read it.");
        return FILE_FAILED;
    }
    if ((status.st_mode & others) != 0) {
        log_error("file \"%s\" has mode %04o: %s", path, (unsigned)(status.st_mode & 07777),
                  others == OTHERS_MAY_READ ? "others or the group may write it"
                                            : "others may use it or the group may write it");
        if (others == OTHERS_MAY_READ)
            log_hint("What it says is done by this program: use chmod 0644 or 0600.");
        else
            log_hint("It may hold secrets; use chmod 0600, or 0640 with a group of its own.");
        return FILE_FAILED;
    }
    return FILE_OK;
}

static enum file_result read_checked(const char *path, size_t limit_bytes, mode_t others, struct buffer *out)
{
    int fd;
    enum file_result result = open_for_reading(path, &fd);

    if (result == FILE_FAILED && errno == EACCES)
        log_hint(
            "The user that runs this program, which is to be the one that runs PostgreSQL, must be able to "
            "read it and to search the directories above it: chown it to that user, with mode 0600.");
    if (result != FILE_OK)
        return result;
    result = check_private(fd, path, others);
    if (result == FILE_OK)
        result = read_open_file(fd, path, limit_bytes, out);
    close(fd);
    return result;
}

enum file_result file_read_private(const char *path, size_t limit_bytes, struct buffer *out)
{
    return read_checked(path, limit_bytes, OTHERS_MAY_NOTHING, out);
}

enum file_result file_read_owned(const char *path, size_t limit_bytes, struct buffer *out)
{
    return read_checked(path, limit_bytes, OTHERS_MAY_READ, out);
}

int file_write_fully(int fd, const void *data, size_t length)
{
    const char *next = data;

    while (length > 0) {
        ssize_t written = write(fd, next, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        next += written;
        length -= (size_t)written;
    }
    return 0;
}

int file_pwrite_fully(int fd, const void *data, size_t length, uint64_t offset)
{
    const char *next = data;

    while (length > 0) {
        ssize_t written = pwrite(fd, next, length, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        next += written;
        offset += (uint64_t)written;
        length -= (size_t)written;
    }
    return 0;
}

int file_pread_fully(int fd, void *data, size_t length, uint64_t offset)
{
    char *next = data;

    while (length > 0) {
        ssize_t got = pread(fd, next, length, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            if (got == 0)
                errno = 0;
            return -1;
        }
        next += got;
        offset += (uint64_t)got;
        length -= (size_t)got;
    }
    return 0;
}

int body_read(const struct body *body, uint64_t offset, void *out, size_t length)
{
    if (body->read_at != NULL)
        return body->read_at(body->context, offset, out, length);
    if (body->data != NULL) {
        memcpy(out, (const char *)body->data + offset, length);
    } else if (length > 0 && file_pread_fully(body->fd, out, length, offset) != 0) {
        log_error("could not read back a temporary file: %s",
                  errno != 0 ? strerror(errno) : "it became shorter");
        return -1;
    }
    return 0;
}

static int write_temporary(const char *path, const void *data, size_t length, mode_t mode)
{
    /* O_EXCL: a link that somebody laid in our way is not followed. */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

    if (fd < 0) {
        log_error("could not create file \"%s\": %m", path);
        return -1;
    }
    if (file_write_fully(fd, data, length) != 0 || fchmod(fd, mode) != 0 || fsync(fd) != 0) {
        log_error("could not write file \"%s\": %m", path);
        close(fd);
        unlink(path);
        return -1;
    }
    if (close(fd) != 0) {
        log_error("could not close file \"%s\": %m", path);
        unlink(path);
        return -1;
    }
    return 0;
}

int file_replace(const char *path, const void *data, size_t length, mode_t mode)
{
    unsigned char random[8];
    char random_hex[17];
    char *temporary = NULL, *directory = NULL;
    int result = -1;

    if (random_bytes(random, sizeof random) != 0)
        return -1;
    hex_encode(random, sizeof random, random_hex);
    directory = path_directory(path);
    if (directory != NULL) /* hidden, so that no listing takes it for the file */
        temporary = string_printf("%s/.%s.%s.walferry", directory, path_name(path), random_hex);
    if (temporary == NULL)
        goto done;
    if (write_temporary(temporary, data, length, mode) != 0)
        goto done;
    if (rename(temporary, path) != 0) {
        log_error("could not rename file \"%s\" to \"%s\": %m", temporary, path);
        unlink(temporary);
        goto done;
    }
    result = file_sync_directory(directory);
done:
    free(temporary);
    free(directory);
    return result;
}

static int open_hidden(struct file_new *file)
{
    unsigned char random[8];
    char hex[17];

    if (random_bytes(random, sizeof random) != 0)
        return -1;
    hex_encode(random, sizeof random, hex);
    file->temporary = string_printf("%s/.%s" FILE_TEMPORARY, file->directory, hex);
    if (file->temporary == NULL)
        return -1;
    file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file->fd >= 0)
        return 0;
    log_error("could not create file \"%s\": %m", file->temporary);
    free(file->temporary);
    file->temporary = NULL;
    return -1;
}

int file_new_open(const char *path, struct file_new *file)
{
    *file = (struct file_new){.path = path, .fd = -1, .directory = path_directory(path)};
    if (file->directory == NULL)
        return -1;
    file->fd = open(file->directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (file->fd >= 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
        log_error("could not create a file in \"%s\": %m", file->directory);
    else if (open_hidden(file) == 0)
        return 0;
    file_new_free(file);
    return -1;
}

int file_new_link(struct file_new *file)
{
    char descriptor[64];

    if (file->temporary == NULL) {
        snprintf(descriptor, sizeof descriptor, "/proc/self/fd/%d", file->fd);
        return linkat(AT_FDCWD, descriptor, AT_FDCWD, file->path, AT_SYMLINK_FOLLOW);
    }
    if (link(file->temporary, file->path) == 0)
        return 0;
    if (errno == EEXIST)
        return -1;
    if (renameat2(AT_FDCWD, file->temporary, AT_FDCWD, file->path, RENAME_NOREPLACE) != 0)
        return -1;
    free(file->temporary);
    file->temporary = NULL;
    return 0;
}

void file_new_free(struct file_new *file)
{
    if (file->fd >= 0)
        close(file->fd);
    if (file->temporary != NULL)
        unlink(file->temporary);
    free(file->temporary);
    free(file->directory);
    file->temporary = file->directory = NULL;
    file->fd = -1;
}

int file_sync_directory(const char *path)
{
    int fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        log_error("could not open directory \"%s\": %m", path);
        return -1;
    }
    if (fsync(fd) != 0) {
        log_error("could not fsync directory \"%s\": %m", path);
        close(fd);
        return -1;
    }
    close(fd);
    return 0;
}

static int make_directory(const char *path, mode_t mode)
{
    char *parent;
    int result;

    if (mkdir(path, mode) != 0) {
        if (errno == EEXIST)
            return 0;
        log_error("could not create directory \"%s\": %m", path);
        return -1;
    }
    parent = path_directory(path);
    result = parent == NULL ? -1 : file_sync_directory(parent);
    free(parent);
    return result;
}

int file_make_directories(const char *path, mode_t mode)
{
    struct stat status;
    int result = 0;
    char *copy;

    if (stat(path, &status) == 0) {
        if (S_ISDIR(status.st_mode))
            return 0;
        log_error("\"%s\" exists but is not a directory", path);
        return -1;
    }
    copy = string_copy(path);
    if (copy == NULL)
        return -1;
    for (char *slash = copy + 1; result == 0 && (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        result = make_directory(copy, mode);
        *slash = '/';
    }
    if (result == 0)
        result = make_directory(copy, mode);
    free(copy);
    return result;
}

int file_open_unnamed(const char *directory)
{
    bool is_chosen_here = directory == NULL;

    if (is_chosen_here)
        directory = getenv("TMPDIR");
    if (directory == NULL || *directory == '\0')
        directory = "/tmp";
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) { /* file systems without O_TMPFILE */
        char *path = string_printf("%s/walferry.XXXXXX", directory);
        if (path == NULL)
            return -1;
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0)
            unlink(path);
        free(path);
    }
    if (fd < 0) {
        log_error("could not create a temporary file in \"%s\": %m", directory);
        if (is_chosen_here)
            log_hint("Name another directory with the environment variable TMPDIR.");
    }
    return fd;
}

bool file_is_on_own_device(int fd)
{
    static const unsigned long known[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                          F2FS_SUPER_MAGIC, TMPFS_MAGIC};
    struct statfs status;

    if (fstatfs(fd, &status) != 0)
        return false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if ((unsigned long)status.f_type == known[i])
            return true;
    return false;
}

bool file_exists(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

char *path_join(const char *directory, const char *name)
{
    size_t length = strlen(directory);

    if (*name == '/')
        return string_copy(name);
    return string_printf("%s%s%s", directory, length > 0 && directory[length - 1] == '/' ? "" : "/", name);
}

char *path_escape_equals(const char *path)
{
    char *escaped = malloc(2 * strlen(path) + 1), *out = escaped;

    if (escaped == NULL) {
        log_out_of_memory();
        return NULL;
    }
    for (; *path != '\0'; *out++ = *path++)
        if (*path == '=')
            *out++ = '\\';
    *out = '\0';
    return escaped;
}

char *path_directory(const char *path)
{
    size_t length = strlen(path);

    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length > 0 && path[length - 1] != '/')
        length--;
    if (length == 0)
        return string_copy(".");
    while (length > 1 && path[length - 1] == '/')
        length--;
    return string_printf("%.*s", (int)length, path);
}

char *path_parent(const char *directory)
{
    return strcmp(directory, ".") == 0 ? string_copy("..") : path_directory(directory);
}

const char *path_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}
