#include "sync_wal.h"

#include "common/interrupt.h"
#include "common/log.h"
#include "common/object_list.h"
#include "common/wal_index.h"
#include "sync_plan.h"
#include "sync_workers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_NAME_LENGTH 16
#define LOG_NAME_BYTES (LOG_NAME_LENGTH + 1)

struct folders {
    char (*names)[LOG_NAME_BYTES];
    size_t count;
    bool failed;
};

static bool take_folder(void *context, const char *name)
{
    struct folders *folders = context;

    if (strlen(name) != LOG_NAME_LENGTH || strspn(name, "0123456789ABCDEF") != LOG_NAME_LENGTH)
        return true;
    char(*grown)[LOG_NAME_BYTES] = realloc(folders->names, (folders->count + 1) * sizeof *grown);
    folders->failed = grown == NULL;
    if (grown == NULL) {
        log_out_of_memory();
        return false;
    }
    folders->names = grown;
    memcpy(grown[folders->count++], name, LOG_NAME_BYTES);
    return true;
}

static int list_folders(struct sync *sync, struct folders *folders)
{
    char *prefix = repository_system_key(sync->from, sync->system->system_identifier, "wal/");
    int result = -1;

    *folders = (struct folders){NULL, 0, false};
    if (prefix != NULL) {
        enum store_result listed = store_list_folders(sync->from->store, prefix, take_folder, folders);
        result = (listed == STORE_OK || listed == STORE_ABSENT) && !folders->failed ? 0 : -1;
    }
    free(prefix);
    return result;
}

/* Histories */

static uint32_t timeline_of(const char *folder)
{
    char text[9];

    snprintf(text, sizeof text, "%.8s", folder);
    return (uint32_t)strtoul(text, NULL, 16);
}

/* Compared where both have it. 0, or -1: stop. */
static int hand_over_history(struct sync *sync, const char *key, const struct object_facts *facts)
{
    struct object_facts there;

    switch (repository_get_facts(sync->to, key, NULL, &there)) {
    case REPOSITORY_OK:
        return sync_workers_copy(sync, COPY_COMPARE, string_copy(key), 0, NULL);
    case REPOSITORY_ABSENT:
        return sync_workers_copy(sync, COPY_WAL, string_copy(key), facts->frame_bytes + OBJECT_TRAILER_BYTES,
                                 NULL);
    case REPOSITORY_DAMAGED:
        sync_problem(sync, key);
        return 0;
    default:
        return sync_failure(sync, key);
    }
}

/* 1: it is there; 0: it is not; -1: stop. */
static int copy_history(struct sync *sync, uint32_t timeline)
{
    char name[WAL_SEGMENT_NAME_BYTES];
    struct object_facts facts;
    int result = -1;

    wal_history_name(timeline, name);
    char *key = repository_wal_key(sync->from, sync->system->system_identifier, name);
    if (key == NULL)
        return -1;
    switch (repository_get_facts(sync->from, key, NULL, &facts)) {
    case REPOSITORY_OK:
        result = hand_over_history(sync, key, &facts) == 0 ? 1 : -1;
        break;
    case REPOSITORY_ABSENT:
        result = 0;
        break;
    case REPOSITORY_DAMAGED:
        sync_problem(sync, key);
        result = 1;
        break;
    default:
        result = sync_failure(sync, key) == 0 ? 1 : -1;
        break;
    }
    free(key);
    return result;
}

/* From this timeline on up to the first gap, as PostgreSQL looks for them. *done: those up to it have had
 * their turn. */
static int copy_run_of_histories(struct sync *sync, uint32_t first, uint32_t *done)
{
    int found = 1;

    for (uint32_t timeline = first; found == 1 && timeline > *done; timeline++) {
        found = interrupt_requested() ? -1 : copy_history(sync, timeline);
        *done = timeline;
    }
    return found < 0 ? -1 : 0;
}

/* Behind timeline 1 and from each that has WAL. */
static int copy_histories(struct sync *sync, const struct folders *folders)
{
    uint32_t done = 1;
    int result = copy_run_of_histories(sync, 2, &done);

    for (size_t i = 0; i < folders->count && result == 0; i++)
        result = copy_run_of_histories(sync, timeline_of(folders->names[i]), &done);
    return result == 0 ? sync_workers_wait(sync) : -1;
}

