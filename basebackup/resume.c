#include "resume.h"

#include "common/backup_sign.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/part_reader.h"
#include "common/timestamp.h"
#include "old_index.h"
#include "running.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_BYTES 32

struct resume {
    struct resume_settings settings;
    struct interrupted from;
    struct old_index *index;
    pthread_mutex_t lock; /* of the index, and what follows */
    bool is_given_up;
    uint64_t parts, parts_taken;
    uint64_t files_taken, bytes_taken;
    struct buffer doubtful; /* names of parts, NAME_BYTES each: of the new backup, but not in its index */
};

/* What each worker has of its own. */
struct worker {
    struct resume *resume;
    struct part_writer *parts; /* borrowed */
    struct unchanged *unchanged;
    struct part_reader *checker;
};

/* Finding it */

static bool is_young(const void *context, const char *id)
{
    const struct resume_settings *settings = context;
    struct targets *targets = settings->targets;

    for (size_t i = 0; i < targets->count; i++) {
        struct target *target = &targets->items[i];
        if (!target_is_alive(target))
            continue;
        int64_t time;
        if (backup_last_sign(&target->repository, targets->system_identifier, id, &time) != 0)
            return false;
        if (time >= store_now(target->repository.store) - (int64_t)settings->age_seconds * 1000000)
            continue;
        log_info("what the interrupted backup %s has stored is not taken over: it is %s in repository \"%s\"",
                 id, time == 0 ? "not known any more" : "older than resume_age allows",
                 target->repository.settings->name);
        return false;
    }
    return true;
}

struct resume *resume_find(const struct resume_settings *settings)
{
    struct running_wish wish = {settings->targets, settings->timeline, is_young, settings};
    struct resume *resume;
    struct interrupted from;

    running_find(settings->state, &wish, &from);
    if (from.fd < 0)
        return NULL;
    resume = calloc(1, sizeof *resume);
    if (resume == NULL) {
        close(from.fd);
        log_out_of_memory();
        return NULL;
    }
    resume->settings = *settings;
    resume->from = from;
    pthread_mutex_init(&resume->lock, NULL);
    resume->index = old_index_open(settings->state->directory, from.id, settings->targets);
    if (resume->index != NULL) {
        log_info("backup %s was interrupted: what it has stored is looked through", from.id);
        return resume;
    }
    resume_free(resume);
    return NULL;
}

void resume_free(struct resume *resume)
{
    if (resume == NULL)
        return;
    old_index_close(resume->index);
    buffer_free(&resume->doubtful);
    pthread_mutex_destroy(&resume->lock);
    close(resume->from.fd);
    free(resume);
}

/* Is it still right? */

/* The place of a part's files, by its name: "main-00000001", "16384-00000001". NULL: its files are never
 * taken over (external ones), or it is gone. */
static struct tree_root *root_of(const struct resume *resume, const char *part)
{
    struct tree *tree = resume->settings.tree;
    const char *dash = strrchr(part, '-');

    for (size_t i = 0; i < tree->root_count; i++) {
        struct tree_root *root = &tree->roots[i];
        size_t length = strlen(root->series.prefix);
        if (root->fd >= 0 && part + length == dash && strncmp(part, root->series.prefix, length) == 0)
            return root;
    }
    return NULL;
}

/* Nothing but files: directories are in the first part of the new backup. */
static bool holds_files_only(const struct backup_part *part)
{
    uint64_t stored = 0;

    for (size_t i = 0; i < part->count; i++)
        stored += part->files[i].stored;
    return stored == part->bytes;
}

static int discard(void *context, const void *data, size_t length)
{
    (void)context;
    (void)data;
    (void)length;
    return 0;
}

static void give_up(struct resume *resume)
{
    pthread_mutex_lock(&resume->lock);
    if (!resume->is_given_up)
        log_warning("nothing more is taken over from backup %s; the rest is sent again", resume->from.id);
    resume->is_given_up = true;
    pthread_mutex_unlock(&resume->lock);
}

/* One byte is asked for, which tells the size. */
static enum store_result look_for(struct store *store, const char *key, struct store_object *object)
{
    struct sink nowhere = {discard, NULL};
    struct store_range first = {.offset = 0, .length = 1};

