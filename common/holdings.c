#include "holdings.h"

#include "backup_sign.h"
#include "index_entry.h"
#include "log.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

/* Backups */

static struct retention_backup *add_backup(struct holdings *holdings, size_t generation, const char *id)
{
    struct retention *retention = &holdings->retention;

    if ((retention->backup_count & (retention->backup_count + 1)) ==
        0) { /* 0, 1, 3, 7, ...: time to double */
        struct retention_backup *grown =
            realloc(retention->backups, (2 * retention->backup_count + 1) * sizeof *grown);
        if (grown == NULL) {
            log_out_of_memory();
            return NULL;
        }
        retention->backups = grown;
    }
    struct retention_backup *added = &retention->backups[retention->backup_count];
    *added = (struct retention_backup){.generation = generation};
    if (!backup_id_parse(id, &added->stop_time, &added->timeline, &added->start_lsn)) {
        log_error("\"%s\" is not the id of a backup", id);
        return NULL;
    }
    memcpy(added->id, id, strlen(id) + 1);
    added->stop_lsn = added->start_lsn;
    retention->backup_count++;
    return added;
}

static void take_manifest(const struct backup *backup, struct retention_backup *added)
{
    added->state = RETENTION_COMPLETE;
    added->timeline = backup->timeline;
    added->start_lsn = backup->start_lsn;
    added->stop_lsn = backup->stop_lsn;
    added->stop_time = backup->stop_time;
    added->stored_bytes = backup->stored_bytes + backup->files_bytes;
    added->wal_included = backup->wal_included;
}

/* Is that file of a backup there? 1, 0, or -1 after logging. */
static int has_file(struct repository *repository, uint64_t system, const char *id, const char *file)
{
    char *key = backup_key(repository, system, id, file);
    int64_t time;
    int result = key == NULL ? -1 : store_time_of(repository->store, key, &time);

    free(key);
    return result;
}

/* When an unfinished one was last heard of: its last sign, else whatever is there. 0, or -1 after logging. */
static int get_last_sign(struct repository *repository, uint64_t system, const char *id, int64_t *time)
{
    char *first = NULL;
    int result = backup_last_sign(repository, system, id, time);

    if (result != 0 || *time != 0)
        return result;
    char *folder = backup_key(repository, system, id, "");
    if (folder == NULL || store_first_key(repository->store, folder, &first) != 0 ||
        (first != NULL && store_time_of(repository->store, first, time) < 0))
        result = -1;
    free(first);
    free(folder);
    return result;
}

static int load_manifest(struct holdings *holdings, struct repository *repository, uint64_t system,
                         struct retention_backup *added)
{
    struct store_object object;
    struct backup backup;
    enum repository_result result = backup_get(repository, system, added->id, &backup, &object);

    /* one that can't be read says as little as one that is damaged: neither may let another backup go */
    if (result == REPOSITORY_FAILED && repository_answers(repository))
        result = REPOSITORY_DAMAGED;
    switch (result) {
    case REPOSITORY_OK:
        take_manifest(&backup, added);
        backup_free(&backup);
        break;
    case REPOSITORY_DAMAGED:
        added->state = RETENTION_DAMAGED;
        holdings->damaged++;
        break;
    case REPOSITORY_ABSENT:
        added->state = RETENTION_UNFINISHED;
        if (get_last_sign(repository, system, added->id, &added->stored_time) == 0)
            return 0;
        if (!repository_answers(repository))
            return -1;
        added->stored_time = holdings->retention.now; /* somebody may be at work on it */
        holdings->damaged++;
        return 0;
    default:
        return -1;
    }
    added->stored_time = object.modified;
    if (repository == holdings->repository)
        holdings->keeps_versions = holdings->keeps_versions || object.versioned;
    return 0;
}

/* The manifest is stored behind all else, and is removed behind started.json: so where these are there and it
 * is not, it was lost, or never stored in the very last moment. What is pinned had one. Nobody but a user
 * knows whether such a folder is garbage. 0, or -1 after logging. */
