#include "ahead_directory.h"

#include "common/buffer.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/log.h"
#include "common/pg_control.h"
#include "common/timestamp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "ahead-"
#define POSITION "position"
#define LOCK "lock"
#define PART ".part"
#define TEMPORARY ".walferry" /* hidden, and on its way to a name */
#define POSITION_MOST_BYTES 8192
#define SEGMENT_LENGTH (WAL_SEGMENT_NAME_BYTES - 1)

static bool is_ours(int fd, mode_t kind)
{
    struct stat status;

    return fstat(fd, &status) == 0 && (status.st_mode & S_IFMT) == kind && status.st_uid == geteuid();
}

static int open_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0 && !is_ours(fd, S_IFDIR)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* A stream of its own over the directory; NULL if that fails. */
static DIR *list(int directory)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (stream == NULL && fd >= 0)
        close(fd);
    return stream;
}

static int open_file(int directory, const char *name)
{
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0 && !is_ours(fd, S_IFREG)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The position */

static bool read_position(int directory, struct buffer *text)
{
    ssize_t length = -1;
    int fd = open_file(directory, POSITION);

    if (fd < 0)
        return false;
    if (buffer_reserve(text, POSITION_MOST_BYTES + 1) == 0)
        length = read(fd, text->data, POSITION_MOST_BYTES);
    close(fd);
    if (length <= SEGMENT_LENGTH)
        return false;
    text->length = (size_t)length;
    text->data[length] = '\0';
    return true;
}

bool ahead_position_read(int directory, char name[WAL_SEGMENT_NAME_BYTES])
{
    struct buffer text = BUFFER_EMPTY;
    bool read = read_position(directory, &text) && text.data[SEGMENT_LENGTH] == '\n';

    if (read) {
        memcpy(name, text.data, SEGMENT_LENGTH);
        name[SEGMENT_LENGTH] = '\0';
        read = wal_name_parse(name).kind == WAL_SEGMENT;
    }
    buffer_free(&text);
    return read;
}

bool ahead_position_write(int directory, const char *name, const struct ahead_owner *owner)
{
    static const char temporary[] = "." POSITION TEMPORARY;
    char *text = string_printf("%s\n%" PRId64 " %" PRId64 "\n%s\n", name, owner->postmaster_pid,
                               owner->postmaster_started, owner->data_directory);
    bool written = false;

    if (text == NULL)
        return false;
    int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        written = file_write_fully(fd, text, strlen(text)) == 0;
        written = close(fd) == 0 && written && renameat(directory, temporary, directory, POSITION) == 0;
    }
    if (!written) {
        log_debug("could not write the position of reading ahead: %m");
        unlinkat(directory, temporary, 0);
    }
    free(text);
    return written;
}

void ahead_position_forget(int directory)
{
    unlinkat(directory, POSITION, 0);
}

