#include "expire.h"

#include "common/index_entry.h"
#include "common/log.h"
#include "common/removal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct expiry {
    struct expire_plan *plan;
    struct holdings *holdings; /* of the plan */
    struct removal removal;
};

static uint64_t system_of(const struct expiry *expiry, const struct retention_backup *backup)
{
    return expiry->holdings->retention.generations[backup->generation].system_identifier;
}

/* All below prefix. As removal_run. */
static int remove_below(struct expiry *expiry, const char *prefix,
                        enum removal_choice (*choose)(void *context, const char *key), void *context)
{
    const struct removal_wish wish = {.prefix = prefix, .choose = choose, .context = context};

    return prefix == NULL ? -1 : removal_run(&expiry->removal, &wish);
}

/* Asked again before it goes */

static const char *what_happened(const struct retention_backup *before, const struct retention_backup *now)
{
    bool was_one = before->state == RETENTION_COMPLETE || before->state == RETENTION_DAMAGED;

    if (now->is_pinned && !before->is_pinned)
        return "pinned";
    if (now->state == RETENTION_COMPLETE)
        return was_one ? "stored anew" : "completed";
    if (now->state == RETENTION_DAMAGED)
        return "found damaged";
    if (before->state == RETENTION_REMOVED)
        return "begun anew";
    return was_one || now->stored_time < before->stored_time ? "removed by another run" : "gone on with";
}

/* Since the plan was made a backup may have been pinned, completed, gone on with, begun anew, or removed by
 * another run: then it stays for now, with what it needs, and the next run decides. 1: it goes; 0: it stays;
 * -1 after logging. */
static int still_goes(struct expiry *expiry, struct retention_backup *backup)
{
    const struct retention_backup before = *backup;
    bool has_changed;

    if (holdings_look_again(expiry->holdings, backup, &has_changed) != 0)
        return -1;
    if (!has_changed)
        return 1;
    backup->is_promised = true;
    log_info("backup %s has been %s meanwhile: it stays", backup->id, what_happened(&before, backup));
    return expire_plan_again(expiry->plan);
}

/* Manifests */

static enum removal_choice choose_exactly(void *context, const char *key)
{
    return strcmp(key, context) == 0 ? REMOVAL_TAKE : REMOVAL_PASS;
}

static int remove_file(struct expiry *expiry, const struct retention_backup *backup, const char *file)
{
    char *key = backup_key(expiry->holdings->repository, system_of(expiry, backup), backup->id, file);
    int result = remove_below(expiry, key, choose_exactly, key);

    free(key);
    return result;
}

/* In this order: a folder with all but its manifest has lost it, so it stays; this one does not look so,
 * wherever a run is killed. And until the manifest goes nothing is missing that a restore needs. Who pins it
 * looks for started.json behind the note: either it is missing there, or the note is seen here. */
static int remove_manifest(struct expiry *expiry, struct retention_backup *backup)
{
    static const char *const files[] = {"started.json", "manifest.json"};

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        int result = still_goes(expiry, backup);
        if (result != 1)
            return result;
        result = remove_file(expiry, backup, files[i]);
        if (result == 1) { /* or that it is locked may not be asked */
            backup->lock.is_locked = true;
            return expire_plan_again(expiry->plan);
        }
        if (result != 0)
            return -1;
    }
    backup->state = RETENTION_REMOVED;
    return remove_file(expiry, backup, INDEX_KIND) < 0 ? -1 : 0;
}

static int remove_manifests(struct expiry *expiry)
{
    struct retention *retention = &expiry->holdings->retention;
    int result = 0;

    for (size_t i = 0; i < retention->backup_count && result == 0; i++) {
        struct retention_backup *backup = &retention->backups[i];
        if (backup->state != RETENTION_COMPLETE || backup->reasons != 0)
            continue;
        result = remove_manifest(expiry, backup);
    }
    return result;
}

/* Folders */

/* What tells that this was a backup, and since when it is none, goes last. */
static enum removal_choice choose_but_started(void *context, const char *key)
{
    (void)context;
    return strcmp(strrchr(key, '/'), "/started.json") == 0 ? REMOVAL_PASS : REMOVAL_TAKE;
}

static int remove_notes(struct expiry *expiry, const struct retention_backup *backup)
{
    char *rest = string_printf("notes/%s.", backup->id);
    char *prefix = rest == NULL
                       ? NULL
                       : repository_system_key(expiry->holdings->repository, system_of(expiry, backup), rest);
    int result = remove_below(expiry, prefix, NULL, NULL);

    free(prefix);
    free(rest);
    return result;
}

