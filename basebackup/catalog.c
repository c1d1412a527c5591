#include "catalog.h"

#include "running.h"

#include "common/file.h"
#include "common/log.h"
#include "common/timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES (256 * 1024)
/* A machine that goes down takes at most so much with it of what an interrupted backup has stored. */
#define SYNC_MICROSECONDS 1000000

struct lane {
    int fd;
    uint64_t length;
    struct catalog_totals totals;
};

struct catalog {
    struct lane *lanes;
    size_t lane_count;
    bool is_kept;
    int64_t next_sync;    /* monotonic */
    pthread_mutex_t lock; /* also of every split */
};

static int append(struct lane *lane, const struct buffer *text)
{
    if (file_write_fully(lane->fd, text->data, text->length) != 0) {
        log_error("could not write the temporary file of the index: %m");
        return -1;
    }
    lane->length += text->length;
    return 0;
}

static int open_file(struct catalog *catalog, const char *directory, const char *backup_id, size_t lane)
{
    char *path;
    int fd;

    if (!catalog->is_kept)
        return file_open_unnamed(directory);
    path = running_index_path(directory, backup_id, lane);
    fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (path != NULL && fd < 0)
        log_error("could not create file \"%s\": %m", path);
    free(path);
    return fd;
}

static int open_lanes(struct catalog *catalog, const char *directory, const char *backup_id, size_t lanes)
{
    struct buffer header = BUFFER_EMPTY;
    int result = index_header_write(backup_id, &header);

    for (size_t i = 0; i < lanes && result == 0; i++) {
        int fd = open_file(catalog, directory, backup_id, i);
        result = fd < 0 ? -1 : 0;
        if (result == 0) {
            catalog->lanes[catalog->lane_count++].fd = fd;
            result = append(&catalog->lanes[i], &header);
        }
    }
    buffer_free(&header);
    return result;
}

struct catalog *catalog_open(const char *directory, bool is_kept, const char *backup_id, size_t lanes)
{
    struct catalog *catalog = calloc(1, sizeof *catalog);

    if (catalog == NULL) {
        log_out_of_memory();
        return NULL;
    }
    pthread_mutex_init(&catalog->lock, NULL);
    catalog->is_kept = is_kept;
    catalog->lanes = calloc(lanes, sizeof *catalog->lanes);
    if (catalog->lanes == NULL)
        log_out_of_memory();
    else if (open_lanes(catalog, directory, backup_id, lanes) == 0)
        return catalog;
    catalog_close(catalog);
    return NULL;
}

void catalog_close(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    for (size_t i = 0; i < catalog->lane_count; i++)
        close(catalog->lanes[i].fd);
    free(catalog->lanes);
    pthread_mutex_destroy(&catalog->lock);
    free(catalog);
}

int catalog_add_directory(struct catalog *catalog, const char *path, unsigned mode)
{
    struct index_entry entry = {.line = INDEX_DIRECTORY, .mode = mode};
    struct buffer line = BUFFER_EMPTY;
    int result = -1;

    entry.path = string_copy(path);
    if (entry.path != NULL && index_entry_write(&entry, &line) == 0) {
        result = 0;
        pthread_mutex_lock(&catalog->lock);
        for (size_t i = 0; i < catalog->lane_count && result == 0; i++)
            result = append(&catalog->lanes[i], &line);
        pthread_mutex_unlock(&catalog->lock);
    }
    index_entry_free(&entry);
    buffer_free(&line);
    return result;
}

/* What is to be appended to one lane at once, and what it adds to the totals. */
struct addition {
    struct buffer text;
    struct catalog_totals totals;
};

static int prepare(struct addition *addition, const struct catalog_part *part, uint64_t plain_bytes)
{
    addition->totals = (struct catalog_totals){.parts = 1,
                                               .files = part->entry.files,
                                               .plain_bytes = plain_bytes,
                                               .stored_bytes = part->entry.bytes};
    return index_entry_write(&part->entry, &addition->text) == 0
               ? buffer_append(&addition->text, part->lines->data, part->lines->length)
               : -1;
}

/* Under the lock. */
static int add(struct lane *lane, const struct addition *addition)
{
    lane->totals.parts += addition->totals.parts;
    lane->totals.files += addition->totals.files;
    lane->totals.plain_bytes += addition->totals.plain_bytes;
    lane->totals.stored_bytes += addition->totals.stored_bytes;
    return append(lane, &addition->text);
}

/* Under the lock. */
static bool is_time_to_sync(struct catalog *catalog)
{
    int64_t now = monotonic_now();

    if (!catalog->is_kept || now < catalog->next_sync)
        return false;
    catalog->next_sync = now + SYNC_MICROSECONDS;
    return true;
}

