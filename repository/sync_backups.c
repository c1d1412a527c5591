#include "sync_backups.h"

#include "common/backup_index.h"
#include "common/backup_sign.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/object_list.h"
#include "common/timestamp.h"
#include "sync_plan.h"
#include "sync_wal.h"
#include "sync_workers.h"

#include <stdlib.h>
#include <string.h>

#define HEARTBEAT_MICROSECONDS (BACKUP_ALIVE_MICROSECONDS / 3)

/* One of them */

struct passage {
    struct sync *sync;
    const struct backup *backup;
    struct object_list there; /* what lies in its folder there: at first what an interrupted copy has left */
    struct backup_index index;
    struct backup_part *part;
    int64_t next_heartbeat; /* monotonic */
    bool is_given_up;       /* what is there is not this backup's, or one of its parts can't be had */
    bool is_announced;      /* started.json is there */
};

static char *key_of(const struct passage *passage, const char *file)
{
    return backup_key(passage->sync->from, passage->backup->system_identifier, passage->backup->id, file);
}

/* So that nobody takes the folder for garbage. */
static void beat(struct passage *passage)
{
    struct buffer text = BUFFER_EMPTY;
    char *key = key_of(passage, "heartbeat.json");

    if (key != NULL && monotonic_now() >= passage->next_heartbeat &&
        backup_heartbeat_seal(passage->backup->id, timestamp_now(), &text) == 0) {
        struct body body = {.data = text.data, .fd = -1, .length = text.length};
        if (sha256_of(text.data, text.length, body.sha256) == 0 &&
            store_replace(passage->sync->to->store, key, &body) != STORE_OK)
            log_warning("repository \"%s\" does not know that the copy is still going on",
                        passage->sync->to->settings->name);
        passage->next_heartbeat = monotonic_now() + HEARTBEAT_MICROSECONDS;
    }
    buffer_free(&text);
    free(key);
}

static int copy_file(struct passage *passage, enum copy_kind kind, const char *file)
{
    char *key = key_of(passage, file);
    int result = sync_workers_copy(passage->sync, kind, key, 0, NULL);

    return result == 0 ? sync_workers_wait(passage->sync) : -1;
}

/* Parts have their names only when they are whole, so the length tells whether one is this backup's. */
static int hand_over_part(struct passage *passage)
{
    struct sync *sync = passage->sync;
    struct backup_part *part = passage->part;
    const struct object_item *there = part == NULL ? NULL : object_list_find(&passage->there, part->name);

    passage->part = NULL;
    if (part == NULL)
        return 0;
    if (there == NULL) {
        if (sync->workers != NULL)
            beat(passage);
        return sync_workers_copy(sync, COPY_PART, key_of(passage, part->name), part->bytes, part);
    }
    passage->is_given_up = there->bytes != part->bytes;
    if (passage->is_given_up) {
        log_error("\"%s\" is there already, with another length: something else has begun this backup there",
                  store_describe(sync->to->store, there->key));
        log_hint(
            "When basebackup-expire has removed the folder, or you have, the backup is copied. Nothing is "
            "overwritten; basebackup-verify tells whether a backup that is complete there is right.");
        sync_problem(sync, there->key);
    }
    backup_part_free(part);
    return passage->is_given_up ? -1 : 0;
}

static int take_entry(void *context, struct index_entry *entry)
{
    struct passage *passage = context;

    if (interrupt_requested())
        return -1;
    switch (entry->line) {
    case INDEX_DIRECTORY:
        return 0;
    case INDEX_PART:
        /* where one fails the next may, too: an archived backup, for example */
        passage->is_given_up = sync_workers_have_failed(passage->sync);
        if (passage->is_given_up || hand_over_part(passage) != 0)
            return -1;
        passage->part = backup_part_new(entry);
        return passage->part == NULL ? -1 : 0;
    case INDEX_FILE:
        break;
    }
    return backup_part_add(passage->part, entry);
}

