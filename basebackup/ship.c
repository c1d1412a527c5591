#include "ship.h"

#include "common/crc32c.h"
#include "common/file.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "source_file.h"

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
#define BUFFER_BYTES SOURCE_WINDOW_BYTES

struct ship {
    struct ship_settings settings;
    struct source_file *source;
    struct sha256 hash;
    uint32_t crc32c; /* of a piece */
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
        ship->source = source_file_new();
        ship->buffer = malloc(BUFFER_BYTES);
    }
    if (ship != NULL && ship->source != NULL && ship->buffer != NULL)
        return ship;
    log_out_of_memory();
    ship_free(ship);
    return NULL;
}

void ship_free(struct ship *ship)
{
    if (ship == NULL)
        return;
    source_file_free(ship->source);
    sha256_free(&ship->hash);
    free(ship->buffer);
    free(ship);
}

/* A file on its way, or a piece of it. */
struct passage {
    struct ship *ship;
    const struct ship_file *file;
    const struct ship_opened *opened;
    struct page_file pages;
    bool has_pages;
    bool is_piece;
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
        .path = (char *)index_path, /* only read */
        .mode = member->mode,
        .bytes = member->bytes,
        .modified = member->modified_seconds * 1000000,
    };

    sha256_finish(&ship->hash, entry.sha256);
    return part_member_end(ship->settings.parts, &entry);
}

static int write_content(struct ship *ship, const void *data, size_t length)
{
    sha256_update(&ship->hash, data, length);
    return part_member_write(ship->settings.parts, data, length);
}

/* The next window, fewer bytes only at the end of the file. -1 after logging. */
static ssize_t read_window(struct passage *passage)
{
    struct ship *ship = passage->ship;
    ssize_t got = source_file_read(ship->source, ship->buffer);

    if (got < 0) {
        log_error("could not read file \"%s\": %m", passage->file->index_path);
        return -1;
    }
    progress_add(ship->settings.progress, (uint64_t)got);
    rate_take(ship->settings.rate, (uint64_t)got);
    return got;
}

static int verify(struct passage *passage, size_t length, uint64_t offset)
{
    if (!passage->has_pages || length == 0)
        return 0;
    return page_file_verify(&passage->pages, passage->ship->buffer, length, offset);
}

/* The tar's view of the file, of so many bytes. */
static void fill_file_member(const struct passage *passage, uint64_t bytes, struct tar_member *member)
{
    const struct stat *status = &passage->opened->status;

    fill_member(passage->ship, passage->file->member_path, status->st_mode & 07777, bytes, status->st_mtime,
                member);
}

/* Opens the member once its size is known. */
static int begin_file(struct passage *passage, uint64_t bytes, struct tar_member *member)
{
    struct ship *ship = passage->ship;

    fill_file_member(passage, bytes, member);
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
    ssize_t length = read_window(passage);

    if (length < 0 || verify(passage, (size_t)length, 0) != 0 ||
        begin_file(passage, (uint64_t)length, &member) != 0 ||
        write_content(ship, ship->buffer, (size_t)length) != 0)
        return -1;
    return end_member(ship, passage->file->index_path, &member);
}

/* One buffer of a large file: what is there, verified, then zeros where it has shrunk. */
static int ship_window(struct passage *passage, size_t length, uint64_t offset)
{
    struct ship *ship = passage->ship;
    ssize_t got = passage->at_end ? 0 : read_window(passage);

    if (got < 0 || verify(passage, (size_t)got, offset) != 0)
        return -1;
    if ((size_t)got < length) {
        passage->at_end = true;
        memset(ship->buffer + got, 0, length - (size_t)got);
    }
    if (passage->is_piece)
        ship->crc32c = crc32c_extend(ship->crc32c, ship->buffer, length);
    return write_content(ship, ship->buffer, length);
}

static int ship_windows(struct passage *passage, uint64_t begin, uint64_t end)
{
    for (uint64_t at = begin; at < end;) {
        size_t length = end - at < BUFFER_BYTES ? (size_t)(end - at) : BUFFER_BYTES;
        if (interrupt_requested() || ship_window(passage, length, at) != 0)
            return -1;
        at += length;
    }
    return 0;
}

static int ship_large(struct passage *passage)
{
    uint64_t bytes = (uint64_t)passage->opened->status.st_size;
    struct tar_member member;

    if (begin_file(passage, bytes, &member) != 0 || ship_windows(passage, 0, bytes) != 0)
        return -1;
    return end_member(passage->ship, passage->file->index_path, &member);
}