    return key == NULL ? STORE_FAILED : store_get(store, key, &first, &nowhere, object);
}

/* Is it there, with that many bytes? A repository that does not answer is not asked again, for minutes, part
 * by part: whether it is alive shows with what is sent. */
static bool is_stored(const struct worker *worker, size_t index, const struct backup_part *part)
{
    struct resume *resume = worker->resume;
    const struct target *target = &resume->settings.targets->items[index];
    struct store_object object = {0};
    char *key = backup_key(&target->repository, resume->settings.targets->system_identifier, resume->from.id,
                           part->name);
    enum store_result got = look_for(part_writer_store(worker->parts, index), key, &object);

    free(key);
    if (got != STORE_OK && got != STORE_ABSENT && got != STORE_SHORT)
        give_up(resume);
    return got == STORE_OK && object.total_bytes == part->bytes;
}

static bool is_stored_everywhere(const struct worker *worker, const struct old_unit *unit)
{
    const struct targets *targets = worker->resume->settings.targets;

    for (size_t i = 0; i < targets->count; i++)
        for (size_t k = 0; k < unit->count && target_is_alive(&targets->items[i]); k++) {
            const struct backup_part *part = old_unit_part(unit, k, targets->items[i].lane)->part;
            if (part->bytes > STORE_COPY_BYTES_MOST || !holds_files_only(part) || !is_stored(worker, i, part))
                return false;
        }
    return true;
}

/* 1: it is what its lines say; 0: it is not; -1 after logging: that could not be found out. */
static int check_part(struct part_reader *checker, struct store *store, const char *key,
                      const struct backup_part *part)
{
    const struct part_range whole = backup_part_whole(part);
    struct sink sink = part_reader_sink(checker);
    struct store_object object = {0};

    if (part_reader_begin(checker, part, &whole, part->name, &object.total_bytes) != 0)
        return -1;
    enum store_result got = store_get(store, key, NULL, &sink, &object);
    if (part_reader_end(checker, got == STORE_OK) == 0)
        return 1;
    return got == STORE_ABSENT || got == STORE_DAMAGED || part_reader_found_damage(checker) ? 0 : -1;
}

/* A directory's parts are read back: a second name of a damaged file would be no better. S3 has verified what
 * it took by its SHA-256, and watches over it; to fetch all of it may cost more than to send it again. */
static bool is_right(const struct worker *worker, size_t index, const struct backup_part *part)
{
    const struct resume *resume = worker->resume;
    const struct target *target = &resume->settings.targets->items[index];
    struct store *store = part_writer_store(worker->parts, index);

    if (target->repository.settings->kind == REPOSITORY_S3)
        return true;
    char *key = backup_key(&target->repository, resume->settings.targets->system_identifier, resume->from.id,
                           part->name);
    int result = key == NULL ? -1 : check_part(worker->checker, store, key, part);
    if (result == 0)
        log_warning("\"%s\" is damaged; its files are sent again", store_describe(store, key));
    free(key);
    return result == 1;
}

static bool is_right_everywhere(const struct worker *worker, const struct old_unit *unit)
{
    const struct targets *targets = worker->resume->settings.targets;

    for (size_t i = 0; i < targets->count; i++)
        for (size_t k = 0; k < unit->count && target_is_alive(&targets->items[i]); k++)
            if (!is_right(worker, i, old_unit_part(unit, k, targets->items[i].lane)->part))
                return false;
    return true;
}

static bool is_unchanged(struct unchanged *unchanged, const struct tree_root *root,
                         const struct old_unit *unit)
{
    bool result = true;

    for (size_t k = 0; k < unit->count && result; k++) {
        const struct backup_part *part = old_unit_any(unit, k);
        for (size_t i = 0; i < part->count && result; i++)
            result = unchanged_next(unchanged, root, &part->files[i]);
    }
    unchanged_reset(unchanged);
    return result;
}

/* Taking it over */

/* One unit on its way into the new backup. */
struct passage {
    struct resume *resume;
    struct part_writer *parts;
    const struct old_unit *unit;
    struct part_series *series;
    unsigned number; /* of its first part in the new backup */
};