/* With its index all else can be told. 0, or -1: stop. */
static int open_index(struct passage *passage)
{
    enum repository_result result = backup_index_open(passage->sync->from, passage->backup, &passage->index);
    char *key = result == REPOSITORY_OK ? NULL : key_of(passage, INDEX_KIND);
    int stop = 0;

    if (result == REPOSITORY_DAMAGED && key != NULL)
        sync_problem(passage->sync, key);
    else if (result != REPOSITORY_OK)
        stop = key == NULL ? -1 : sync_failure(passage->sync, key);
    free(key);
    return stop;
}

/* 0: all parts are there, but for problems; -1: stop. */
static int copy_parts(struct passage *passage)
{
    enum repository_result result = backup_index_read(&passage->index, take_entry, passage);

    if (result == REPOSITORY_OK && hand_over_part(passage) != 0)
        result = REPOSITORY_SINK;
    backup_part_free(passage->part);
    passage->part = NULL;
    int waited = sync_workers_wait(passage->sync);
    return waited == 0 && (result == REPOSITORY_OK || passage->is_given_up) ? 0 : -1;
}

/* Before the manifest: is all there that it tells of? */

static int list_folder(struct passage *passage)
{
    struct sync *sync = passage->sync;
    char *rest = string_printf("base/%s/", passage->backup->id);
    int result = -1;

    object_list_free(&passage->there);
    if (rest != NULL &&
        object_list_load(sync->to, passage->backup->system_identifier, rest, &passage->there) != 0)
        result = sync_failure(sync, rest);
    else if (rest != NULL)
        result = 0;
    free(rest);
    return result;
}

static void tell_gone(struct passage *passage, const char *file)
{
    struct sync *sync = passage->sync;
    char *key = key_of(passage, file);

    if (key != NULL) {
        log_error("\"%s\" was there, and is not there any more", store_describe(sync->to->store, key));
        log_hint("Did basebackup-expire take the folder for garbage? The same call copies what is missing.");
        sync_problem(sync, key);
    }
    free(key);
}

static int look_for_part(void *context, struct index_entry *entry)
{
    struct passage *passage = context;
    const struct object_item *there =
        entry->line == INDEX_PART ? object_list_find(&passage->there, entry->path) : NULL;

    if (entry->line == INDEX_PART && (there == NULL || there->bytes != entry->bytes))
        tell_gone(passage, entry->path);
    return 0;
}

/* Somebody may have removed what was there, while more came. 0, or -1: stop. */
static int look_again(struct passage *passage)
{
    uint64_t problems = passage->sync->problem_count;

    if (list_folder(passage) != 0)
        return -1;
    if (passage->sync->problem_count != problems)
        return 0;
    if (passage->is_announced && object_list_find(&passage->there, "started.json") == NULL)
        tell_gone(passage, "started.json");
    return backup_index_read(&passage->index, look_for_part, passage) == REPOSITORY_OK ? 0 : -1;
}

/* A backup that includes its WAL starts without an archive. 0, or -1: stop. */
static int look_for_wal(struct passage *passage)
{
    struct sync *sync = passage->sync;
    const struct backup *backup = passage->backup;
    char missing[WAL_SEGMENT_NAME_BYTES];
    int result = backup->wal_included ? 1 : sync_wal_has(sync, backup, missing);

    if (result > 0)
        return 0;
    char *key = key_of(passage, "manifest.json");
    if (key == NULL)
        return -1;
    if (result < 0) {
        result = sync_failure(sync, key);
    } else {
        log_error("backup %s is of no use in repository \"%s\": WAL segment %s, which it needs, is not there",
                  backup->id, sync->to->settings->name, missing);
        log_hint("It is copied when the segment is there. Until then restore it from repository \"%s\".",
                 sync->from->settings->name);
        sync_problem(sync, key);
    }
    free(key);
    return result;
}

/* One after the other, as long as nothing is wrong. */

/* The sign of life comes before the look: who removes garbage asks for the one, and then does the other. */
static int begin(struct passage *passage)
{
    if (passage->sync->workers != NULL)
        beat(passage);
    return list_folder(passage);
}

