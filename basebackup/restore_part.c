#include "restore_part.h"

#include "common/codec.h"
#include "common/file.h"
#include "common/log.h"
#include "interrupt.h"
#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* So much of a file is handed to the disk at a time, while more is fetched: what is left for the end to wait
 * for is then little. Smaller files are left to the kernel. */
#define WRITE_OUT_BYTES (4u * 1024 * 1024)

/* Parts */

struct restore_part *restore_part_new(const struct index_entry *entry)
{
    struct restore_part *part = calloc(1, sizeof *part);

    if (part == NULL) {
        log_out_of_memory();
        return NULL;
    }
    part->bytes = entry->bytes;
    part->codec = entry->codec;
    part->name = string_copy(entry->path);
    if (part->name == NULL) {
        free(part);
        return NULL;
    }
    return part;
}

int restore_part_add(struct restore_part *part, const struct index_entry *file)
{
    char *path = string_copy(file->path);

    if (path == NULL)
        return -1;
    if (part->count == part->capacity) {
        size_t capacity = part->capacity == 0 ? 64 : 2 * part->capacity;
        struct index_entry *files = realloc(part->files, capacity * sizeof *files);
        if (files == NULL) {
            free(path);
            return log_out_of_memory();
        }
        part->files = files;
        part->capacity = capacity;
    }
    part->files[part->count] = *file;
    part->files[part->count++].path = path;
    return 0;
}

void restore_part_free(struct restore_part *part)
{
    if (part == NULL)
        return;
    for (size_t i = 0; i < part->count; i++)
        index_entry_free(&part->files[i]);
    restore_split_release(part->split);
    free(part->files);
    free(part->name);
    free(part);
}

/* The unpacker */

struct unpacker {
    const struct restore_places *places;
    struct progress *progress;
    struct decoder *decoder;
    struct sha256 hash;
    /* the directory that the last file lay in, since the next one mostly lies there too */
    const struct restore_place *parent_place;
    char *parent_path;
    int parent_fd;
    /* the part at work */
    const struct restore_part *part;
    const char *what;
    const uint64_t *total_bytes;
    uint64_t position; /* in the stored bytes */
    size_t next;       /* file that is at work, or comes next */
    /* the member at work */
    bool is_open;
    int fd;
    const struct restore_place *place;
    const char *rest; /* of the file's path, in its place */
    uint64_t plain_position;
    uint64_t written;     /* of the file's content */
    uint64_t written_out; /* handed to the disk */
};

struct unpacker *unpacker_new(const struct restore_places *places, struct progress *progress)
{
    struct unpacker *unpacker = calloc(1, sizeof *unpacker);

    if (unpacker == NULL) {
        log_out_of_memory();
        return NULL;
    }
    unpacker->places = places;
    unpacker->progress = progress;
    unpacker->parent_fd = unpacker->fd = -1;
    unpacker->decoder = decoder_new();
    if (unpacker->decoder == NULL) {
        unpacker_free(unpacker);
        return NULL;
    }
    return unpacker;
}

static void forget_parent(struct unpacker *unpacker)
{
    if (unpacker->parent_fd >= 0)
        close(unpacker->parent_fd);
    free(unpacker->parent_path);
    unpacker->parent_fd = -1;
    unpacker->parent_path = NULL;
    unpacker->parent_place = NULL;
}

void unpacker_free(struct unpacker *unpacker)
{
    if (unpacker == NULL)
        return;
    if (unpacker->fd >= 0)
        close(unpacker->fd);
    forget_parent(unpacker);
    sha256_free(&unpacker->hash);
    decoder_free(unpacker->decoder);
    free(unpacker);
}

int unpacker_begin(struct unpacker *unpacker, const struct restore_part *part, const char *what,
                   const uint64_t *total_bytes)
{
    unpacker->part = part;
    unpacker->what = what;
    unpacker->total_bytes = total_bytes;
    unpacker->position = 0;
    unpacker->next = 0;
    unpacker->is_open = false;
    return decoder_begin(unpacker->decoder, part->codec);
}

/* The file at work; NULL in the bytes before the first, between two and behind the last: directory members.
 */
static const struct index_entry *current_file(const struct unpacker *unpacker)
{
    return unpacker->is_open ? &unpacker->part->files[unpacker->next] : NULL;
}

static int damaged(const struct unpacker *unpacker, const char *problem)
{
    const struct index_entry *file = current_file(unpacker);

    if (file != NULL)
        log_error("%s is damaged: file \"%s\": %s", unpacker->what, file->path, problem);
    else
        log_error("%s is damaged: %s", unpacker->what, problem);
    log_hint("An older backup (--backup) or another repository (--repository) may be whole.");
    return -1;
}