/* What both have below a prefix. Where that can't be found out both are empty, and it is a problem. 0, or -1:
 * stop. */
static int list_both(struct sync *sync, const char *rest, struct object_list *from, struct object_list *to)
{
    uint64_t system = sync->system->system_identifier;

    *to = (struct object_list){NULL, 0};
    if (object_list_load(sync->from, system, rest, from) == 0 &&
        object_list_load(sync->to, system, rest, to) == 0)
        return 0;
    object_list_free(from);
    object_list_free(to);
    return sync_failure(sync, rest);
}

/* Restore points: small, and rare */

static int copy_restore_points(struct sync *sync)
{
    struct object_list from, to;
    int result = list_both(sync, "restore-points/", &from, &to);

    for (size_t i = 0; result == 0 && i < from.count; i++)
        if (object_list_find(&to, from.items[i].name) == NULL && !sync_plan_lets_go(sync, from.items[i].name))
            result = sync_workers_copy(sync, COPY_DOCUMENT, string_copy(from.items[i].key),
                                       from.items[i].bytes, NULL);
    if (result == 0)
        result = sync_workers_wait(sync);
    object_list_free(&from);
    object_list_free(&to);
    return result;
}

/* A folder */

/* What the logs of a folder's WAL are said to hold, where both repositories have an index of it: only asked
 * for when lengths don't tell. */
struct indexes {
    bool is_asked, are_there;
    struct wal_index from, to;
};

static void ask_for_indexes(struct sync *sync, uint32_t timeline, uint32_t log, struct indexes *indexes)
{
    uint64_t system = sync->system->system_identifier;
    uint32_t segment_bytes = sync->system->segment_bytes;

    indexes->is_asked = true;
    bool was_muted = log_mute_thread(true); /* without them the trailers are read */
    if (wal_index_get(sync->from, system, timeline, log, segment_bytes, &indexes->from) == REPOSITORY_OK) {
        indexes->are_there =
            wal_index_get(sync->to, system, timeline, log, segment_bytes, &indexes->to) == REPOSITORY_OK;
        if (!indexes->are_there)
            wal_index_free(&indexes->from);
    }
    log_mute_thread(was_muted);
}

static void free_indexes(struct indexes *indexes)
{
    if (indexes->are_there) {
        wal_index_free(&indexes->from);
        wal_index_free(&indexes->to);
    }
}

static bool is_in_indexes(struct sync *sync, const char *file, struct indexes *indexes)
{
    struct wal_name name = wal_name_parse(file);

    if (name.kind != WAL_SEGMENT)
        return false;
    if (!indexes->is_asked)
        ask_for_indexes(sync, name.timeline, name.log, indexes);
    return indexes->are_there && memcmp(indexes->from.entries[name.segment].sha256,
                                        indexes->to.entries[name.segment].sha256, SHA256_BYTES) == 0;
}

/* Packed files of one length hold the same, as far as can be told without a request for each; unpacked ones
 * all have the same length, and packed differently the same file has another. */
static bool is_told_by_length(const struct sync *sync, const struct object_item *item,
                              const struct object_item *there)
{
    return there->bytes == item->bytes && item->bytes != sync->system->segment_bytes + OBJECT_TRAILER_BYTES;
}

static bool is_wanted(const struct sync *sync, const char *name, uint64_t first_lsn)
{
    struct wal_name parsed = wal_name_parse(name);
    char first[WAL_SEGMENT_NAME_BYTES], last[WAL_SEGMENT_NAME_BYTES];
    uint64_t number;

    if (parsed.kind == WAL_NOT && wal_gap_name_parse(name, first, last))
        parsed = wal_name_parse(last);
    return parsed.kind != WAL_NOT && wal_segment_number(&parsed, sync->system->segment_bytes, &number) &&
           (number + 1) * sync->system->segment_bytes > first_lsn;
}

static int copy_file(struct sync *sync, const struct object_item *item, const struct object_list *to,
                     struct indexes *indexes)
{
    bool is_gap = wal_name_parse(item->name).kind == WAL_NOT;
    const struct object_item *there = object_list_find(to, item->name);