int ahead_lock(int directory)
{
    int fd = openat(directory, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Making and dropping */

/* Could this be the name of something that was made here? */
static bool is_known_name(const char *name)
{
    size_t length = strlen(name);

    if (strcmp(name, POSITION) == 0 || strcmp(name, LOCK) == 0)
        return true;
    if (*name == '.')
        return length > strlen(TEMPORARY) && strcmp(name + length - strlen(TEMPORARY), TEMPORARY) == 0;
    return length > SEGMENT_LENGTH && strspn(name, "0123456789ABCDEF") == SEGMENT_LENGTH;
}

void ahead_directory_drop(const char *state_directory, const char *name)
{
    char *path = path_join(state_directory, name);
    int directory = path == NULL ? -1 : open_directory(path),
        lock = directory < 0 ? -1 : ahead_lock(directory);
    DIR *stream = lock < 0 ? NULL : list(directory);

    if (stream != NULL) {
        for (struct dirent *item; (item = readdir(stream)) != NULL;)
            if (is_known_name(item->d_name))
                unlinkat(directory, item->d_name, 0);
        closedir(stream);
        if (rmdir(path) != 0)
            log_debug("could not remove directory \"%s\": %m", path);
    }
    if (lock >= 0)
        close(lock);
    if (directory >= 0)
        close(directory);
    free(path);
}

/* Does the server run whose recovery this directory belongs to? What cannot be told counts as no. */
static bool owner_lives(const char *path)
{
    struct buffer text = BUFFER_EMPTY;
    int64_t pid, started, running_pid, running_started;
    int directory = open_directory(path), at = 0;
    bool lives = false;

    if (directory >= 0 && read_position(directory, &text) &&
        sscanf(buffer_string(&text), "%*s %" SCNd64 " %" SCNd64 " %n", &pid, &started, &at) == 2 && at > 0) {
        char *data_directory = (char *)text.data + at;
        data_directory[strcspn(data_directory, "\n")] = '\0';
        lives = postmaster_read(data_directory, &running_pid, &running_started) && running_pid == pid &&
                running_started == started && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
    }
    if (directory >= 0)
        close(directory);
    buffer_free(&text);
    return lives;
}

/* What an earlier recovery left behind that was killed together with its helper. */
static void drop_leftovers(const char *state_directory, const char *own)
{
    DIR *stream = opendir(state_directory);

    if (stream == NULL)
        return;
    for (struct dirent *item; (item = readdir(stream)) != NULL;) {
        if (strncmp(item->d_name, PREFIX, strlen(PREFIX)) != 0 || strcmp(item->d_name, own) == 0)
            continue;
        char *path = path_join(state_directory, item->d_name);
        if (path != NULL && !owner_lives(path))
            ahead_directory_drop(state_directory, item->d_name);
        free(path);
    }
    closedir(stream);
}

int ahead_directory_open(const char *state_directory, const char *name, bool make)
{
    char *path = path_join(state_directory, name);
    int directory = path == NULL ? -1 : open_directory(path);

    if (directory < 0 && path != NULL && make) {
        if (mkdir(path, 0700) == 0)
            drop_leftovers(state_directory, name);
        directory = open_directory(path);
        if (directory < 0)
            log_debug("could not make directory \"%s\": %m; nothing is read ahead", path);
    }
    free(path);
    return directory;
}

/* Segments */

/* NAME-<32 hex>? */
static bool parse_file_name(const char *name, struct ahead_file *file)
{
    if (strlen(name) >= sizeof file->name || strlen(name) != SEGMENT_LENGTH + 1 + CHECKSUM_HEX_BYTES - 1 ||
        name[SEGMENT_LENGTH] != '-' || !hex_decode(name + SEGMENT_LENGTH + 1, file->checksum, CHECKSUM_BYTES))
        return false;
    memcpy(file->name, name, strlen(name) + 1);
    return true;
}

bool ahead_file_find(int directory, const char *segment, struct ahead_file *file)
{
    DIR *stream = list(directory);
    bool found = false;

    if (stream == NULL)
        return false;
    for (struct dirent *item; !found && (item = readdir(stream)) != NULL;)
        found = strncmp(item->d_name, segment, SEGMENT_LENGTH) == 0 && parse_file_name(item->d_name, file);
    closedir(stream);
    return found;
}

static bool is_between(const char *name, uint32_t segment_bytes, uint32_t timeline, uint64_t least,
                       uint64_t most)
{
    char segment[WAL_SEGMENT_NAME_BYTES];
    uint64_t number;

    snprintf(segment, sizeof segment, "%.24s", name);
    struct wal_name parsed = wal_name_parse(segment);
    return parsed.kind == WAL_SEGMENT && parsed.timeline == timeline &&
           wal_segment_number(&parsed, segment_bytes, &number) && number >= least && number <= most;
}

void ahead_file_keep(int directory, uint32_t segment_bytes, uint32_t timeline, uint64_t least, uint64_t most)
{
    struct ahead_file file;
    DIR *stream = list(directory);

    if (stream == NULL)
        return;
    for (struct dirent *item; (item = readdir(stream)) != NULL;)
        if (parse_file_name(item->d_name, &file) &&
            !is_between(item->d_name, segment_bytes, timeline, least, most))
            unlinkat(directory, item->d_name, 0);
    closedir(stream);
}

/* Segments that are being fetched */

static void part_name(const char *segment, char out[AHEAD_FILE_NAME_BYTES])
{
    snprintf(out, AHEAD_FILE_NAME_BYTES, "%s" PART, segment);
}

/* Locked before it has its name: whoever sees the name sees the lock. */
static int begin_part(int directory, const char *temporary, const char *part)
{
    unlinkat(directory, temporary, 0);
    int fd = openat(directory, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd >= 0 &&
        (flock(fd, LOCK_EX | LOCK_NB) != 0 || linkat(directory, temporary, directory, part, 0) != 0)) {
        int reason = errno;
        close(fd);
        fd = -1;
        errno = reason;
    }
    int reason = errno;
    unlinkat(directory, temporary, 0);
    errno = reason;
    return fd;
}

int ahead_part_begin(int directory, const char *segment, bool *is_taken)
{
    char temporary[AHEAD_FILE_NAME_BYTES], part[AHEAD_FILE_NAME_BYTES];

    snprintf(temporary, sizeof temporary, ".%s.%ld" TEMPORARY, segment, (long)getpid());
    part_name(segment, part);
    *is_taken = false;
    for (int attempt = 0; attempt < 2; attempt++) {
        int fd = begin_part(directory, temporary, part);
        if (fd >= 0)
            return fd;
        if (errno != EEXIST) {
            log_debug("could not create \"%s\" for reading ahead: %m", part);
            return -1;
        }
        if (ahead_part_wait(directory, segment, 0) == AHEAD_LATE)
            break; /* else it was abandoned, or is just gone */
    }
    *is_taken = true;
    return -1;
}

bool ahead_part_finish(int directory, const char *segment, const unsigned char checksum[CHECKSUM_BYTES])
{
    char part[AHEAD_FILE_NAME_BYTES], whole[AHEAD_FILE_NAME_BYTES], hex[CHECKSUM_HEX_BYTES];

    part_name(segment, part);
    hex_encode(checksum, CHECKSUM_BYTES, hex);
    snprintf(whole, sizeof whole, "%s-%s", segment, hex);
    if (renameat(directory, part, directory, whole) == 0)
        return true;
    unlinkat(directory, part, 0);
    return false;
}

void ahead_part_give_up(int directory, const char *segment)
{
    char part[AHEAD_FILE_NAME_BYTES];

    part_name(segment, part);
    unlinkat(directory, part, 0);
}

/* Its helper was killed. */
static void remove_abandoned(int directory, int fd, const char *part)
{
    struct stat by_fd, by_name;

    if (fstat(fd, &by_fd) == 0 && fstatat(directory, part, &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
        by_fd.st_ino == by_name.st_ino && by_fd.st_dev == by_name.st_dev)
        unlinkat(directory, part, 0);
}

enum ahead_wait ahead_part_wait(int directory, const char *segment, int64_t deadline)
{
    const struct timespec pause = {0, 2 * 1000 * 1000};
    char part[AHEAD_FILE_NAME_BYTES];
    enum ahead_wait result = AHEAD_AGAIN;

    part_name(segment, part);
    int fd = open_file(directory, part);
    if (fd < 0)
        return AHEAD_NONE;
    while (flock(fd, LOCK_SH | LOCK_NB) != 0) {
        if (monotonic_now() >= deadline) {
            result = AHEAD_LATE;
            break;
        }
        nanosleep(&pause, NULL);
    }
    if (result == AHEAD_AGAIN)
        remove_abandoned(directory, fd, part);
    close(fd);
    return result;
}
