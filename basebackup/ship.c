#include "ship.h"

#include "common/file.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Also the size up to which a file is read whole before its header is written. A multiple of every block
 * size. */
#define BUFFER_BYTES (1024u * 1024)

struct ship {
    struct ship_settings settings;
    struct sha256 hash;
    unsigned char *buffer;
};

void ship_owner_of(const struct stat *status, struct ship_owner *owner)
{
    const struct passwd *user = getpwuid(status->st_uid);
    const struct group *group = getgrgid(status->st_gid);

    memset(owner, 0, sizeof *owner);
    owner->user = status->st_uid;
    owner->group = status->st_gid;
    snprintf(owner->user_name, sizeof owner->user_name, "%s", user == NULL ? "" : user->pw_name);
    snprintf(owner->group_name, sizeof owner->group_name, "%s", group == NULL ? "" : group->gr_name);
}

struct ship *ship_new(const struct ship_settings *settings)
{
    struct ship *ship = calloc(1, sizeof *ship);

    if (ship != NULL) {
        ship->settings = *settings;
        ship->buffer = malloc(BUFFER_BYTES);
    }
    if (ship == NULL || ship->buffer == NULL) {
        log_out_of_memory();
        ship_free(ship);
        return NULL;
    }
    return ship;
}

void ship_free(struct ship *ship)
{
    if (ship == NULL)
        return;
    sha256_free(&ship->hash);
    free(ship->buffer);
    free(ship);
}

/* A file on its way. */
struct passage {
    struct ship *ship;
    const struct ship_file *file;
    struct page_file pages;
    bool has_pages;
    int fd;
    struct stat status;
    bool at_end; /* the file turned out to end before its size */
};

static void fill_member(const struct ship *ship, const char *path, unsigned mode, uint64_t bytes,
                        int64_t modified_seconds, struct tar_member *member)
{
    const struct ship_owner *owner = ship->settings.owner;

    *member = (struct tar_member){
        .path = path,
        .mode = mode,
        .bytes = bytes,
        .modified_seconds = modified_seconds,
        .user = owner->user,
        .group = owner->group,
        .user_name = owner->user_name,
        .group_name = owner->group_name,
    };
}

static int end_member(struct ship *ship, const char *index_path, const struct tar_member *member)
{
    struct index_entry entry = {
        .line = INDEX_FILE,
        .mode = member->mode,
        .bytes = member->bytes,
        .modified = member->modified_seconds * 1000000,
    };
    int result;

    entry.path = string_copy(index_path);
    if (entry.path == NULL)
        return -1;
    sha256_finish(&ship->hash, entry.sha256);
    result = part_member_end(ship->settings.parts, &entry);
    index_entry_free(&entry);
    return result;
}

static int write_content(struct ship *ship, const void *data, size_t length)
{
    sha256_update(&ship->hash, data, length);
    return part_member_write(ship->settings.parts, data, length);
}

/* Reads up to length bytes, fewer only at the end of the file. -1 after logging. */
static ssize_t read_chunk(struct passage *passage, size_t length, uint64_t offset)
{
    unsigned char *buffer = passage->ship->buffer;
    size_t done = 0;

    while (done < length) {
        ssize_t got = pread(passage->fd, buffer + done, length - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            log_error("could not read file \"%s\": %m", passage->file->index_path);
            return -1;
        }
        if (got == 0)
            break;
        done += (size_t)got;
    }
    progress_add(passage->ship->settings.progress, done);
    return (ssize_t)done;
}

static int verify(struct passage *passage, size_t length, uint64_t offset)
{
    if (!passage->has_pages || length == 0)
        return 0;
    return page_file_verify(&passage->pages, passage->ship->buffer, length, offset);
}

/* Opens the member once its size is known. */
static int begin_file(struct passage *passage, uint64_t bytes, struct tar_member *member)
{
    struct ship *ship = passage->ship;

    fill_member(ship, passage->file->member_path, passage->status.st_mode & 07777, bytes,
                passage->status.st_mtime, member);
    if (part_writer_prepare(ship->settings.parts, passage->file->series, bytes) != 0 ||
        sha256_begin(&ship->hash) != 0)
        return -1;
    return part_member_begin(ship->settings.parts, member);
}

/* Read whole before anything is written, so the header has its true size. */
static int ship_small(struct passage *passage)
{
    struct ship *ship = passage->ship;
    struct tar_member member;
    ssize_t length = read_chunk(passage, BUFFER_BYTES, 0);

    if (length < 0 || verify(passage, (size_t)length, 0) != 0 ||
        begin_file(passage, (uint64_t)length, &member) != 0 ||
        write_content(ship, ship->buffer, (size_t)length) != 0)
        return -1;
    return end_member(ship, passage->file->index_path, &member);
}

