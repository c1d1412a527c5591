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

/* What lies between two files that are to be fetched is fetched with them if it is not more than this, or
 * than this part of what is wanted before: a request has its price, too. */
#define GAP_BYTES (64u * 1024)
#define GAP_SHARE 4u

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
        if (files != NULL)
            part->files = files;
        bool *left_out = realloc(part->left_out, capacity * sizeof *left_out);
        if (left_out != NULL)
            part->left_out = left_out;
        if (files == NULL || left_out == NULL) {
            free(path);
            return log_out_of_memory();
        }
        part->capacity = capacity;
    }
    part->left_out[part->count] = false;
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
    free(part->left_out);
    free(part->name);
    free(part);
}

/* Ranges */

static size_t next_wanted(const struct restore_part *part, size_t file)
{
    while (file < part->count && part->left_out[file])
        file++;
    return file;
}

bool restore_part_range(const struct restore_part *part, size_t first, struct restore_range *range)
{
    uint64_t wanted = 0;
    size_t next = next_wanted(part, first);

    if (next == part->count)
        return false;
    *range = (struct restore_range){part->files[next].offset, 0, next, next};
    while (next < part->count) {
        const struct index_entry *file = &part->files[next];
        uint64_t gap = next == range->first || file->offset < range->end ? 0 : file->offset - range->end;
        if (gap > GAP_BYTES && gap > wanted / GAP_SHARE)
            break;
        wanted += file->stored;
        range->end = file->offset + file->stored;
        range->last = next + 1;
        next = next_wanted(part, next + 1);
    }
    if (range->first == 0 && range->last == part->count) { /* directory members, too */
        range->offset = 0;
        range->end = part->bytes;
    }
    return true;
}

/* The unpacker */

struct unpacker {
    const struct restore_places *places; /* NULL: all goes to output */
    int output;
    const char *output_name;
    struct progress *progress;
    struct rate *rate;
    struct decoder *decoder;
    struct sha256 hash;
    struct restore_parent parent;
    /* the part at work */
    const struct restore_part *part;
    const struct restore_range *range;
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

struct unpacker *unpacker_new(const struct restore_places *places, struct progress *progress,
                              struct rate *rate)
{
    struct unpacker *unpacker = calloc(1, sizeof *unpacker);

    if (unpacker == NULL) {
        log_out_of_memory();
        return NULL;
    }
    unpacker->places = places;
    unpacker->progress = progress;
    unpacker->rate = rate;
    unpacker->fd = -1;
    unpacker->decoder = decoder_new();
    if (unpacker->decoder == NULL) {
        unpacker_free(unpacker);
        return NULL;
    }
    return unpacker;
}

struct unpacker *unpacker_new_for_file(int fd, const char *name)
{
    struct unpacker *unpacker = unpacker_new(NULL, NULL, NULL);

