#include "copy.h"

#include "common/interrupt.h"
#include "common/log.h"
#include "common/worker_pool.h"
#include "split.h"

#include <stdlib.h>
#include <unistd.h>

#define TICK_MILLISECONDS 250

struct worker {
    struct copy *copy;
    struct part_writer *parts;
    struct ship *ship;
    struct walk_entry entry;
    char index_path[TREE_PATH_BYTES];
};

struct copy {
    struct copy_settings settings;
    struct splits *splits;
    struct worker *workers;
};

static int open_worker(struct copy *copy, struct worker *worker)
{
    const struct copy_settings *settings = &copy->settings;
    struct ship_settings ship = {.pages = settings->pages,
                                 .progress = settings->progress,
                                 .rate = settings->rate,
                                 .owner = settings->owner};

    worker->copy = copy;
    worker->parts = part_writer_new(settings->targets, settings->catalog);
    if (worker->parts == NULL)
        return -1;
    ship.parts = worker->parts;
    worker->ship = ship_new(&ship);
    return worker->ship == NULL ? -1 : 0;
}

struct copy *copy_open(const struct copy_settings *settings)
{
    struct copy *copy = calloc(1, sizeof *copy);

    if (copy != NULL) {
        copy->settings = *settings;
        copy->workers = calloc(settings->jobs, sizeof *copy->workers);
    }
    if (copy == NULL || copy->workers == NULL) {
        log_out_of_memory();
        copy_close(copy);
        return NULL;
    }
    copy->splits = splits_new(settings->catalog, settings->split_bytes);
    int result = copy->splits == NULL ? -1 : 0;
    for (unsigned i = 0; i < settings->jobs && result == 0; i++)
        result = open_worker(copy, &copy->workers[i]);
    if (result == 0)
        return copy;
    copy_close(copy);
    return NULL;
}

void copy_close(struct copy *copy)
{
    if (copy == NULL)
        return;
    for (unsigned i = 0; copy->workers != NULL && i < copy->settings.jobs; i++) {
        ship_free(copy->workers[i].ship);
        part_writer_free(copy->workers[i].parts);
    }
    splits_free(copy->splits);
    free(copy->workers);
    free(copy);
}

struct ship *copy_ship(struct copy *copy)
{
    return copy->workers[0].ship;
}

struct part_writer *copy_parts(struct copy *copy)
{
    return copy->workers[0].parts;
}

static int add_to_catalog(struct copy *copy)
{
    const struct tree *tree = copy->settings.tree;
    char path[TREE_PATH_BYTES];

    for (size_t i = 0; i < tree->directory_count; i++) {
        const struct tree_directory *directory = &tree->directories[i];
        tree_index_path(&tree->roots[directory->root], directory->path, path);
        if (catalog_add_directory(copy->settings.catalog, path, directory->mode) != 0)
            return -1;
    }
    return 0;
}

int copy_directories(struct copy *copy)
{
    const struct tree *tree = copy->settings.tree;

    if (add_to_catalog(copy) != 0)
        return -1;
    /* Backwards through the places: the data directory's part, which comes last, stays open for files. */
    for (size_t root = tree->root_count; root-- > 0;)
        for (size_t i = 0; i < tree->directory_count; i++) {
            const struct tree_directory *directory = &tree->directories[i];
            if (directory->root == root && ship_directory(copy_ship(copy), &tree->roots[root].series,
                                                          directory->path, directory->mode) != 0)
                return -1;
        }
    return 0;
}

static int copy_piece(struct worker *worker, const struct ship_piece *piece)
{
    int result = ship_piece(worker->ship, piece);

    splits_release(worker->copy->splits, piece);
    return result;
}

/* What a worker has found: a directory, or a file that it is to ship whole. */
struct found {
    struct tree_root *root;
    bool is_directory;
    struct ship_file file;
    struct ship_opened opened; /* fd -1: there is nothing to do for this worker alone */
};

