#include "restore_part.h"

#include "common/file.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* So much of a file is handed to the disk at a time, while more is fetched: what is left for the end to wait
 * for is then little. Smaller files are left to the kernel. */
#define WRITE_OUT_BYTES (4u * 1024 * 1024)

struct restore_split *restore_part_split(const struct backup_part *part)
{
    return part->attached;
}

static void release(void *split)
{
    restore_split_release(split);
}

void restore_part_attach(struct backup_part *part, struct restore_split *split)
{
    part->attached = split;
    part->detach = release;
}

struct unpacker {
    const struct restore_places *places; /* NULL: all goes to output */
    int output;
    const char *output_name;
    struct progress *progress;
    struct rate *rate;
    struct part_reader *reader;
    struct restore_parent parent;
    const struct backup_part *part; /* at work */
    /* the file at work */
    int fd;
    const struct restore_place *place;
    const char *rest;     /* of the file's path, in its place */
    uint64_t written;     /* of the file's content */
    uint64_t written_out; /* handed to the disk */
};

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
    int creation = restore_part_split(unpacker->part) == NULL ? O_CREAT | O_EXCL : 0;
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
        return part_reader_damaged(unpacker->reader, "a base backup does not hold such a file");
    if (unpacker->place == places->items && strcmp(unpacker->rest, RESTORE_CONTROL) == 0)
        unpacker->rest = RESTORE_CONTROL_TEMPORARY;
    return 0;
}

static int begin_file(void *context, const struct index_entry *file)
{
    struct unpacker *unpacker = context;

    unpacker->written = unpacker->written_out = 0;
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

/* All of the file is there, not only a piece that somebody else goes on with. */
static bool is_whole(const struct unpacker *unpacker, const struct index_entry *file)
{
    struct restore_split *split = restore_part_split(unpacker->part);

    return split == NULL || restore_split_done(split, file->bytes);
}

static int end_file(void *context, const struct index_entry *file)
{
    struct unpacker *unpacker = context;

    if (is_whole(unpacker, file) && set_attributes(unpacker, file) != 0)
        return could_not(unpacker, "set permissions and time of");
    if (unpacker->places != NULL && restore_sync_done(unpacker->places->sync, unpacker->fd) != 0)
        return could_not(unpacker, "write to disk");
    int closed = close(unpacker->fd);
    unpacker->fd = -1;
    return closed != 0 ? could_not(unpacker, "close") : 0;
}

static int write_content(struct unpacker *unpacker, const struct index_entry *file, const void *data,
                         size_t length)
{
    if (file_pwrite_fully(unpacker->fd, data, length, file->at + unpacker->written) != 0)
        return could_not(unpacker, "write");
    unpacker->written += length;
    if (unpacker->written - unpacker->written_out >= WRITE_OUT_BYTES) {
        /* Only a push; whether all is on disk is asked, and answered, at the end. */
        sync_file_range(unpacker->fd, (off_t)(file->at + unpacker->written_out),
                        (off_t)(unpacker->written - unpacker->written_out), SYNC_FILE_RANGE_WRITE);
        unpacker->written_out = unpacker->written;
    }
    return 0;
}

/* The next bytes of the file's content. */
static int take_content(void *context, const struct index_entry *file, const void *data, size_t length)
{
    struct unpacker *unpacker = context;

    if (write_content(unpacker, file, data, length) != 0)
        return -1;
    if (unpacker->progress != NULL)
        progress_add(unpacker->progress, length);
    if (unpacker->rate != NULL)
        rate_take(unpacker->rate, length);
    return 0;
}

struct unpacker *unpacker_new(const struct restore_places *places, struct progress *progress,
                              struct rate *rate)
{
    struct unpacker *unpacker = calloc(1, sizeof *unpacker);

    if (unpacker == NULL) {
        log_out_of_memory();
        return NULL;
    }
    const struct part_sink sink = {
        begin_file, take_content, end_file, unpacker,
        "An older backup (--backup) or another repository (--repository) may be whole."};
    unpacker->places = places;
    unpacker->progress = progress;
    unpacker->rate = rate;
    unpacker->fd = -1;
    unpacker->reader = part_reader_new(&sink);
    if (unpacker->reader != NULL)
        return unpacker;
    unpacker_free(unpacker);
    return NULL;
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
    part_reader_free(unpacker->reader);
    free(unpacker);
}

int unpacker_begin(struct unpacker *unpacker, const struct backup_part *part, const struct part_range *range,
                   const char *what, const uint64_t *total_bytes)
{
    unpacker->part = part;
    return part_reader_begin(unpacker->reader, part, range, what, total_bytes);
}

struct sink unpacker_sink(struct unpacker *unpacker)
{
    return part_reader_sink(unpacker->reader);
}

int unpacker_end(struct unpacker *unpacker, bool complete)
{
    int result = part_reader_end(unpacker->reader, complete);

    if (unpacker->fd >= 0)
        close(unpacker->fd);
    unpacker->fd = -1;
    if (restore_parent_leave(&unpacker->parent, unpacker->places) != 0 && result == 0)
        result = could_not(unpacker, "write to disk the directory of");
    return result;
}

bool unpacker_found_damage(const struct unpacker *unpacker)
{
    return part_reader_found_damage(unpacker->reader);
}