    if (unpacker != NULL) {
        unpacker->output = fd;
        unpacker->output_name = name;
    }
    return unpacker;
}

void unpacker_free(struct unpacker *unpacker)
{
    if (unpacker == NULL)
        return;
    if (unpacker->fd >= 0)
        close(unpacker->fd);
    restore_parent_leave(&unpacker->parent, unpacker->places);
    sha256_free(&unpacker->hash);
    decoder_free(unpacker->decoder);
    free(unpacker);
}

int unpacker_begin(struct unpacker *unpacker, const struct restore_part *part,
                   const struct restore_range *range, const char *what, const uint64_t *total_bytes)
{
    unpacker->part = part;
    unpacker->what = what;
    unpacker->total_bytes = total_bytes;
    unpacker->range = range;
    unpacker->position = range->offset;
    unpacker->next = range->first;
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
    if (unpacker->places == NULL)
        log_error("could not %s \"%s\": %m", verb, unpacker->output_name);
    else
        log_error("could not %s file \"%s/%s\": %m", verb, unpacker->place->path, unpacker->rest);
    return -1;
}

/* A file of which this is a piece is there already. */
static int open_file(struct unpacker *unpacker)
{
    int creation = unpacker->part->split == NULL ? O_CREAT | O_EXCL : 0;
    struct restore_parent *parent = &unpacker->parent;
    const char *name;

    if (restore_parent_enter(parent, unpacker->places, unpacker->place, unpacker->rest, &name) == 0)
        unpacker->fd = openat(parent->fd, name, O_WRONLY | creation | O_NOFOLLOW | O_CLOEXEC, 0600);
    parent->is_changed = true;
    return unpacker->fd < 0 ? could_not(unpacker, creation != 0 ? "create" : "open") : 0;
}

/* Where the file at work belongs. 0, or -1 after logging. */
static int find_place(struct unpacker *unpacker, const struct index_entry *file)
{
    const struct restore_places *places = unpacker->places;

    unpacker->place = restore_places_find(places, unpacker->part->name, file->path, &unpacker->rest);
    if (unpacker->place == NULL)
        return -1;
    if (!restore_name_is_allowed(places, unpacker->place, unpacker->rest))
        return damaged(unpacker, "a base backup does not hold such a file");
    if (unpacker->place == places->items && strcmp(unpacker->rest, RESTORE_CONTROL) == 0)
        unpacker->rest = RESTORE_CONTROL_TEMPORARY;
    return 0;
}

static int begin_file(struct unpacker *unpacker)
{
    const struct index_entry *file = &unpacker->part->files[unpacker->next];

    unpacker->plain_position = unpacker->written = unpacker->written_out = 0;
    if (sha256_begin(&unpacker->hash) != 0)
        return -1;
    unpacker->is_open = true;
    if (unpacker->places != NULL)
        return find_place(unpacker, file) == 0 ? open_file(unpacker) : -1;
    unpacker->fd = fcntl(unpacker->output, F_DUPFD_CLOEXEC, 0);
    return unpacker->fd < 0 ? could_not(unpacker, "open") : 0;
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

/* All of the file is there, not only a piece that somebody else goes on with. */
static bool is_whole(const struct unpacker *unpacker, const struct index_entry *file)
{
    return unpacker->part->split == NULL || restore_split_done(unpacker->part->split, file->bytes);
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
    if (unpacker->places != NULL && restore_sync_done(unpacker->places->sync, unpacker->fd) != 0)
        return could_not(unpacker, "write to disk");
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
    if (unpacker->rate != NULL)
        rate_take(unpacker->rate, length);
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
    if (unpacker->next == unpacker->range->last)
        return unpacker->range->end;
    const struct index_entry *file = &unpacker->part->files[unpacker->next];
    return unpacker->position < file->offset ? file->offset : file->offset + file->stored;
}

/* Bytes of a file that is there: they only lay between others. */
static void skip_run(struct unpacker *unpacker, size_t length, uint64_t end)
{
    unpacker->position += length;
    if (unpacker->position == end)
        unpacker->next++;
}

/* Bytes of one run; when it ends with them it must end between two frames. */
static int write_run(struct unpacker *unpacker, const void *data, size_t length, uint64_t end, bool is_file)
{
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
    const struct restore_part *part = unpacker->part;
    const unsigned char *next = data;

    if (interrupt_requested() ||
        (unpacker->position == unpacker->range->offset && check_total(unpacker, *unpacker->total_bytes) != 0))
        return -1;
    if (length > unpacker->range->end - unpacker->position)
        return damaged(unpacker, "more bytes came than it has");
    while (length > 0) {
        uint64_t end = run_end(unpacker);
        size_t taken = length < end - unpacker->position ? length : (size_t)(end - unpacker->position);
        bool is_file = unpacker->next < unpacker->range->last &&
                       unpacker->position >= part->files[unpacker->next].offset;
        if (is_file && part->left_out[unpacker->next])
            skip_run(unpacker, taken, end);
        else if (write_run(unpacker, next, taken, end, is_file) != 0)
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

    if (complete && unpacker->position != unpacker->range->end)
        result = check_total(unpacker, unpacker->position);
    if (result == 0 && unpacker->next != unpacker->range->last)
        result = damaged(unpacker, "it has fewer files than the index says");
    if (unpacker->fd >= 0)
        close(unpacker->fd);
    unpacker->fd = -1;
    unpacker->is_open = false;
    if (restore_parent_leave(&unpacker->parent, unpacker->places) != 0 && result == 0)
        result = could_not(unpacker, "write to disk the directory of");
    return result;
}