static int look_whether_lost(struct holdings *holdings, struct repository *repository, uint64_t system,
                             bool is_pinned, struct retention_backup *added)
{
    static const char *const files[] = {INDEX_KIND, "started.json"};
    int result = 1;

    if (!retention_is_given_up(&holdings->retention, added))
        return 0;
    for (size_t i = 0; i < sizeof files / sizeof files[0] && result == 1 && !is_pinned; i++)
        result = has_file(repository, system, added->id, files[i]);
    if (result != 1)
        return result;
    log_error("backup %s in repository \"%s\": manifest.json is missing, and %s", added->id,
              repository->settings->name, is_pinned ? "it is pinned" : "all else was stored");
    log_hint("repository-sync brings it from a repository that has it. If there is none, nothing can be "
             "restored from the folder: remove it.");
    added->state = RETENTION_DAMAGED;
    holdings->damaged++;
    return 0;
}

/* What is there besides the manifest, and the notes, tell the rest. 0, or -1 after logging. */
static int judge_folder(struct holdings *holdings, struct repository *repository, uint64_t system,
                        const struct notes *notes, struct retention_backup *added)
{
    bool is_pinned = notes_pin(notes, system, added->id) != NULL;
    int result = look_whether_lost(holdings, repository, system, is_pinned, added);

    added->is_pinned = is_pinned && added->state != RETENTION_UNFINISHED;
    return result;
}

/* Of what both have: one that is unfinished here may be complete there, else the latest sign counts; and a
 * copy is as old as what it was made of. */
static int compare_with_other(struct holdings *holdings, uint64_t system, struct retention_backup *added)
{
    int64_t here = added->stored_time, there = 0;

    if (added->state == RETENTION_UNFINISHED) {
        if (load_manifest(holdings, holdings->other, system, added) != 0)
            return -1;
        if (added->state == RETENTION_UNFINISHED && here > added->stored_time)
            added->stored_time = here;
        return 0;
    }
    char *key = backup_key(holdings->other, system, added->id, "manifest.json");
    int result = key == NULL || store_time_of(holdings->other->store, key, &there) < 0 ? -1 : 0;
    free(key);
    if (there != 0 && there < here)
        added->stored_time = there;
    return result;
}

static int load_backup(struct holdings *holdings, size_t generation, const char *id, bool is_here,
                       bool is_in_other)
{
    uint64_t system = holdings->retention.generations[generation].system_identifier;
    struct retention_backup *added = add_backup(holdings, generation, id);

    if (added == NULL ||
        load_manifest(holdings, is_here ? holdings->repository : holdings->other, system, added) != 0 ||
        (is_here && is_in_other && compare_with_other(holdings, system, added) != 0))
        return -1;
    return judge_folder(holdings, is_here ? holdings->repository : holdings->other, system, &holdings->notes,
                        added);
}

/* What is not a fact of the moment, and the plan, stay as they were. */
int holdings_look_again(struct holdings *holdings, struct retention_backup *backup, bool *has_changed)
{
    struct repository *repository = holdings->repository;
    uint64_t system = holdings->retention.generations[backup->generation].system_identifier;
    struct retention_backup now = *backup;
    struct notes notes = {NULL, 0, 0};
    int begun = 1, result = 0;

    if (backup->state == RETENTION_REMOVED)
        begun = has_file(repository, system, backup->id, "started.json");
    if (begun == 1)
        result = load_manifest(holdings, repository, system, &now) == 0 &&
                         notes_load_of(repository, system, backup->id, &notes) == REPOSITORY_OK &&
                         judge_folder(holdings, repository, system, &notes, &now) == 0
                     ? 0
                     : -1;
    notes_free(&notes);
    *has_changed = now.state != backup->state || now.stored_time != backup->stored_time ||
                   now.is_pinned != backup->is_pinned;
    *backup = now;
    return begun < 0 ? -1 : result;
}

static bool has_id(const struct backup_ids *ids, const char *id)
{
    for (size_t i = 0; i < ids->count; i++)
        if (strcmp(ids->ids[i], id) == 0)
            return true;
    return false;
}

