#include "hold.h"

#include "common/log.h"
#include "common/note.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The WAL that makes a backup consistent; none where first > last. */
struct span {
    uint32_t timeline, segment_bytes;
    uint64_t first, last;
};

struct holding {
    struct repository *repository;
    uint64_t system_identifier;
    const char *id;
    bool on, failed, lacks; /* lacks: something that belongs to the backup is not there */
    unsigned count;
    char *key;      /* of the object that was held last in the listing that is read; owned */
    uint64_t found; /* so many objects were held in it */
    bool is_known;  /* the manifest could be read */
    struct span span;
    struct span *others; /* of the other backups that are pinned; owned */
    size_t other_count;
    bool others_are_known;
};

/* --- what is needed, and by whom else
 * ----------------------------------------------------------------------- */

static struct span span_of(const struct backup *backup)
{
    struct span span = {backup->timeline, backup->segment_bytes, 1, 0};

    if (!backup->wal_included && backup->stop_lsn > backup->start_lsn) {
        span.first = backup->start_lsn / backup->segment_bytes;
        span.last = (backup->stop_lsn - 1) / backup->segment_bytes;
    }
    return span;
}

/* OK, ABSENT, DAMAGED or FAILED. */
static enum repository_result read_span(struct repository *repository, uint64_t system_identifier,
                                        const char *id, struct span *span)
{
    struct store_object object;
    struct backup backup;
    enum repository_result result = backup_get(repository, system_identifier, id, &backup, &object);

    if (result == REPOSITORY_OK) {
        *span = span_of(&backup);
        backup_free(&backup);
    }
    return result;
}

static int add_other(struct holding *holding, const struct noted *noted, bool *are_any)
{
    const char *id = noted->note.backup;
    uint64_t system = noted->note.system_identifier;
    struct span *more =
        realloc(holding->others, (holding->other_count + 1) * sizeof *more); /* pins are few */

    if (more == NULL)
        return log_out_of_memory();
    holding->others = more;
    switch (read_span(holding->repository, system, id, &more[holding->other_count])) {
    case REPOSITORY_OK:
        holding->other_count += system == holding->system_identifier;
        *are_any = true;
        return 0;
    case REPOSITORY_ABSENT: /* it was removed all the same */
        return 0;
    case REPOSITORY_DAMAGED:
        holding->others_are_known = false;
        *are_any = true;
        return 0;
    default:
        return -1;
    }
}

static bool is_other_pin(const struct holding *holding, const struct notes *notes, const struct note *note)
{
    return (note->system_identifier != holding->system_identifier ||
            strcmp(note->backup, holding->id) != 0) &&
           notes_pin(notes, note->system_identifier, note->backup) != NULL;
}

/* Also whether any other is pinned at all. 0, or -1 after logging. */
static int find_others(struct holding *holding, const struct notes *notes, bool *are_any)
{
    int result = 0;

    *are_any = false;
    holding->others_are_known = true;
    for (size_t i = 0; i < notes->count && result == 0; i++)
        if (is_other_pin(holding, notes, &notes->items[i].note))
            result = add_other(holding, &notes->items[i], are_any);
    return result;
}

static bool is_in(const struct span *span, uint32_t timeline, uint64_t number)
{
    return span->timeline == timeline && span->first <= number && number <= span->last;
}

/* A segment of the backup's own WAL; when holds are taken off only what no other pinned backup needs. */
static bool is_own_segment(const struct holding *holding, const char *name)
{
    struct wal_name parsed = wal_name_parse(name);
    uint64_t number;

    if (parsed.kind != WAL_SEGMENT || !wal_segment_number(&parsed, holding->span.segment_bytes, &number) ||
        !is_in(&holding->span, parsed.timeline, number))
        return false;
    for (size_t i = 0; i < holding->other_count; i++)
        if (is_in(&holding->others[i], parsed.timeline, number))
            return false;
    return true;
}