static void name_part(const struct passage *passage, size_t part, char name[NAME_BYTES])
{
    snprintf(name, NAME_BYTES, "%s-%08u", passage->series->prefix, passage->number + (unsigned)part);
}

static int copy_part(const struct passage *passage, size_t index, size_t part)
{
    struct targets *targets = passage->resume->settings.targets;
    const struct target *target = &targets->items[index];
    char name[NAME_BYTES];

    name_part(passage, part, name);
    char *from = backup_key(&target->repository, targets->system_identifier, passage->resume->from.id,
                            old_unit_part(passage->unit, part, target->lane)->part->name);
    char *to = targets_key(targets, target, name);
    enum store_result result = from == NULL || to == NULL
                                   ? STORE_FAILED
                                   : store_copy(part_writer_store(passage->parts, index), from, to);
    free(from);
    free(to);
    return result == STORE_OK ? 0 : -1;
}

static int copy_all(const struct passage *passage)
{
    const struct targets *targets = passage->resume->settings.targets;

    for (size_t i = 0; i < targets->count; i++)
        for (size_t part = 0; part < passage->unit->count && target_is_alive(&targets->items[i]); part++)
            if (copy_part(passage, i, part) != 0)
                return -1;
    return 0;
}

/* 0, or -1 after logging. */
static int note_doubtful(const struct passage *passage)
{
    struct resume *resume = passage->resume;
    int result = 0;

    pthread_mutex_lock(&resume->lock);
    for (size_t part = 0; part < passage->unit->count && result == 0; part++) {
        char name[NAME_BYTES] = "";
        name_part(passage, part, name);
        result = buffer_append(&resume->doubtful, name, sizeof name);
    }
    pthread_mutex_unlock(&resume->lock);
    return result;
}

static uint64_t plain_bytes(const struct backup_part *part)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < part->count; i++)
        bytes += part->files[i].bytes;
    return bytes;
}

static int catalog_one(const struct passage *passage, size_t index, struct catalog_split *split,
                       struct catalog_part *parts)
{
    const struct resume_settings *settings = &passage->resume->settings;
    uint64_t bytes = plain_bytes(old_unit_any(passage->unit, index));
    char name[NAME_BYTES];

    name_part(passage, index, name);
    for (size_t lane = 0; lane < passage->unit->lanes; lane++) {
        const struct old_part *part = old_unit_part(passage->unit, index, lane);
        if (part->part == NULL)
            continue;
        parts[lane] = (struct catalog_part){
            .entry = {.line = INDEX_PART,
                      .path = targets_lane_is_alive(settings->targets, lane) ? name : NULL,
                      .bytes = part->part->bytes,
                      .codec = part->part->codec,
                      .files = part->files},
            .lines = &part->lines,
        };
    }
    return split == NULL ? catalog_add_part(settings->catalog, parts, bytes)
                         : catalog_add_piece(split, (unsigned)index, parts, bytes);
}

static int catalog_all(const struct passage *passage)
{
    struct catalog_part *parts = calloc(passage->unit->lanes, sizeof *parts);
    unsigned count = (unsigned)passage->unit->count;
    struct catalog_split *split =
        count > 1 ? catalog_split_new(passage->resume->settings.catalog, count) : NULL;
    int result = parts == NULL ? log_out_of_memory() : 0;

    if (count > 1 && split == NULL)
        result = -1;
    for (unsigned i = 0; i < count && result == 0; i++)
        result = catalog_one(passage, i, split, parts);
    catalog_split_free(split);
    free(parts);
    return result;
}

static int note_taken(const struct passage *passage)
{
    struct resume *resume = passage->resume;
    uint64_t files = 0, bytes = 0;

    for (size_t k = 0; k < passage->unit->count; k++) {
        const struct backup_part *part = old_unit_any(passage->unit, k);
        for (size_t i = 0; i < part->count; i++) {
            files += index_entry_begins_file(&part->files[i]);
            if (path_set_add(resume->settings.told, part->files[i].path, PATH_SET_NAME, NULL) != 0)
                return -1;
        }
        bytes += plain_bytes(part);
    }
    pthread_mutex_lock(&resume->lock);
    resume->parts_taken += passage->unit->count;
    resume->files_taken += files;
    resume->bytes_taken += bytes;
    pthread_mutex_unlock(&resume->lock);
    progress_add(resume->settings.progress, bytes);
    return 0;
}