static int load_backups(struct holdings *holdings, size_t generation, uint64_t system)
{
    struct backup_ids here = {NULL, 0, 0}, there = {NULL, 0, 0};
    int result = 0;

    if (backup_ids_load(holdings->repository, system, &here) != REPOSITORY_OK ||
        (holdings->other != NULL && backup_ids_load(holdings->other, system, &there) != REPOSITORY_OK))
        result = -1;
    for (size_t i = 0; i < here.count && result == 0; i++)
        result = load_backup(holdings, generation, here.ids[i], true, has_id(&there, here.ids[i]));
    for (size_t i = 0; i < there.count && result == 0; i++)
        if (!has_id(&here, there.ids[i]))
            result = load_backup(holdings, generation, there.ids[i], false, true);
    backup_ids_free(&here);
    backup_ids_free(&there);
    return result;
}

static bool is_known(const struct retention *retention, size_t generation, const char *id)
{
    for (size_t i = 0; i < retention->backup_count; i++)
        if (retention->backups[i].generation == generation && strcmp(retention->backups[i].id, id) == 0)
            return true;
    return false;
}

int holdings_look_for_new(struct holdings *holdings, bool *has_changed)
{
    struct retention *retention = &holdings->retention;
    int result = 0;

    *has_changed = false;
    for (size_t i = 0; i < retention->generation_count && result == 0; i++) {
        struct backup_ids ids = {NULL, 0, 0};
        if (backup_ids_load(holdings->repository, retention->generations[i].system_identifier, &ids) !=
            REPOSITORY_OK)
            result = -1;
        for (size_t k = 0; k < ids.count && result == 0; k++) {
            if (is_known(retention, i, ids.ids[k]))
                continue;
            result = load_backup(holdings, i, ids.ids[k], true, false);
            if (result == 0)
                retention->backups[retention->backup_count - 1].is_promised = true;
            *has_changed = true;
        }
        backup_ids_free(&ids);
    }
    return result;
}

/* What their reports tell */

struct reports {
    const struct retention *retention;
    size_t generation;
    struct verified_state *states; /* owned; one for each backup */
};

static bool take_report(void *context, const struct verified *verified)
{
    static const char kind[] = "base-";
    struct reports *reports = context;

    if (strncmp(verified->unit, kind, sizeof kind - 1) != 0)
        return true;
    for (size_t i = 0; i < reports->retention->backup_count; i++) {
        const struct retention_backup *backup = &reports->retention->backups[i];
        if (backup->generation == reports->generation &&
            strcmp(verified->unit + sizeof kind - 1, backup->id) == 0)
            verified_take(&reports->states[i], verified, reports->retention->now);
    }
    return true;
}

static int load_reports(struct holdings *holdings, size_t generation, uint64_t system)
{
    struct retention *retention = &holdings->retention;
    struct reports reports = {retention, generation,
                              calloc(retention->backup_count + 1, sizeof *reports.states)};
    int result = reports.states == NULL ? log_out_of_memory() : 0;

    if (result == 0 && verified_list(holdings->repository, system, take_report, &reports) != REPOSITORY_OK)
        result = -1;
    for (size_t i = 0; i < retention->backup_count && result == 0; i++)
        if (retention->backups[i].generation == generation)
            retention->backups[i].found_damaged = verified_damaged(&reports.states[i]) != 0;
    free(reports.states);
    return result;
}

/* WAL */

static int load_end(struct holdings *holdings, struct retention_generation *generation,
                    struct retention_timeline *timeline)
{
    const struct archive_timeline *archive = timeline->archive;
    char name[WAL_SEGMENT_NAME_BYTES];

    if (archive->count == 0)
        return 0;
    wal_segment_name(archive->timeline, archive->segments[archive->count - 1].number,
                     generation->segment_bytes, name);
    char *key = repository_wal_key(holdings->repository, generation->system_identifier, name);
    int result =
        key == NULL || store_time_of(holdings->repository->store, key, &timeline->end_stored) < 0 ? -1 : 0;
    if (result == 0 && timeline->end_stored == 0 && holdings->other != NULL)
        result = store_time_of(holdings->other->store, key, &timeline->end_stored) < 0 ? -1 : 0;
    free(key);
    return result;
}