static int remove_folder(struct expiry *expiry, const struct retention_backup *backup)
{
    char *prefix = backup_key(expiry->holdings->repository, system_of(expiry, backup), backup->id, "");
    int result = remove_below(expiry, prefix, choose_but_started, NULL);

    if (result == 0) /* else it still has parts */
        result = remove_below(expiry, prefix, NULL, NULL);
    if (prefix != NULL)
        store_remove_folder(expiry->holdings->repository->store, prefix); /* of a directory that was empty */
    free(prefix);
    return result;
}

static int remove_backup(struct expiry *expiry, struct retention_backup *backup)
{
    int result = still_goes(expiry, backup);

    if (result <= 0)
        return result;
    result = remove_folder(expiry, backup);
    if (result == 0)
        result = remove_notes(expiry, backup);
    return result < 0 ? -1 : 0; /* what is locked is for a later run */
}

static int remove_backups(struct expiry *expiry)
{
    struct retention *retention = &expiry->holdings->retention;
    int result = 0;

    expiry->removal.removes_folders = true;
    for (size_t i = 0; i < retention->backup_count && result == 0; i++)
        if (retention->backups[i].reasons == 0)
            result = remove_backup(expiry, &retention->backups[i]);
    return result;
}

/* What was never finished. Whoever may not abort uploads can remove all the rest. */

static int remove_leftovers(struct expiry *expiry, const struct leftovers *leftovers)
{
    for (size_t i = 0; i < leftovers->count; i++) {
        const struct leftover *leftover = &leftovers->items[i];
        if (leftover->verdict != LEFTOVER_GOES)
            continue;
        if (store_abort_unfinished(expiry->holdings->repository->store, leftover->key, leftover->upload_id) !=
            STORE_OK)
            return -1;
        expiry->removal.removed++;
        expiry->removal.removed_bytes += leftover->bytes;
    }
    return 0;
}

/* WAL */

struct span_choice {
    const struct retention_generation *generation;
    uint32_t timeline;
    const struct retention_span *span;
};

/* Numbers of the first and last segment that a file below wal/ tells of. */
static bool file_numbers(const struct span_choice *choice, const char *file, uint64_t *first, uint64_t *last)
{
    char first_name[WAL_SEGMENT_NAME_BYTES], last_name[WAL_SEGMENT_NAME_BYTES];
    uint32_t segment_bytes = choice->generation->segment_bytes;
    struct wal_name name = wal_name_parse(file), end = name;

    if (wal_gap_name_parse(file, first_name, last_name)) {
        name = wal_name_parse(first_name);
        end = wal_name_parse(last_name);
    } else if (name.kind != WAL_SEGMENT && name.kind != WAL_PARTIAL && name.kind != WAL_BACKUP) {
        return false; /* a .history above all, and what is none of ours */
    }
    return name.timeline == choice->timeline && wal_segment_number(&name, segment_bytes, first) &&
           wal_segment_number(&end, segment_bytes, last);
}

static enum removal_choice choose_file(const struct span_choice *choice, const char *file)
{
    uint64_t first, last;

    if (!file_numbers(choice, file, &first, &last))
        return REMOVAL_PASS;
    if (first > choice->span->last)
        return REMOVAL_END;
    return first >= choice->span->first && last <= choice->span->last ? REMOVAL_TAKE : REMOVAL_PASS;
}

static enum removal_choice choose_wal(void *context, const char *key)
{
    return choose_file(context, strrchr(key, '/') + 1);
}

/* Also of a segment that was never stored. */
static enum removal_choice choose_points(void *context, const char *key)
{
    char segment[WAL_SEGMENT_NAME_BYTES];

    return wal_points_name_parse(strrchr(key, '/') + 1, segment) ? choose_file(context, segment)
                                                                 : REMOVAL_PASS;
}

/* An index is of a whole log. */
static enum removal_choice choose_index(void *context, const char *key)
{
    const struct span_choice *choice = context;
    const char *file = strrchr(key, '/') + 1;
    uint64_t per_log = 0x100000000u / choice->generation->segment_bytes;