/* --- holds
 * -------------------------------------------------------------------------------------------------- */

/* They come newest first: on is held the newest content, also below the marker of somebody's deletion. */
static bool set_hold(struct holding *holding, const struct store_version *version)
{
    bool is_next = holding->key != NULL && strcmp(holding->key, version->key) == 0;

    if (version->is_delete_marker || (holding->on && is_next))
        return true;
    holding->failed = store_set_hold(holding->repository->store, version->key, version->version_id,
                                     holding->on) != STORE_OK;
    if (!holding->failed && !is_next) {
        free(holding->key);
        holding->key = string_copy(version->key);
        holding->failed = holding->key == NULL;
        holding->found++;
    }
    holding->count += !holding->failed;
    return !holding->failed;
}

static bool hold_any(void *context, const struct store_version *version)
{
    size_t length = strlen(version->key), skipped = strlen("/heartbeat.json");

    if (length > skipped && strcmp(version->key + length - skipped, "/heartbeat.json") == 0)
        return true;
    return set_hold(context, version);
}

static bool hold_segment(void *context, const struct store_version *version)
{
    const char *name = strrchr(version->key, '/');

    return name == NULL || !is_own_segment(context, name + 1) || set_hold(context, version);
}

/* prefix is freed here; NULL: memory was short. 0, or -1 after logging. */
static int hold_below(struct holding *holding, char *prefix,
                      bool (*each)(void *context, const struct store_version *version))
{
    const struct store_version_listing listing = {prefix, NULL, each, holding};
    int result;

    holding->found = 0;
    result = prefix != NULL && store_list_versions(holding->repository->store, &listing) == STORE_OK &&
                     !holding->failed
                 ? 0
                 : -1;
    free(holding->key);
    holding->key = NULL;
    free(prefix);
    return result;
}

/* Of those of which there must be some. */
static int hold_all_below(struct holding *holding, char *prefix, const char *what)
{
    int result = hold_below(holding, prefix, hold_any);

    if (result == 0 && holding->on && holding->found == 0) {
        log_error("%s: %s is missing", holding->repository->settings->name, what);
        holding->lacks = true;
    }
    return result;
}

static char *system_key(const struct holding *holding, char *rest)
{
    char *key =
        rest == NULL ? NULL : repository_system_key(holding->repository, holding->system_identifier, rest);

    free(rest);
    return key;
}

static int hold_wal(struct holding *holding)
{
    const struct span *span = &holding->span;
    uint64_t per_log = span->segment_bytes == 0 ? 1 : wal_segments_per_log(span->segment_bytes);
    uint64_t missing;

    if (!holding->is_known || span->first > span->last)
        return 0;
    missing = span->last - span->first + 1;
    for (uint64_t log = span->first / per_log; log <= span->last / per_log; log++) {
        if (hold_below(
                holding,
                system_key(holding, string_printf("wal/%08X%08X/", (unsigned)span->timeline, (unsigned)log)),
                hold_segment) != 0)
            return -1;
        missing -= holding->found < missing ? holding->found : missing;
    }
    if (holding->on && missing > 0) {
        log_error("%s: %" PRIu64 " segment%s of the WAL that backup %s needs %s missing",
                  holding->repository->settings->name, missing, missing == 1 ? "" : "s", holding->id,
                  missing == 1 ? "is" : "are");
        holding->lacks = true;
    }
    return 0;
}

/* A recovery asks for the history of the backup's timeline, which tells of its ancestors, too. */
static int hold_history(struct holding *holding)
{
    char name[WAL_SEGMENT_NAME_BYTES];

    if (!holding->is_known || holding->span.timeline == 1)
        return 0;
    for (size_t i = 0; i < holding->other_count; i++)
        if (holding->others[i].timeline == holding->span.timeline)
            return 0;
    wal_history_name(holding->span.timeline, name);
    return hold_all_below(holding, repository_wal_key(holding->repository, holding->system_identifier, name),
                          name);
}

