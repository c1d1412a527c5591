#include "split.h"

#include "common/log.h"
#include "source_file.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* A file is split if it has at least two pieces. Of a file of any size there are not more than so many, since
 * what the index says of them is kept until all are done. */
#define PIECES_LEAST 2
#define PIECES_MOST 1024

struct split {
    struct split *next; /* offered later */
    struct ship_file file;
    struct ship_opened opened;
    struct catalog_split *lines;
    uint64_t piece_bytes; /* the last one may be longer */
    unsigned pieces;
    unsigned first_part;
    unsigned taken;
    unsigned released;
};

struct splits {
    struct catalog *catalog;
    uint64_t piece_bytes;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct split *first; /* all that are not done, in the order in which they were offered */
    atomic_uint untaken; /* pieces; read without the lock, too */
    unsigned searching;  /* workers */
};

struct splits *splits_new(struct catalog *catalog, uint64_t piece_bytes)
{
    struct splits *splits = calloc(1, sizeof *splits);

    if (splits == NULL) {
        log_out_of_memory();
        return NULL;
    }
    splits->catalog = catalog;
    splits->piece_bytes = piece_bytes;
    pthread_mutex_init(&splits->lock, NULL);
    pthread_cond_init(&splits->changed, NULL);
    return splits;
}

static void free_split(struct split *split)
{
    if (split->opened.fd >= 0)
        close(split->opened.fd);
    catalog_split_free(split->lines);
    free((char *)split->file.path);
    free((char *)split->file.member_path);
    free((char *)split->file.index_path);
    free(split);
}

void splits_free(struct splits *splits)
{
    if (splits == NULL)
        return;
    while (splits->first != NULL) {
        struct split *split = splits->first;
        splits->first = split->next;
        free_split(split);
    }
    pthread_cond_destroy(&splits->changed);
    pthread_mutex_destroy(&splits->lock);
    free(splits);
}

void splits_begin_search(struct splits *splits)
{
    pthread_mutex_lock(&splits->lock);
    splits->searching++;
    pthread_mutex_unlock(&splits->lock);
}

void splits_end_search(struct splits *splits)
{
    pthread_mutex_lock(&splits->lock);
    if (--splits->searching == 0)
        pthread_cond_broadcast(&splits->changed);
    pthread_mutex_unlock(&splits->lock);
}

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static struct split *new_split(struct splits *splits, const struct ship_file *file, uint64_t bytes)
{
    struct split *split = calloc(1, sizeof *split);
    uint64_t least_bytes = round_up(bytes / PIECES_MOST + 1, SOURCE_WINDOW_BYTES);

    if (split == NULL) {
        log_out_of_memory();
        return NULL;
    }
    split->file = *file;
    split->file.path = string_copy(file->path);
    split->file.member_path = string_copy(file->member_path);
    split->file.index_path = string_copy(file->index_path);
    split->opened.fd = -1;
    split->piece_bytes = least_bytes > splits->piece_bytes ? least_bytes : splits->piece_bytes;
    split->pieces = (unsigned)(bytes / split->piece_bytes);
    split->lines = catalog_split_new(splits->catalog, split->pieces);
    if (split->file.path != NULL && split->file.member_path != NULL && split->file.index_path != NULL &&
        split->lines != NULL)
        return split;
    free_split(split);
    return NULL;
}

int splits_offer(struct splits *splits, const struct ship_file *file, const struct ship_opened *opened)
{
    uint64_t bytes = (uint64_t)opened->status.st_size;
    struct split **last = &splits->first;

    if (bytes <= PIECES_LEAST * splits->piece_bytes)
        return 0;
    struct split *split = new_split(splits, file, bytes);
    if (split == NULL)
        return -1;
    split->opened = *opened;
    split->first_part = part_series_reserve(file->series, split->pieces);
    pthread_mutex_lock(&splits->lock);
    while (*last != NULL)
        last = &(*last)->next;
    *last = split;
    atomic_fetch_add(&splits->untaken, split->pieces);
    pthread_cond_broadcast(&splits->changed);
    pthread_mutex_unlock(&splits->lock);
    return 1;
}

static void fill_piece(struct split *split, struct ship_piece *piece)
{
    unsigned index = split->taken++;
    uint64_t at = index * split->piece_bytes, bytes = (uint64_t)split->opened.status.st_size;

    *piece = (struct ship_piece){.file = &split->file,
                                 .opened = &split->opened,
                                 .at = at,
                                 .bytes = index + 1 == split->pieces ? bytes - at : split->piece_bytes,
                                 .part = split->first_part + index,
                                 .index = index,
                                 .split = split->lines};
}

bool splits_take(struct splits *splits, bool may_wait, struct ship_piece *piece)
{
    struct split *split;

    if (!may_wait && atomic_load_explicit(&splits->untaken, memory_order_relaxed) == 0)
        return false;
    pthread_mutex_lock(&splits->lock);
    while (may_wait && atomic_load(&splits->untaken) == 0 && splits->searching > 0)
        pthread_cond_wait(&splits->changed, &splits->lock);
    for (split = splits->first; split != NULL && split->taken == split->pieces;)
        split = split->next;
    if (split != NULL) {
        fill_piece(split, piece);
        atomic_fetch_sub(&splits->untaken, 1);
    }
    pthread_mutex_unlock(&splits->lock);
    return split != NULL;
}

void splits_release(struct splits *splits, const struct ship_piece *piece)
{
    struct split **link = &splits->first, *done = NULL;

    pthread_mutex_lock(&splits->lock);
    while (&(*link)->file != piece->file)
        link = &(*link)->next;
    if (++(*link)->released == (*link)->pieces) {
        done = *link;
        *link = done->next;
    }
    pthread_mutex_unlock(&splits->lock);
    if (done != NULL)
        free_split(done);
}