static void begin_passage(struct passage *passage, uint64_t begin, uint64_t end)
{
    struct ship *ship = passage->ship;

    passage->has_pages = passage->file->has_pages && ship->settings.pages != NULL;
    passage->pages = (struct page_file){.check = ship->settings.pages,
                                        .fd = passage->opened->fd,
                                        .path = passage->file->index_path,
                                        .segment = passage->file->segment};
    source_file_begin(ship->source, passage->opened->fd, begin, end);
}

static void end_passage(struct passage *passage)
{
    source_file_end(passage->ship->source);
    page_file_end(&passage->pages);
}

int ship_whole(struct ship *ship, const struct ship_file *file, const struct ship_opened *opened)
{
    struct passage passage = {.ship = ship, .file = file, .opened = opened};
    uint64_t bytes = (uint64_t)opened->status.st_size;

    begin_passage(&passage, 0, bytes);
    int result = bytes <= BUFFER_BYTES ? ship_small(&passage) : ship_large(&passage);
    end_passage(&passage);
    return result;
}

/* What the index says of a piece, beside what the part writer knows. */
static int end_piece(struct ship *ship, const struct ship_piece *piece, const struct tar_member *member)
{
    struct index_entry entry = {.line = INDEX_FILE,
                                .path = (char *)piece->file->index_path,
                                .mode = member->mode,
                                .bytes = piece->bytes,
                                .modified = member->modified_seconds * 1000000,
                                .at = piece->at,
                                .of = member->bytes,
                                .crc32c = ship->crc32c};

    sha256_finish(&ship->hash, entry.sha256);
    return part_piece_end(ship->settings.parts, &entry);
}

static int write_piece(struct passage *passage, const struct ship_piece *piece)
{
    struct ship *ship = passage->ship;
    struct tar_member member;
    uint64_t end = piece->at + piece->bytes;

    fill_file_member(passage, (uint64_t)piece->opened->status.st_size, &member);
    struct part_piece part = {.series = piece->file->series,
                              .number = piece->part,
                              .split = piece->split,
                              .index = piece->index,
                              .header = piece->at == 0 ? &member : NULL,
                              .bytes = piece->bytes,
                              .padding = end == member.bytes ? tar_padding_bytes(member.bytes) : 0};
    ship->crc32c = 0;
    if (part_piece_begin(ship->settings.parts, &part) != 0 || sha256_begin(&ship->hash) != 0 ||
        ship_windows(passage, piece->at, end) != 0)
        return -1;
    return end_piece(ship, piece, &member);
}

int ship_piece(struct ship *ship, const struct ship_piece *piece)
{
    struct passage passage = {.ship = ship, .file = piece->file, .opened = piece->opened, .is_piece = true};

    begin_passage(&passage, piece->at, piece->at + piece->bytes);
    int result = write_piece(&passage, piece);
    end_passage(&passage);
    return result;
}

enum ship_result ship_open(const struct ship_file *file, struct ship_opened *opened)
{
    /* O_NONBLOCK: should a pipe have taken the file's place, it is not waited for. */
    opened->fd = openat(file->directory_fd, file->path,
                        O_RDONLY | O_NONBLOCK | O_CLOEXEC | (file->follows_links ? 0 : O_NOFOLLOW));
    if (opened->fd < 0) {
        if (errno == ENOENT || errno == ELOOP)
            return SHIP_GONE;
        log_error("could not open file \"%s\": %m", file->index_path);
        if (errno == EACCES)
            log_hint("Run basebackup-push as the user that the server runs as, or as one of its group where "
                     "initdb -g was used.");
        return SHIP_FAILED;
    }
    enum ship_result result = SHIP_DONE;
    if (fstat(opened->fd, &opened->status) != 0) {
        log_error("could not stat file \"%s\": %m", file->index_path);
        result = SHIP_FAILED;
    } else if (!S_ISREG(opened->status.st_mode))
        result = SHIP_GONE;
    if (result != SHIP_DONE)
        close(opened->fd);
    return result;
}

enum ship_result ship_file(struct ship *ship, const struct ship_file *file)
{
    struct ship_opened opened;
    enum ship_result result = ship_open(file, &opened);

    if (result != SHIP_DONE)
        return result;
    int shipped = ship_whole(ship, file, &opened);
    close(opened.fd);
    return shipped == 0 ? SHIP_DONE : SHIP_FAILED;
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
            log_error("could not read the content of \"%s\": %m", content->path);
            return -1;
        }
        rate_take(ship->settings.rate, length);
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