static enum repository_result load_wal(struct holdings *holdings, const struct generation *from,
                                       struct retention_generation *generation)
{
    struct wal_archive *archive = &holdings->archives[holdings->archive_count++];

    generation->system_identifier = from->system_identifier;
    generation->segment_bytes = from->segment_bytes;
    wal_archive_begin(from->system_identifier, from->segment_bytes, archive);
    enum repository_result result = wal_archive_add(archive, holdings->repository, NULL, 0);
    if (result == REPOSITORY_OK && holdings->other != NULL)
        result = wal_archive_add(archive, holdings->other, NULL, 0);
    if (result == REPOSITORY_OK)
        result = wal_archive_load_histories(archive);
    if (result != REPOSITORY_OK)
        return result;
    generation->timelines = calloc(archive->count + 1, sizeof *generation->timelines);
    if (generation->timelines == NULL) {
        log_out_of_memory();
        return REPOSITORY_FAILED;
    }
    for (size_t i = 0; i < archive->count; i++)
        generation->timelines[generation->timeline_count++].archive = &archive->timelines[i];
    return REPOSITORY_OK;
}

/* Only for keep_wal, and not for the timeline that is in use: it is known to be. */
static int load_ends(struct holdings *holdings)
{
    struct retention *retention = &holdings->retention;

    for (size_t i = 0; i < retention->generation_count; i++) {
        struct retention_generation *generation = &retention->generations[i];
        size_t count = generation->timeline_count;
        if (i + 1 == retention->generation_count && count > 0)
            count--;
        for (size_t k = 0; k < count; k++)
            if (load_end(holdings, generation, &generation->timelines[k]) != 0)
                return -1;
    }
    return 0;
}

enum repository_result holdings_load(struct repository *repository, struct repository *other,
                                     struct holdings *holdings)
{
    const struct cluster *cluster = &repository->cluster;
    struct retention *retention = &holdings->retention;

    *holdings =
        (struct holdings){.repository = repository, .other = other, .keeps_versions = cluster->versioned};
    retention->policy = &repository->settings->retention;
    retention->now = store_now(repository->store);
    holdings->archives = calloc(cluster->generation_count, sizeof *holdings->archives);
    retention->generations = calloc(cluster->generation_count, sizeof *retention->generations);
    if (holdings->archives == NULL || retention->generations == NULL) {
        log_out_of_memory();
        return REPOSITORY_FAILED;
    }
    if (notes_load(repository, &holdings->notes) != REPOSITORY_OK)
        return REPOSITORY_FAILED;
    for (size_t i = 0; i < holdings->notes.count; i++)
        holdings->damaged += holdings->notes.items[i].is_damaged;
    for (size_t i = 0; i < cluster->generation_count; i++) {
        struct retention_generation *generation = &retention->generations[retention->generation_count++];
        /* WAL first: what a backup needs that is completed meanwhile is then at worst not seen, and stays */
        enum repository_result result = load_wal(holdings, &cluster->generations[i], generation);
        if (result != REPOSITORY_OK)
            return result;
        if (load_backups(holdings, i, generation->system_identifier) != 0 ||
            load_reports(holdings, i, generation->system_identifier) != 0)
            return REPOSITORY_FAILED;
    }
    return retention->policy->keep_wal_seconds == 0 || load_ends(holdings) == 0 ? REPOSITORY_OK
                                                                                : REPOSITORY_FAILED;
}

void holdings_free(struct holdings *holdings)
{
    retention_free(&holdings->retention);
    for (size_t i = 0; i < holdings->archive_count; i++)
        wal_archive_close(&holdings->archives[i]);
    free(holdings->archives);
    notes_free(&holdings->notes);
    *holdings = (struct holdings){.repository = NULL};
}