    if (strlen(file) != 16 || strspn(file, "0123456789ABCDEF") != 16)
        return REMOVAL_PASS;
    uint64_t first = strtoull(file + 8, NULL, 16) * per_log;
    if (first > choice->span->last)
        return REMOVAL_END;
    return first >= choice->span->first && first + per_log - 1 <= choice->span->last ? REMOVAL_TAKE
                                                                                     : REMOVAL_PASS;
}

/* The key behind those of segments before the span: '~' comes after all that a name may hold. */
static char *key_before(struct repository *repository, const struct span_choice *choice, const char *folder,
                        bool in_logs)
{
    char name[WAL_SEGMENT_NAME_BYTES], rest[96];

    if (choice->span->first == 0)
        return NULL;
    wal_segment_name(choice->timeline, choice->span->first - 1, choice->generation->segment_bytes, name);
    if (in_logs)
        snprintf(rest, sizeof rest, "%s%.16s/%s~", folder, name, name);
    else
        snprintf(rest, sizeof rest, "%s%s~", folder, name);
    return repository_system_key(repository, choice->generation->system_identifier, rest);
}

/* folder: "wal/" and the like. in_logs: it has a folder for each log. */
static int remove_of_span(struct expiry *expiry, struct span_choice *choice, const char *folder, bool in_logs,
                          enum removal_choice (*choose)(void *context, const char *key))
{
    struct repository *repository = expiry->holdings->repository;
    char rest[48];

    snprintf(rest, sizeof rest, "%s%08X", folder, (unsigned)choice->timeline);
    char *prefix = repository_system_key(repository, choice->generation->system_identifier, rest);
    char *after = choose != choose_index ? key_before(repository, choice, folder, in_logs) : NULL;
    const struct removal_wish wish = {prefix, after, choose, choice};
    expiry->removal.removes_folders = in_logs;
    int result = prefix == NULL ? -1 : removal_run(&expiry->removal, &wish);
    free(after);
    free(prefix);
    return result < 0 ? -1 : 0;
}

static int remove_span(struct expiry *expiry, const struct retention_generation *generation,
                       const struct retention_timeline *timeline, const struct retention_span *span)
{
    struct span_choice choice = {generation, timeline->archive->timeline, span};

    if (remove_of_span(expiry, &choice, "wal/", true, choose_wal) != 0)
        return -1;
    if (remove_of_span(expiry, &choice, "restore-points/", false, choose_points) != 0)
        return -1;
    return remove_of_span(expiry, &choice, "index/", false, choose_index);
}

/* A backup that was begun meanwhile may need WAL that was to go: one of a standby that is far behind, or a
 * copy. */
static int remove_wal(struct expiry *expiry)
{
    const struct retention *retention = &expiry->holdings->retention;
    bool has_changed;
    int result = holdings_look_for_new(expiry->holdings, &has_changed);

    if (result == 0 && has_changed)
        result = expire_plan_again(expiry->plan);

    for (size_t i = 0; i < retention->generation_count; i++) {
        const struct retention_generation *generation = &retention->generations[i];
        for (size_t k = 0; k < generation->timeline_count; k++) {
            const struct retention_timeline *timeline = &generation->timelines[k];
            for (size_t s = 0; s < timeline->span_count && result == 0; s++)
                if (!timeline->spans[s].stays)
                    result = remove_span(expiry, generation, timeline, &timeline->spans[s]);
        }
    }
    return result;
}

/* What the plan has told to stay stays: another that is completed meanwhile takes nobody's place in this run.
 */
static void promise(struct retention *retention)
{
    for (size_t i = 0; i < retention->backup_count; i++)
        retention->backups[i].is_promised = retention->backups[i].reasons != 0;
}

int expire_carry_out(struct expire_plan *plan, struct expire_result *result)
{
    struct holdings *holdings = &plan->holdings;
    struct expiry expiry = {plan, holdings, REMOVAL_OF(holdings->repository, holdings->keeps_versions)};
    int done = plan->lacks_leftovers ? -1 : 0;

    promise(&holdings->retention);
    if (remove_manifests(&expiry) != 0) {
        done = -1;
    } else {
        if (remove_leftovers(&expiry, &plan->leftovers) != 0)
            done = -1;
        if (remove_backups(&expiry) != 0 || remove_wal(&expiry) != 0)
            done = -1;
    }
    *result =
        (struct expire_result){expiry.removal.removed, expiry.removal.locked, expiry.removal.removed_bytes};
    removal_free(&expiry.removal);
    return done;
}