/* Opens it, and offers it to all if it is large. 0, or -1 after logging. */
static int open_found(struct worker *worker, struct found *found)
{
    const struct walk_entry *entry = &worker->entry;
    bool is_new;

    tree_index_path(found->root, entry->path, worker->index_path);
    /* Taken over; or told twice, as some file systems tell a file that is replaced while its directory is
     * read. */
    if (path_set_add(worker->copy->settings.told, worker->index_path, PATH_SET_NAME, &is_new) != 0)
        return -1;
    if (!is_new)
        return 0;
    found->file = (struct ship_file){
        .series = &found->root->series,
        .directory_fd = found->root->fd,
        .path = entry->path,
        .member_path = entry->path,
        .index_path = worker->index_path,
        .has_pages = entry->has_pages,
        .segment = entry->segment,
    };
    enum ship_result opened = ship_open(&found->file, &found->opened);
    if (opened != SHIP_DONE) {
        found->opened.fd = -1;
        return opened == SHIP_GONE ? 0 : -1;
    }
    int offered = splits_offer(worker->copy->splits, &found->file, &found->opened);
    if (offered < 0)
        close(found->opened.fd);
    if (offered != 0)
        found->opened.fd = -1;
    return offered < 0 ? -1 : 0;
}

/* 1; 0 when there are no more; -1 after logging. */
static int find(struct worker *worker, struct found *found)
{
    const struct copy_settings *settings = &worker->copy->settings;
    int told = tree_next(settings->tree, settings->catalog, &found->root, &worker->entry);

    found->opened.fd = -1;
    found->is_directory = told == 1 && worker->entry.is_directory;
    if (told != 1 || found->is_directory || walk_is_unlogged(found->root->fd, &worker->entry))
        return told;
    return open_found(worker, found) == 0 ? 1 : -1;
}

/* As find. */
static int copy_next(struct worker *worker)
{
    struct splits *splits = worker->copy->splits;
    struct found found;

    splits_begin_search(splits);
    int told = find(worker, &found);
    splits_end_search(splits);
    if (told != 1)
        return told;
    if (found.is_directory)
        return ship_directory(worker->ship, &found.root->series, worker->entry.path, worker->entry.mode) == 0
                   ? 1
                   : -1;
    if (found.opened.fd < 0)
        return 1;
    int shipped = ship_whole(worker->ship, &found.file, &found.opened);
    close(found.opened.fd);
    return shipped == 0 ? 1 : -1;
}

/* Pieces of what others found come first, so that not many large files are open. */
static int copy_until_end(struct worker *worker)
{
    struct splits *splits = worker->copy->splits;
    struct ship_piece piece;
    int found = 1;

    while (found >= 0) {
        if (interrupt_requested())
            return -1;
        if (splits_take(splits, found == 0, &piece))
            found = copy_piece(worker, &piece) == 0 ? found : -1;
        else if (found == 0)
            return part_writer_finish(worker->parts);
        else
            found = copy_next(worker);
    }
    return -1;
}

static int take_over_until_end(struct worker *worker)
{
    return resume_work(worker->copy->settings.resume, worker->parts);
}

/* The task is what all of them do. */
struct task {
    int (*until_end)(struct worker *worker);
};

static int work(void *context, void *task)
{
    int result = ((const struct task *)task)->until_end(context);

    if (result != 0)
        interrupt_request(); /* the others are not to read on for hours */
    return result;
}

static int run(struct copy *copy, struct task *task, int (*tick)(void *context), void *context)
{
    unsigned jobs = copy->settings.jobs;
    void **contexts = calloc(jobs, sizeof *contexts);
    struct worker_pool_settings settings = {
        .workers = jobs, .queue_length = jobs, .work = work, .worker_contexts = contexts};
    struct worker_pool *pool;
    bool ended = false;

    if (contexts == NULL)
        return log_out_of_memory();
    for (unsigned i = 0; i < jobs; i++)
        contexts[i] = &copy->workers[i];
    pool = worker_pool_start(&settings);
    /* Once for each worker, which takes one file or part after the other by itself. */
    for (unsigned i = 0; pool != NULL && i < jobs; i++)
        worker_pool_submit(pool, task);
    while (pool != NULL && !worker_pool_wait(pool, TICK_MILLISECONDS))
        if (!ended && (interrupt_requested() || tick(context) != 0)) {
            interrupt_request();
            worker_pool_cancel(pool);
            ended = true;
        }
    int result = pool == NULL ? -1 : worker_pool_finish(pool);
    free(contexts);
    return ended ? -1 : result;
}

int copy_take_over(struct copy *copy, int (*tick)(void *context), void *context)
{
    struct task task = {take_over_until_end};

    if (copy->settings.resume == NULL)
        return 0;
    int result = run(copy, &task, tick, context);
    if (result == 0)
        resume_tell(copy->settings.resume);
    return result;
}

int copy_files(struct copy *copy, int (*tick)(void *context), void *context)
{
    struct task task = {copy_until_end};

    return run(copy, &task, tick, context);
}