/* What nothing can be read without. */
static int hold_cluster(struct holding *holding)
{
    const struct repository *repository = holding->repository;

    return hold_all_below(holding, repository_cluster_key(repository), "cluster.json") == 0
               ? hold_below(holding, string_printf("%s/keys/", repository->config->cluster_name), hold_any)
               : -1;
}

/* pins: where holds are taken off, else NULL. */
static int hold_all(struct holding *holding, const struct notes *pins)
{
    bool shares = false;

    if (pins != NULL && find_others(holding, pins, &shares) != 0)
        return -1;
    if (hold_below(holding, system_key(holding, string_printf("base/%s/", holding->id)), hold_any) != 0)
        return -1;
    if (!holding->is_known)
        log_warning("%s: the manifest of backup %s is damaged: what WAL it needs is not known, so %s",
                    holding->repository->settings->name, holding->id,
                    holding->on ? "none is held" : "its holds are left as they are");
    if (!holding->on && !holding->others_are_known) {
        log_warning("%s: which WAL another pinned backup needs is not known: the holds on WAL stay",
                    holding->repository->settings->name);
        return 0;
    }
    if (hold_wal(holding) != 0 || hold_history(holding) != 0)
        return -1;
    return shares ? 0 : hold_cluster(holding);
}

/* A pin that was put on meanwhile may have lost holds that it had just got: its note was stored before them.
 */
static int hold_newly_pinned(const struct holding *holding, const struct notes *before)
{
    struct notes now;
    int result = 0;
    bool knows_wal;

    if (notes_load(holding->repository, &now) != REPOSITORY_OK)
        return -1;
    for (size_t i = 0; i < now.count && result == 0; i++) {
        const struct note *note = &now.items[i].note;
        if (!is_other_pin(holding, &now, note) ||
            notes_pin(before, note->system_identifier, note->backup) != NULL)
            continue;
        result = hold_backup(holding->repository, note->system_identifier, note->backup, true, &knows_wal);
        if (result != 0)
            log_error("%s: backup %s has been pinned meanwhile, and not all that it needs is held",
                      holding->repository->settings->name, note->backup);
    }
    notes_free(&now);
    return result;
}

static int take_holds_off(struct holding *holding)
{
    struct notes pins;
    int result;

    if (notes_load(holding->repository, &pins) != REPOSITORY_OK)
        return -1;
    result = hold_all(holding, &pins) == 0 ? hold_newly_pinned(holding, &pins) : -1;
    notes_free(&pins);
    return result;
}

int hold_backup(struct repository *repository, uint64_t system_identifier, const char *id, bool on,
                bool *knows_wal)
{
    struct holding holding = {
        .repository = repository, .system_identifier = system_identifier, .id = id, .on = on};
    enum repository_result known = read_span(repository, system_identifier, id, &holding.span);
    int result = -1;

    holding.is_known = known == REPOSITORY_OK;
    if (known == REPOSITORY_ABSENT)
        log_error("%s: backup %s is not there any more", repository->settings->name, id);
    if (known == REPOSITORY_OK || known == REPOSITORY_DAMAGED)
        result = on ? hold_all(&holding, NULL) : take_holds_off(&holding);
    if (result == 0 && holding.lacks) {
        log_hint("All that is there of backup %s is held; without the rest it cannot be restored. "
                 "basebackup-verify tells what is missing; when it is there again, the same "
                 "command again holds that, too.",
                 id);
        result = -1;
    } else if (result != 0) {
        log_hint("%u objects of backup %s have been seen to; the same command again does all. It needs "
                 "s3:ListBucketVersions, s3:GetBucketObjectLockConfiguration and s3:PutObjectLegalHold, and "
                 "a bucket with object lock; legal_hold = "
                 "no in section [repository %s] leaves holds alone.",
                 holding.count, id, repository->settings->name);
    }
    *knows_wal = holding.is_known;
    free(holding.others);
    return result;
}