    if (there == NULL && sync_plan_lets_go(sync, item->name)) {
        sync->wal_left_out++;
        return 0;
    }
    if (there == NULL)
        return sync_workers_copy(sync, is_gap ? COPY_DOCUMENT : COPY_WAL, string_copy(item->key), item->bytes,
                                 NULL);
    if (is_gap || is_told_by_length(sync, item, there) || is_in_indexes(sync, item->name, indexes))
        return 0;
    return sync_workers_copy(sync, COPY_COMPARE, string_copy(item->key), 0, NULL);
}

static int copy_folder(struct sync *sync, const char *folder, uint64_t first_lsn)
{
    struct object_list from, to;
    struct indexes indexes = {.is_asked = false};
    char rest[8 + LOG_NAME_BYTES];
    uint64_t objects = sync->objects;
    int result;

    snprintf(rest, sizeof rest, "wal/%s/", folder);
    result = list_both(sync, rest, &from, &to);
    for (size_t i = 0; result == 0 && i < from.count && !interrupt_requested(); i++)
        if (is_wanted(sync, from.items[i].name, first_lsn))
            result = copy_file(sync, &from.items[i], &to, &indexes);
    if (result == 0)
        result = sync_workers_wait(sync);
    sync->wal_copied += sync->objects - objects;
    free_indexes(&indexes);
    object_list_free(&from);
    object_list_free(&to);
    return result;
}

/* Where the WAL of a folder ends at the latest. */
static uint64_t log_end(const char *folder)
{
    return (strtoull(folder + LOG_NAME_LENGTH / 2, NULL, 16) + 1) << 32;
}

/* Segments that follow each other, as a listing tells them. */
struct chain {
    uint32_t segment_bytes;
    uint64_t next, last;
};

static bool follow(void *context, const char *key, uint64_t bytes)
{
    struct chain *chain = context;
    struct wal_name name = wal_name_parse(strrchr(key, '/') + 1);
    uint64_t number;

    (void)bytes;
    if (name.kind != WAL_SEGMENT || !wal_segment_number(&name, chain->segment_bytes, &number))
        return true;
    if (number == chain->next)
        chain->next++;
    return number < chain->next && chain->next <= chain->last;
}

/* Of that timeline, behind the segment before chain->next. 0, or -1 after logging. */
static int follow_timeline(struct sync *sync, uint32_t timeline, struct chain *chain)
{
    uint64_t system = sync->system->system_identifier;
    char rest[16], before[WAL_SEGMENT_NAME_BYTES];

    snprintf(rest, sizeof rest, "wal/%08" PRIX32, timeline);
    wal_segment_name(timeline, chain->next == 0 ? 0 : chain->next - 1, chain->segment_bytes, before);
    char *prefix = repository_system_key(sync->to, system, rest);
    char *start_after = repository_wal_key(sync->to, system, before);
    const struct store_listing listing = {
        .prefix = prefix, .start_after = start_after, .each = follow, .context = chain};
    int result =
        prefix != NULL && start_after != NULL && store_list(sync->to->store, &listing) == STORE_OK ? 0 : -1;
    free(prefix);
    free(start_after);
    return result;
}

int sync_wal_has(struct sync *sync, const struct backup *backup, char missing[WAL_SEGMENT_NAME_BYTES])
{
    uint64_t first = backup->start_lsn / backup->segment_bytes;
    uint64_t last =
        backup->stop_lsn > backup->start_lsn ? (backup->stop_lsn - 1) / backup->segment_bytes : first;
    struct chain chain = {backup->segment_bytes, first, last};

    if (follow_timeline(sync, backup->timeline, &chain) != 0)
        return -1;
    wal_segment_name(backup->timeline, chain.next, backup->segment_bytes, missing);
    return chain.next > last;
}

int sync_wal(struct sync *sync, uint64_t first_lsn)
{
    struct folders folders;
    int result = list_folders(sync, &folders);

    if (result == 0)
        result = copy_histories(sync, &folders);
    if (result == 0)
        result = copy_restore_points(sync);
    for (size_t i = 0; result == 0 && i < folders.count; i++)
        if (log_end(folders.names[i]) > first_lsn)
            result = copy_folder(sync, folders.names[i], first_lsn);
    free(folders.names);
    return result;
}
