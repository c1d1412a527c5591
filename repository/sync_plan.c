#include "sync_plan.h"

#include "common/backup_index.h"
#include "common/backup_part.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/object_list.h"
#include "sync_workers.h"

#include <stdlib.h>
#include <string.h>

/* What the other has of its backups: a manifest tells what there was, a listing what there is. */

struct folder_listing {
    struct sync_plan *plan;
    size_t hidden;  /* bytes before the backup's id */
    size_t current; /* the backup whose folder it is in at present */
    struct backup_part_run run;
};

static bool is_of(const struct backup *backup, const char *rest)
{
    size_t length = strlen(backup->id);

    return strncmp(rest, backup->id, length) == 0 && rest[length] == '/';
}

static bool take_object(void *context, const char *key, uint64_t bytes)
{
    struct folder_listing *listing = context;
    const struct backup_list *backups = &listing->plan->to;
    const char *rest = key + listing->hidden, *name = strrchr(key, '/') + 1;
    uint64_t number;
    size_t series;

    if (listing->current == backups->count || !is_of(&backups->backups[listing->current], rest)) {
        for (listing->current = 0;
             listing->current < backups->count && !is_of(&backups->backups[listing->current], rest);
             listing->current++)
            ;
        listing->run = (struct backup_part_run){.number = 0};
    }
    if (listing->current == backups->count)
        return true;
    struct sync_folder *folder = &listing->plan->folders[listing->current];
    if (backup_part_name_parse(name, &series, &number)) {
        folder->is_irregular =
            !backup_part_follows(&listing->run, name, series, number) || folder->is_irregular;
        folder->parts++;
        folder->part_bytes += bytes;
    } else if (strcmp(name, INDEX_KIND) == 0) {
        folder->index_bytes = bytes;
    }
    folder->has_map = folder->has_map || strcmp(name, "tablespace_map") == 0;
    return true;
}

static int list_folders(struct sync *sync, struct sync_plan *plan)
{
    const struct cluster *cluster = &sync->to->cluster;
    int result = 0;

    plan->folders = calloc(plan->to.count + 1, sizeof *plan->folders);
    if (plan->folders == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < cluster->generation_count && result == 0; i++) {
        char *prefix = repository_system_key(sync->to, cluster->generations[i].system_identifier, "base/");
        struct folder_listing context = {
            .plan = plan, .hidden = prefix == NULL ? 0 : strlen(prefix), .current = plan->to.count};
        const struct store_listing listing = {.prefix = prefix, .each = take_object, .context = &context};
        result = prefix != NULL && store_list(sync->to->store, &listing) == STORE_OK ? 0 : -1;
        free(prefix);
    }
    return result;
}

/* What is there besides is nobody's, as is started.json behind the manifest: both are basebackup-verify's to
 * tell. */
static bool holds_enough(const struct sync_folder *folder, const struct backup *backup)
{
    return folder->parts >= backup->part_count && folder->part_bytes >= backup->stored_bytes &&
           folder->index_bytes == backup->files_bytes && (folder->has_map || backup->tablespace_count == 0);
}

struct look {
    struct object_list list; /* of the folder */
    bool lacks_some;
};

static int look_for_part(void *context, struct index_entry *entry)
{
    struct look *look = context;
    const struct object_item *there =
        entry->line == INDEX_PART ? object_list_find(&look->list, entry->path) : NULL;

    if (entry->line == INDEX_PART && (there == NULL || there->bytes != entry->bytes))
        look->lacks_some = true;
    return 0;
}

/* There is more than the manifest counts, or under other names, which may hide what is missing: its index
 * names the parts. 1: all are there; 0: not, or the index is damaged; -1 after logging. */
static int has_all_parts(struct sync *sync, const struct backup *backup)
{
    struct look look = {.lacks_some = false};
    enum repository_result result = REPOSITORY_FAILED;
    char *rest = string_printf("base/%s/", backup->id);

    if (rest != NULL && object_list_load(sync->to, backup->system_identifier, rest, &look.list) == 0)
        result = backup_index_load(sync->to, backup, look_for_part, &look);
    object_list_free(&look.list);
    free(rest);
    return result == REPOSITORY_FAILED ? -1 : result == REPOSITORY_OK && !look.lacks_some;
}