static void sync_lanes(const struct catalog *catalog)
{
    for (size_t i = 0; i < catalog->lane_count; i++)
        if (fdatasync(catalog->lanes[i].fd) != 0)
            log_debug("could not fsync the index: %m");
}

/* All pieces, from as many additions as there are lanes for each. Those of a lane that was given up meanwhile
 * are not all there. */
static int add_all(struct catalog *catalog, const struct addition *additions, unsigned pieces)
{
    int result = 0;

    pthread_mutex_lock(&catalog->lock);
    for (size_t lane = 0; lane < catalog->lane_count && result == 0; lane++) {
        bool is_whole = true;
        for (unsigned i = 0; i < pieces; i++)
            is_whole = is_whole && additions[i * catalog->lane_count + lane].totals.parts > 0;
        for (unsigned i = 0; i < pieces && is_whole && result == 0; i++)
            result = add(&catalog->lanes[lane], &additions[i * catalog->lane_count + lane]);
    }
    bool syncs = is_time_to_sync(catalog);
    pthread_mutex_unlock(&catalog->lock);
    if (syncs)
        sync_lanes(catalog);
    return result;
}

static int prepare_lanes(const struct catalog *catalog, struct addition *additions,
                         const struct catalog_part *parts, uint64_t plain_bytes)
{
    for (size_t lane = 0; lane < catalog->lane_count; lane++)
        if (parts[lane].entry.path != NULL && prepare(&additions[lane], &parts[lane], plain_bytes) != 0)
            return -1;
    return 0;
}

static struct addition *new_additions(const struct catalog *catalog, unsigned pieces)
{
    struct addition *additions = calloc(pieces * catalog->lane_count, sizeof *additions);

    if (additions == NULL)
        log_out_of_memory();
    return additions;
}

static void free_additions(const struct catalog *catalog, struct addition *additions, unsigned pieces)
{
    for (size_t i = 0; additions != NULL && i < pieces * catalog->lane_count; i++)
        buffer_free(&additions[i].text);
    free(additions);
}

int catalog_add_part(struct catalog *catalog, const struct catalog_part *parts, uint64_t plain_bytes)
{
    struct addition *additions = new_additions(catalog, 1);
    int result = -1;

    if (additions != NULL && prepare_lanes(catalog, additions, parts, plain_bytes) == 0)
        result = add_all(catalog, additions, 1);
    free_additions(catalog, additions, 1);
    return result;
}

struct catalog_split {
    struct catalog *catalog;
    struct addition *additions; /* piece by piece, in each lane by lane */
    unsigned pieces;
    unsigned missing;
};

struct catalog_split *catalog_split_new(struct catalog *catalog, unsigned pieces)
{
    struct catalog_split *split = calloc(1, sizeof *split);

    if (split == NULL) {
        log_out_of_memory();
        return NULL;
    }
    *split = (struct catalog_split){
        .catalog = catalog, .additions = new_additions(catalog, pieces), .pieces = pieces, .missing = pieces};
    if (split->additions != NULL)
        return split;
    free(split);
    return NULL;
}

int catalog_add_piece(struct catalog_split *split, unsigned piece, const struct catalog_part *parts,
                      uint64_t plain_bytes)
{
    struct catalog *catalog = split->catalog;

    if (prepare_lanes(catalog, &split->additions[piece * catalog->lane_count], parts, plain_bytes) != 0)
        return -1;
    pthread_mutex_lock(&catalog->lock);
    bool is_last = --split->missing == 0;
    pthread_mutex_unlock(&catalog->lock);
    return is_last ? add_all(catalog, split->additions, split->pieces) : 0;
}

void catalog_split_free(struct catalog_split *split)
{
    if (split == NULL)
        return;
    free_additions(split->catalog, split->additions, split->pieces);
    free(split);
}

struct catalog_totals catalog_totals(struct catalog *catalog, size_t lane)
{
    pthread_mutex_lock(&catalog->lock);
    struct catalog_totals totals = catalog->lanes[lane].totals;
    pthread_mutex_unlock(&catalog->lock);
    return totals;
}

int catalog_read(struct catalog *catalog, size_t lane, const struct sink *sink)
{
    const struct lane *from = &catalog->lanes[lane];
    char *chunk = malloc(READ_BYTES);
    uint64_t done = 0;
    int result = chunk == NULL ? log_out_of_memory() : 0;

    while (result == 0 && done < from->length) {
        uint64_t left = from->length - done;
        size_t length = left < READ_BYTES ? (size_t)left : READ_BYTES;
        if (file_pread_fully(from->fd, chunk, length, done) != 0) {
            log_error("could not read the temporary file of the index: %m");
            result = -1;
        } else
            result = sink_write(sink, chunk, length);
        done += length;
    }
    free(chunk);
    return result;
}