static int could_not(const struct unpacker *unpacker, const char *verb)
{
    log_error("could not %s file \"%s/%s\": %m", verb, unpacker->place->path, unpacker->rest);
    return -1;
}

/* A descriptor of the directory in which the file at work lies; kept by the unpacker. */
static int open_parent(struct unpacker *unpacker, const char **name)
{
    const char *slash = strrchr(unpacker->rest, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - unpacker->rest);

    *name = slash == NULL ? unpacker->rest : slash + 1;
    if (unpacker->parent_place == unpacker->place &&
        strncmp(unpacker->parent_path, unpacker->rest, length) == 0 && unpacker->parent_path[length] == '\0')
        return unpacker->parent_fd;
    forget_parent(unpacker);
    unpacker->parent_fd = restore_open_parent(
        unpacker->place, unpacker->rest, restore_place_is_external(unpacker->places, unpacker->place), name);
    unpacker->parent_path = strndup(unpacker->rest, length);
    if (unpacker->parent_fd >= 0 && unpacker->parent_path != NULL)
        unpacker->parent_place = unpacker->place;
    else if (unpacker->parent_fd >= 0)
        forget_parent(unpacker);
    return unpacker->parent_fd;
}

/* A file of which this is a piece is there already. */
static int open_file(struct unpacker *unpacker)
{
    int creation = unpacker->part->split == NULL ? O_CREAT | O_EXCL : 0;
    const char *name;
    int parent = open_parent(unpacker, &name);

    if (parent >= 0)
        unpacker->fd = openat(parent, name, O_WRONLY | creation | O_NOFOLLOW | O_CLOEXEC, 0600);
    return unpacker->fd < 0 ? could_not(unpacker, creation != 0 ? "create" : "open") : 0;
}

static int begin_file(struct unpacker *unpacker)
{
    const struct index_entry *file = &unpacker->part->files[unpacker->next];

    unpacker->plain_position = unpacker->written = unpacker->written_out = 0;
    unpacker->place =
        restore_places_find(unpacker->places, unpacker->part->name, file->path, &unpacker->rest);
    if (unpacker->place == NULL || sha256_begin(&unpacker->hash) != 0)
        return -1;
    unpacker->is_open = true;
    if (!restore_name_is_allowed(unpacker->places, unpacker->place, unpacker->rest))
        return damaged(unpacker, "a base backup does not hold such a file");
    if (unpacker->place == unpacker->places->items && strcmp(unpacker->rest, RESTORE_CONTROL) == 0)
        unpacker->rest = RESTORE_CONTROL_TEMPORARY;
    return open_file(unpacker);
}

static int set_attributes(const struct unpacker *unpacker, const struct index_entry *file)
{
    time_t seconds = (time_t)(file->modified / 1000000);
    struct timespec times[2] = {{seconds, 0}, {seconds, 0}};

    return fchmod(unpacker->fd, file->mode & 0777) == 0 && futimens(unpacker->fd, times) == 0 ? 0 : -1;
}

/* Of the member: only the last piece of a file is padded, to the file's size. */
static size_t padding_bytes(const struct index_entry *file)
{
    if (!index_entry_ends_file(file))
        return 0;
    return tar_padding_bytes(file->of == 0 ? file->bytes : file->of);
}

/* All of the file is there, not only a piece. */
static bool is_whole(const struct unpacker *unpacker, const struct index_entry *file)
{
    return file->of == 0 || restore_split_done(unpacker->part->split, file->bytes);
}

static int end_file(struct unpacker *unpacker)
{
    const struct index_entry *file = current_file(unpacker);
    unsigned char sha256[SHA256_BYTES];

    if (unpacker->plain_position != file->header + file->bytes + padding_bytes(file))
        return damaged(unpacker, "it is shorter than the index says");
    sha256_finish(&unpacker->hash, sha256);
    if (memcmp(sha256, file->sha256, SHA256_BYTES) != 0)
        return damaged(unpacker, "its SHA-256 does not match");
    if (is_whole(unpacker, file) && set_attributes(unpacker, file) != 0)
        return could_not(unpacker, "set permissions and time of");
    int closed = close(unpacker->fd);
    unpacker->fd = -1;
    if (closed != 0)
        return could_not(unpacker, "close");
    unpacker->is_open = false;
    unpacker->next++;
    return 0;
}