/* 0: taken over, or not; -1 after logging: the backup has failed. */
static int take_over(struct resume *resume, struct part_writer *parts, struct part_series *series,
                     const struct old_unit *unit)
{
    struct passage passage = {resume, parts, unit, series,
                              part_series_reserve(series, (unsigned)unit->count)};

    if (copy_all(&passage) != 0) {
        give_up(resume);
        return note_doubtful(&passage);
    }
    return catalog_all(&passage) == 0 ? note_taken(&passage) : -1;
}

/* 1: a unit to look at; 0: that was all. */
static int next_unit(struct resume *resume, struct old_unit *unit)
{
    pthread_mutex_lock(&resume->lock);
    int told = resume->is_given_up ? 0 : old_index_next(resume->index, unit);
    if (told == 1)
        resume->parts += unit->count;
    pthread_mutex_unlock(&resume->lock);
    return told;
}

static int consider(const struct worker *worker, const struct old_unit *unit)
{
    struct resume *resume = worker->resume;
    struct tree_root *root = root_of(resume, old_unit_any(unit, 0)->name);
    int result = 0;

    if (root != NULL && is_stored_everywhere(worker, unit) && is_unchanged(worker->unchanged, root, unit) &&
        is_right_everywhere(worker, unit)) {
        result = take_over(resume, worker->parts, &root->series, unit);
        if (resume->settings.pages != NULL)
            atomic_fetch_add(&resume->settings.pages->zero_pages, unchanged_zero_pages(worker->unchanged));
    }
    unchanged_zero_pages(worker->unchanged); /* of what is read again */
    return result;
}

int resume_work(struct resume *resume, struct part_writer *parts)
{
    const struct resume_settings *settings = &resume->settings;
    struct worker worker = {resume, parts, unchanged_new(settings->tree, settings->pages, settings->rate),
                            part_reader_new(NULL)};
    struct old_unit unit;
    int told = -1, result = worker.unchanged == NULL || worker.checker == NULL ? -1 : 0;

    if (worker.checker != NULL)
        part_reader_mute(worker.checker);
    while (result == 0 && !interrupt_requested() && (told = next_unit(resume, &unit)) == 1) {
        result = consider(&worker, &unit);
        old_unit_free(&unit);
    }
    unchanged_free(worker.unchanged);
    part_reader_free(worker.checker);
    return result == 0 && told == 0 ? 0 : -1;
}

void resume_tell(const struct resume *resume)
{
    char bytes[32];

    progress_format_bytes(resume->bytes_taken, bytes);
    log_info("%" PRIu64 " of %" PRIu64 " parts of backup %s are taken over: %" PRIu64 " files, %s",
             resume->parts_taken, resume->parts, resume->from.id, resume->files_taken, bytes);
}

/* Asked for first: who may not delete is not to be refused where there is nothing. */
static void take_back(struct targets *targets, struct target *target, const char *name)
{
    struct store *store = target->repository.store;
    struct store_object object;
    char *key = targets_key(targets, target, name);
    enum store_result found = look_for(store, key, &object);
    bool is_there = found == STORE_OK || found == STORE_SHORT;

    if (found != STORE_ABSENT && (!is_there || store_delete(store, key, NULL) != STORE_OK)) {
        log_warning("part \"%s\" may have stayed in the folder of backup %s in repository \"%s\", though it "
                    "does not belong to it",
                    name, targets->id, target->repository.settings->name);
        log_hint("basebackup-fetch passes it over. Remove it before the backup is unpacked by hand.");
    }
    free(key);
}

void resume_take_back(struct resume *resume)
{
    struct targets *targets = resume == NULL ? NULL : resume->settings.targets;

    for (size_t at = 0; resume != NULL && at < resume->doubtful.length; at += NAME_BYTES)
        for (size_t i = 0; i < targets->count; i++)
            if (target_is_alive(&targets->items[i]))
                take_back(targets, &targets->items[i], (const char *)resume->doubtful.data + at);
}