/* 1, 0, or -1 after logging. */
static int is_whole(struct sync *sync, const struct sync_folder *folder, const struct backup *backup)
{
    if (!holds_enough(folder, backup))
        return 0;
    if (!folder->is_irregular && folder->parts == backup->part_count &&
        folder->part_bytes == backup->stored_bytes)
        return 1;
    return has_all_parts(sync, backup);
}

/* By an expiry between the two listings. */
static bool is_gone(struct repository *repository, const struct backup *backup)
{
    struct store_object object;
    struct backup now;
    enum repository_result result =
        backup_get(repository, backup->system_identifier, backup->id, &now, &object);

    if (result == REPOSITORY_OK)
        backup_free(&now);
    if (result == REPOSITORY_ABSENT)
        log_info("backup %s in repository \"%s\" has been removed meanwhile", backup->id,
                 repository->settings->name);
    return result == REPOSITORY_ABSENT;
}

/* Something is missing there. What basebackup-push packed for each by itself does not fit together. True: it
 * is a problem; else the same parts are here. */
static bool is_beyond_mending(struct sync *sync, const struct backup *backup, const struct backup *there)
{
    const char *name = sync->to->settings->name;

    log_warning(
        "backup %s has a manifest in repository \"%s\", but its folder does not hold what that tells of",
        there->id, name);
    if (memcmp(there->files_sha256, backup->files_sha256, SHA256_BYTES) == 0)
        return false;
    log_error(
        "backup %s in repository \"%s\" can't be made whole from repository \"%s\": it was packed anew for "
        "each of them",
        there->id, name, sync->from->settings->name);
    log_hint("basebackup-verify tells what is missing. When the folder is removed, the backup is copied.");
    char *key = backup_key(sync->to, there->system_identifier, there->id, "manifest.json");
    sync_problem(sync, key == NULL ? there->id : key);
    free(key);
    return true;
}

static const struct backup *find_backup(const struct backup_list *list, const char *id)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->backups[i].id, id) == 0)
            return &list->backups[i];
    return NULL;
}

/* 0, or -1: stop. */
static int judge_folders(struct sync *sync, struct sync_plan *plan)
{
    for (size_t i = 0; i < plan->to.count; i++) {
        const struct backup *there = &plan->to.backups[i], *here = find_backup(&plan->from, there->id);
        int whole = is_whole(sync, &plan->folders[i], there);
        if (whole < 0 && sync_failure(sync, there->id) != 0)
            return -1;
        plan->folders[i].is_settled =
            whole != 0 || (here != NULL && !is_gone(sync->to, there) && is_beyond_mending(sync, here, there));
    }
    return 0;
}

/* The policy of the other repository, over what both have. */
static int judge(struct sync *sync, struct sync_plan *plan)
{
    switch (holdings_load(sync->to, sync->from, &plan->holdings)) {
    case REPOSITORY_OK:
        plan->is_judged = true;
        return retention_plan(&plan->holdings.retention);
    case REPOSITORY_DAMAGED:
        log_warning(
            "what repository \"%s\" would not keep is copied, too: the history of a timeline is damaged",
            sync->to->settings->name);
        return 0;
    default: /* logged; else one request that fails would bring there what goes again tonight */
        if (!interrupt_requested()) {
            log_error("what repository \"%s\" would keep can't be found out: nothing is copied",
                      sync->to->settings->name);
            log_hint("With --all everything is copied, whatever its policy.");
        }
        return -1;
    }
}

static int judge_manifest(void *context, const char *key)
{
    return sync_failure(context, key);
}