/* It was announced, but may have gone since; or the first repository has none any more. Another call may have
 * put it meanwhile. */
static int copy_started(struct passage *passage)
{
    struct sync *sync = passage->sync;
    int64_t time;

    passage->is_announced = object_list_find(&passage->there, "started.json") != NULL;
    if (passage->is_announced)
        return 0;
    if (copy_file(passage, COPY_STARTED, "started.json") != 0)
        return -1;
    if (sync->workers == NULL)
        return 0;
    char *key = key_of(passage, "started.json");
    int found = key == NULL ? -1 : store_time_of(sync->to->store, key, &time);
    passage->is_announced = found > 0;
    if (found < 0 && key != NULL)
        found = sync_failure(sync, key);
    free(key);
    return found < 0 ? -1 : 0;
}

static int copy_map(struct passage *passage)
{
    return passage->backup->tablespace_count > 0 ? copy_file(passage, COPY_TEXT, "tablespace_map") : 0;
}

static int copy_index(struct passage *passage)
{
    return copy_file(passage, COPY_INDEX, INDEX_KIND);
}

/* It makes all the rest a backup. */
static int copy_manifest(struct passage *passage)
{
    return copy_file(passage, COPY_DOCUMENT, "manifest.json");
}

static const struct {
    int (*take)(struct passage *passage); /* 0, or -1: stop */
    bool is_look;                         /* there is nothing to see in a dry run */
} steps[] = {
    {look_for_wal, true},
    {begin, false},
    {copy_started, false},
    {open_index, false},
    {copy_parts, false},
    {copy_map, false},
    /* an index of parts that are not there would keep the folder */
    {look_again, true},
    {copy_index, false},
    {look_again, true},
    {look_for_wal, true},
    {copy_manifest, false},
};

static void tell(const struct passage *passage, bool is_complete, bool is_new)
{
    struct sync *sync = passage->sync;

    sync->backups_copied += is_complete && is_new;
    if (!is_complete)
        log_warning("backup %s is not complete in repository \"%s\"", passage->backup->id,
                    sync->to->settings->name);
    else if (is_new && sync->workers != NULL)
        log_info("backup %s was copied to repository \"%s\"", passage->backup->id, sync->to->settings->name);
}

static int copy_backup(struct sync *sync, const struct backup *backup)
{
    struct passage passage = {.sync = sync, .backup = backup, .index = BACKUP_INDEX_CLOSED};
    uint64_t problems = sync->problem_count, objects = sync->objects;
    int result = 0;

    for (size_t i = 0; i < sizeof steps / sizeof *steps && result == 0; i++)
        if (sync->problem_count == problems && (sync->workers != NULL || !steps[i].is_look))
            result = steps[i].take(&passage);
    if (result == 0)
        tell(&passage, sync->problem_count == problems, sync->objects > objects);
    backup_index_close(&passage.index);
    object_list_free(&passage.there);
    return result;
}

int sync_backups_announce(struct sync *sync)
{
    const struct backup_list *from = &sync->plan->from;
    int result = 0;

    for (size_t i = 0; i < from->count && result == 0 && sync->workers != NULL; i++) {
        const struct passage passage = {.sync = sync, .backup = &from->backups[i]};
        if (sync_plan_choose(sync, &from->backups[i]) == SYNC_COPY)
            result = sync_workers_copy(sync, COPY_STARTED, key_of(&passage, "started.json"), 0, NULL);
    }
    return result == 0 ? sync_workers_wait(sync) : -1;
}

int sync_backups(struct sync *sync)
{
    const struct backup_list *from = &sync->plan->from;
    int result = 0;

    for (size_t i = 0; i < from->count && result == 0; i++) {
        enum sync_choice choice = sync_plan_choose(sync, &from->backups[i]);
        sync->backups_left_out += choice == SYNC_LEAVE_OUT;
        if (choice == SYNC_COPY)
            result = interrupt_requested() ? -1 : copy_backup(sync, &from->backups[i]);
    }
    return result;
}