/* One buffer of a large file: what is there, verified, then zeros where it has shrunk. */
static int ship_chunk(struct passage *passage, size_t length, uint64_t offset)
{
    ssize_t got = passage->at_end ? 0 : read_chunk(passage, length, offset);

    if (got < 0 || verify(passage, (size_t)got, offset) != 0)
        return -1;
    if ((size_t)got < length) {
        passage->at_end = true;
        memset(passage->ship->buffer + got, 0, length - (size_t)got);
    }
    return write_content(passage->ship, passage->ship->buffer, length);
}

static int ship_large(struct passage *passage)
{
    uint64_t bytes = (uint64_t)passage->status.st_size;
    struct tar_member member;

    if (begin_file(passage, bytes, &member) != 0)
        return -1;
    for (uint64_t done = 0; done < bytes;) {
        size_t length = bytes - done < BUFFER_BYTES ? (size_t)(bytes - done) : BUFFER_BYTES;
        if (interrupt_requested() || ship_chunk(passage, length, done) != 0)
            return -1;
        done += length;
    }
    return end_member(passage->ship, passage->file->index_path, &member);
}

static enum ship_result ship_open_file(struct passage *passage)
{
    const struct ship_file *file = passage->file;
    struct page_check *check = passage->ship->settings.pages;

    if (fstat(passage->fd, &passage->status) != 0) {
        log_error("could not stat file \"%s\": %m", file->index_path);
        return SHIP_FAILED;
    }
    if (!S_ISREG(passage->status.st_mode))
        return SHIP_GONE;
    passage->has_pages = file->has_pages && check != NULL;
    passage->pages = (struct page_file){
        .check = check, .fd = passage->fd, .path = file->index_path, .segment = file->segment};
    int result = passage->status.st_size <= (off_t)BUFFER_BYTES ? ship_small(passage) : ship_large(passage);
    page_file_end(&passage->pages);
    return result == 0 ? SHIP_DONE : SHIP_FAILED;
}

enum ship_result ship_file(struct ship *ship, const struct ship_file *file)
{
    struct passage passage = {.ship = ship, .file = file};
    enum ship_result result;

    /* O_NONBLOCK: should a pipe have taken the file's place, it is not waited for. */
    passage.fd = openat(file->directory_fd, file->path,
                        O_RDONLY | O_NONBLOCK | O_CLOEXEC | (file->follows_links ? 0 : O_NOFOLLOW));
    if (passage.fd < 0) {
        if (errno == ENOENT || errno == ELOOP)
            return SHIP_GONE;
        log_error("could not open file \"%s\": %m", file->index_path);
        if (errno == EACCES)
            log_hint("Run basebackup-push as the user that the server runs as, or as one of its group where "
                     "initdb -g was "
                     "used.");
        return SHIP_FAILED;
    }
    result = ship_open_file(&passage);
    close(passage.fd);
    return result;
}

int ship_directory(struct ship *ship, struct part_series *series, const char *path, unsigned mode)
{
    struct tar_member member;

    fill_member(ship, path, mode, 0, timestamp_now() / 1000000, &member);
    member.is_directory = true;
    if (part_writer_prepare(ship->settings.parts, series, 0) != 0 ||
        part_member_begin(ship->settings.parts, &member) != 0)
        return -1;
    return part_member_end(ship->settings.parts, NULL);
}

static int write_from_fd(struct ship *ship, const struct ship_content *content)
{
    for (uint64_t done = 0; done < content->bytes;) {
        uint64_t left = content->bytes - done;
        size_t length = left < BUFFER_BYTES ? (size_t)left : BUFFER_BYTES;
        if (file_pread_fully(content->fd, ship->buffer, length, done) != 0) {
            log_error("could not read the temporary file of \"%s\": %m", content->path);
            return -1;
        }
        if (write_content(ship, ship->buffer, length) != 0)
            return -1;
        done += length;
    }
    return 0;
}

int ship_content(struct ship *ship, const struct ship_content *content)
{
    struct tar_member member;

    fill_member(ship, content->path, content->mode, content->bytes, content->modified_seconds, &member);
    if (part_writer_prepare(ship->settings.parts, content->series, content->bytes) != 0 ||
        sha256_begin(&ship->hash) != 0 || part_member_begin(ship->settings.parts, &member) != 0)
        return -1;
    if (content->data == NULL ? write_from_fd(ship, content) != 0
                              : write_content(ship, content->data, (size_t)content->bytes) != 0)
        return -1;
    return end_member(ship, content->path, &member);
}