int sync_plan_load(struct sync *sync, struct sync_plan *plan)
{
    *plan = (struct sync_plan){.is_judged = false};
    if (backup_list_load_readable(sync->from, &plan->from, judge_manifest, sync) != REPOSITORY_OK)
        return -1;
    if (plan->from.damaged > 0)
        sync_problem(sync, "manifest.json");
    if (backup_list_load_readable(sync->to, &plan->to, judge_manifest, sync) != REPOSITORY_OK ||
        list_folders(sync, plan) != 0 || judge_folders(sync, plan) != 0)
        return -1;
    if (sync->settings->is_all || !retention_policy_is_given(&sync->to->settings->retention))
        return 0;
    return judge(sync, plan);
}

void sync_plan_free(struct sync_plan *plan)
{
    backup_list_free(&plan->from);
    backup_list_free(&plan->to);
    holdings_free(&plan->holdings);
    free(plan->folders);
}

/* Backups */

/* Or can't be copied there. */
static bool is_there(const struct sync_plan *plan, const struct backup *backup)
{
    for (size_t i = 0; i < plan->to.count; i++)
        if (strcmp(plan->to.backups[i].id, backup->id) == 0)
            return plan->folders[i].is_settled;
    return false;
}

/* Of this system, and of its newest if only so many are wanted. */
static bool is_among_last(const struct sync *sync, const struct backup *backup)
{
    const struct backup_list *from = &sync->plan->from;
    unsigned long newer = 0;

    if (backup->system_identifier != sync->system->system_identifier)
        return false;
    for (size_t i = 0; i < from->count; i++)
        newer += from->backups[i].system_identifier == backup->system_identifier &&
                 strcmp(from->backups[i].id, backup->id) > 0;
    return sync->settings->last == 0 || newer < sync->settings->last;
}

static bool would_stay(const struct sync_plan *plan, const struct backup *backup)
{
    const struct retention *retention = &plan->holdings.retention;

    for (size_t i = 0; i < retention->backup_count && plan->is_judged; i++)
        if (strcmp(retention->backups[i].id, backup->id) == 0)
            return retention->backups[i].reasons != 0;
    return true;
}

enum sync_choice sync_plan_choose(const struct sync *sync, const struct backup *backup)
{
    if (!is_among_last(sync, backup) || is_there(sync->plan, backup))
        return SYNC_PASS;
    return would_stay(sync->plan, backup) ? SYNC_COPY : SYNC_LEAVE_OUT;
}

/* WAL */

uint64_t sync_plan_first_lsn(const struct sync *sync)
{
    const struct backup_list *from = &sync->plan->from;
    uint64_t first = UINT64_MAX;

    for (size_t i = 0; i < from->count && sync->settings->last != 0; i++)
        if (is_among_last(sync, &from->backups[i]) && from->backups[i].start_lsn < first)
            first = from->backups[i].start_lsn;
    return first == UINT64_MAX ? 0 : first;
}

static const struct retention_generation *find_generation(const struct sync *sync)
{
    const struct retention *retention = &sync->plan->holdings.retention;

    for (size_t i = 0; i < retention->generation_count; i++)
        if (retention->generations[i].system_identifier == sync->system->system_identifier)
            return &retention->generations[i];
    return NULL;
}

bool sync_plan_lets_go(const struct sync *sync, const char *file)
{
    const struct retention_generation *generation = sync->plan->is_judged ? find_generation(sync) : NULL;
    char first_name[WAL_SEGMENT_NAME_BYTES], last_name[WAL_SEGMENT_NAME_BYTES];
    struct wal_name name = wal_name_parse(file), end = name;
    uint64_t first, last;

    if (wal_points_name_parse(file, first_name)) {
        name = end = wal_name_parse(first_name);
    } else if (wal_gap_name_parse(file, first_name, last_name)) {
        name = wal_name_parse(first_name);
        end = wal_name_parse(last_name);
    }
    return generation != NULL && wal_segment_number(&name, generation->segment_bytes, &first) &&
           wal_segment_number(&end, generation->segment_bytes, &last) &&
           retention_lets_go(generation, name.timeline, first, last);
}
