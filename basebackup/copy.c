#include "copy.h"

#include "common/log.h"
#include "common/worker_pool.h"
#include "interrupt.h"

#include <stdlib.h>

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
    struct worker *workers;
};

static int open_worker(struct copy *copy, struct worker *worker)
{
    const struct copy_settings *settings = &copy->settings;
    struct ship_settings ship = {
        .pages = settings->pages, .progress = settings->progress, .owner = settings->owner};

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
    for (unsigned i = 0; i < settings->jobs; i++)
        if (open_worker(copy, &copy->workers[i]) != 0) {
            copy_close(copy);
            return NULL;
        }
    return copy;
}

void copy_close(struct copy *copy)
{
    if (copy == NULL)
        return;
    for (unsigned i = 0; copy->workers != NULL && i < copy->settings.jobs; i++) {
        ship_free(copy->workers[i].ship);
        part_writer_free(copy->workers[i].parts);
    }
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

static int copy_entry(struct worker *worker, struct tree_root *root)
{
    const struct walk_entry *entry = &worker->entry;

    if (entry->is_directory)
        return ship_directory(worker->ship, &root->series, entry->path, entry->mode);
    tree_index_path(root, entry->path, worker->index_path);
    struct ship_file file = {
        .series = &root->series,
        .directory_fd = root->fd,
        .path = entry->path,
        .member_path = entry->path,
        .index_path = worker->index_path,
        .has_pages = entry->has_pages,
        .segment = entry->segment,
    };
    return ship_file(worker->ship, &file) == SHIP_FAILED ? -1 : 0;
}

static int copy_until_end(struct worker *worker)
{
    const struct copy_settings *settings = &worker->copy->settings;
    struct tree_root *root;
    int told;

    while ((told = tree_next(settings->tree, settings->catalog, &root, &worker->entry)) == 1)
        if (interrupt_requested() || copy_entry(worker, root) != 0)
            return -1;
    return told == 0 ? part_writer_finish(worker->parts) : -1;
}

static int work(void *context, void *task)
{
    int result = copy_until_end(context);

    (void)task;
    if (result != 0)
        interrupt_request(); /* the others are not to read on for hours */
    return result;
}

int copy_files(struct copy *copy, int (*tick)(void *context), void *context)
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
    /* One task for each worker, which takes file after file by itself. */
    for (unsigned i = 0; pool != NULL && i < jobs; i++)
        worker_pool_submit(pool, copy);
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