/* Plain bytes of the member at work: tar header, content, padding. */
static int write_member(void *context, const void *data, size_t length)
{
    struct unpacker *unpacker = context;
    const struct index_entry *file = current_file(unpacker);
    const unsigned char *next = data;
    uint64_t position = unpacker->plain_position, content_end = file->header + file->bytes;

    unpacker->plain_position += length;
    if (unpacker->plain_position > content_end + padding_bytes(file))
        return damaged(unpacker, "it is longer than the index says");
    if (position < file->header) {
        size_t skipped = length < file->header - position ? length : (size_t)(file->header - position);
        next += skipped;
        length -= skipped;
        position += skipped;
    }
    if (length == 0 || position >= content_end)
        return 0;
    if (length > content_end - position)
        length = (size_t)(content_end - position);
    sha256_update(&unpacker->hash, next, length);
    if (file_pwrite_fully(unpacker->fd, next, length, file->at + unpacker->written) != 0)
        return could_not(unpacker, "write");
    unpacker->written += length;
    if (unpacker->written - unpacker->written_out >= WRITE_OUT_BYTES) {
        /* Only a push; whether all is on disk is asked, and answered, at the end. */
        sync_file_range(unpacker->fd, (off_t)(file->at + unpacker->written_out),
                        (off_t)(unpacker->written - unpacker->written_out), SYNC_FILE_RANGE_WRITE);
        unpacker->written_out = unpacker->written;
    }
    if (unpacker->progress != NULL)
        progress_add(unpacker->progress, length);
    return 0;
}

static int discard(void *context, const void *data, size_t length)
{
    (void)context;
    (void)data;
    (void)length;
    return 0;
}

/* Where the run of bytes ends that position lies in: a file's member, or what is not a file's. */
static uint64_t run_end(const struct unpacker *unpacker)
{
    const struct restore_part *part = unpacker->part;

    if (unpacker->next == part->count)
        return part->bytes;
    const struct index_entry *file = &part->files[unpacker->next];
    return unpacker->position < file->offset ? file->offset : file->offset + file->stored;
}

/* Bytes of one run; when it ends with them it must end between two frames. */
static int write_run(struct unpacker *unpacker, const void *data, size_t length, uint64_t end)
{
    const struct restore_part *part = unpacker->part;
    bool is_file = unpacker->next < part->count && unpacker->position >= part->files[unpacker->next].offset;
    struct sink sink = {is_file ? write_member : discard, unpacker};

    if (is_file && !unpacker->is_open && begin_file(unpacker) != 0)
        return -1;
    if (decoder_write(unpacker->decoder, data, length, &sink) != 0) {
        const char *error = decoder_error(unpacker->decoder);
        char problem[128];
        snprintf(problem, sizeof problem, "it cannot be decompressed (%s)", error == NULL ? "" : error);
        return error == NULL ? -1 : damaged(unpacker, problem);
    }
    unpacker->position += length;
    if (unpacker->position < end)
        return 0;
    if (!decoder_at_boundary(unpacker->decoder))
        return damaged(unpacker, "its compressed data does not end where the index says");
    return is_file ? end_file(unpacker) : 0;
}

static int check_total(const struct unpacker *unpacker, uint64_t total_bytes)
{
    if (total_bytes == unpacker->part->bytes)
        return 0;
    log_error("%s is damaged: it has %llu bytes, the index says %llu", unpacker->what,
              (unsigned long long)total_bytes, (unsigned long long)unpacker->part->bytes);
    log_hint("An older backup (--backup) or another repository (--repository) may be whole.");
    return -1;
}

static int unpacker_write(void *context, const void *data, size_t length)
{
    struct unpacker *unpacker = context;
    const unsigned char *next = data;

    if (interrupt_requested() ||
        (unpacker->position == 0 && check_total(unpacker, *unpacker->total_bytes) != 0))
        return -1;
    if (length > unpacker->part->bytes - unpacker->position)
        return damaged(unpacker, "more bytes came than it has");
    while (length > 0) {
        uint64_t end = run_end(unpacker);
        size_t taken = length < end - unpacker->position ? length : (size_t)(end - unpacker->position);
        if (write_run(unpacker, next, taken, end) != 0)
            return -1;
        next += taken;
        length -= taken;
    }
    return 0;
}

struct sink unpacker_sink(struct unpacker *unpacker)
{
    return (struct sink){unpacker_write, unpacker};
}

int unpacker_end(struct unpacker *unpacker, bool complete)
{
    int result = complete ? 0 : -1;

    if (complete && unpacker->position != unpacker->part->bytes)
        result = check_total(unpacker, unpacker->position);
    if (result == 0 && unpacker->next != unpacker->part->count)
        result = damaged(unpacker, "it has fewer files than the index says");
    if (unpacker->fd >= 0)
        close(unpacker->fd);
    unpacker->fd = -1;
    unpacker->is_open = false;
    return result;
}
