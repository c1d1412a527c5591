#include "verify_wal.h"

#include "common/interrupt.h"
#include "common/window.h"
#include "verify_folders.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

char *verify_segment_key(const struct verify *verify, uint32_t timeline, uint64_t number)
{
    char name[WAL_SEGMENT_NAME_BYTES];

    wal_segment_name(timeline, number, verify->system->segment_bytes, name);
    return repository_wal_key(verify->repository, verify->system->system_identifier, name);
}

void verify_backup_segments(const struct backup *backup, uint64_t *first, uint64_t *last)
{
    *first = backup->start_lsn / backup->segment_bytes;
    *last = backup->stop_lsn > backup->start_lsn ? (backup->stop_lsn - 1) / backup->segment_bytes : *first;
}

/* The archive */

/* Timeline 1 has no history, by definition; all others are found by theirs. 0, or -1 after logging. */
static int need_history(struct verify *verify, uint32_t timeline)
{
    uint64_t system = verify->system->system_identifier;
    struct timeline_history history = {.timeline = 0};
    char name[WAL_SEGMENT_NAME_BYTES];
    int judged = 0;

    wal_history_name(timeline, name);
    char *key = repository_wal_key(verify->repository, system, name);
    enum repository_result result =
        key == NULL ? REPOSITORY_FAILED
                    : repository_get_history(verify->repository, system, timeline, &history);
    if (result == REPOSITORY_OK)
        timeline_history_free(&history);
    else if (result == REPOSITORY_ABSENT)
        findings_add(verify->findings, FINDING_MISSING, key,
                     "\"%s\" is missing: without it no recovery finds timeline %u", name, timeline);
    else if (result == REPOSITORY_DAMAGED)
        findings_add_logged(verify->findings, FINDING_DAMAGED, key);
    else if (result == REPOSITORY_FAILED && key != NULL)
        judged = verify_tell_unreadable(verify->findings, verify->repository, key);
    free(key);
    return key == NULL ? -1 : judged;
}

static void look_at_lengths(struct verify *verify, const struct archive_timeline *timeline)
{
    for (size_t i = 0; i < timeline->count; i++) {
        const struct archive_segment *segment = &timeline->segments[i];
        if (segment->stored_bytes > verify_wal_file.least_bytes)
            continue;
        char *key = verify_segment_key(verify, timeline->timeline, segment->number);
        if (key != NULL)
            verify_look_at_length(verify, &verify_wal_file, key, segment->stored_bytes);
        free(key);
    }
}

static void tell_foreign(struct verify *verify)
{
    char *prefix = repository_system_key(verify->repository, verify->system->system_identifier, "wal/");

    if (prefix != NULL && verify->archive.foreign_count > 0)
        findings_add(verify->findings, FINDING_ORPHAN, prefix, "%zu names below \"%s\" are not of WAL files",
                     verify->archive.foreign_count, store_describe(verify->repository->store, prefix));
    free(prefix);
}

int verify_wal_load(struct verify *verify)
{
    struct wal_archive *archive = &verify->archive;
    enum repository_result result = wal_archive_load(verify->repository, verify->system->system_identifier,
                                                     verify->system->segment_bytes, archive);

    if ((result != REPOSITORY_OK && result != REPOSITORY_DAMAGED) || wal_archive_settle(archive) != 0)
        return -1;
    verify->segments_done += archive->segment_count;
    if (verify_is_narrow(verify->settings))
        return 0;
    tell_foreign(verify);
    for (size_t i = 0; i < archive->count; i++) {
        const struct archive_timeline *timeline = &archive->timelines[i];
        look_at_lengths(verify, timeline);
        bool is_doubtful = !timeline->has_history || result == REPOSITORY_DAMAGED;
        if (timeline->timeline != 1 && is_doubtful && need_history(verify, timeline->timeline) != 0)
            return -1;
    }
    return 0;
}

/* From a backup on */

static void tell_incomplete(struct verify *verify, const struct backup *backup, const char *missing)
{
    findings_add(verify->findings, FINDING_INCOMPLETE, backup->id,
                 "backup %s in repository \"%s\" can't be recovered: WAL segment %s, which makes it "
                 "consistent, is missing",
                 backup->id, verify->repository->settings->name, missing);
}

static void tell_hole(struct verify *verify, const struct backup *backup, const struct archive_run *run,
                      const char *missing)
{
    char *key = verify_segment_key(verify, run->missing_timeline, run->last + 1);
    char next[WAL_SEGMENT_NAME_BYTES], why[96] = "its timeline was left only later";

    if (run->has_later) {
        wal_segment_name(run->next_timeline, run->next, verify->system->segment_bytes, next);
        snprintf(why, sizeof why, "there is more from %s on", next);
    }
    if (key != NULL)
        findings_add(
            verify->findings, FINDING_HOLE, key,
            "WAL segment %s %s in repository \"%s\", and %s: no recovery from backup %s gets past it",
            missing, run->is_marked ? "was let go of (on_full = drop)" : "is missing",
            verify->repository->settings->name, why, backup->id);
    free(key);
}

static bool is_by_retention(const struct verify *verify, const struct archive_run *run)
{
    for (size_t i = 0; i < verify->backup_count; i++)
        if (window_hole_is_expired(&verify->archive, run, &verify->backups[i].backup))
            return true;
    return false;
}

/* Along one timeline. */
static void follow(struct verify *verify, const struct backup *backup, const struct timeline_history *history)
{
    char missing[WAL_SEGMENT_NAME_BYTES];
    struct window_origin origin;
    struct archive_run run;

    if (!window_leads(history, backup))
        return;
    window_origin_of(backup, &origin);
    bool is_complete = window_origin_follow(&verify->archive, history, &origin, &run);
    if (is_complete && (!run.is_hole || is_by_retention(verify, &run)))
        return;
    if (verify_backup_is_gone(verify->repository, backup))
        return;
    if (run.last < run.first)
        run.last = run.first - 1;
    wal_segment_name(run.missing_timeline, run.last + 1, verify->system->segment_bytes, missing);
    if (!is_complete)
        tell_incomplete(verify, backup, missing);
    else
        tell_hole(verify, backup, &run, missing);
}

/* Of its own timeline there may be nothing in the archive. */
static void follow_all(struct verify *verify, const struct backup *backup)
{
    const struct wal_archive *archive = &verify->archive;
    const struct timeline_history own = {.timeline = backup->timeline};

    if (wal_archive_timeline(archive, backup->timeline) == NULL)
        follow(verify, backup, &own);
    for (size_t i = 0; i < archive->count; i++)
        follow(verify, backup, &archive->timelines[i].history);
}

/* Where no backup is, or leads */

static bool is_led_to(const struct verify *verify, const struct timeline_history *history)
{
    for (size_t i = 0; i < verify->backup_count; i++)
        if (window_leads(history, &verify->backups[i].backup))
            return true;
    return false;
}

static void tell_bare_hole(struct verify *verify, uint32_t timeline, const struct archive_gap *hole)
{
    char *key = verify_segment_key(verify, timeline, hole->first);
    char first[WAL_SEGMENT_NAME_BYTES], next[WAL_SEGMENT_NAME_BYTES];

    wal_segment_name(timeline, hole->first, verify->system->segment_bytes, first);
    wal_segment_name(timeline, hole->last + 1, verify->system->segment_bytes, next);
    if (key != NULL)
        findings_add(verify->findings, FINDING_HOLE, key,
                     "WAL segment %s is missing in repository \"%s\", and there is more from %s on", first,
                     verify->repository->settings->name, next);
    free(key);
}

static void find_bare_holes(struct verify *verify)
{
    for (size_t i = 0; i < verify->archive.count; i++) {
        const struct archive_timeline *timeline = &verify->archive.timelines[i];
        struct archive_gap hole;
        if (is_led_to(verify, &timeline->history))
            continue;
        for (uint64_t from = 0; wal_archive_next_hole(timeline, from, &hole); from = hole.last + 1)
            tell_bare_hole(verify, timeline->timeline, &hole);
    }
}

static bool is_one_at_work(const struct verify *verify)
{
    for (size_t i = 0; i < verify->inventory.count; i++)
        if (verify->inventory.folders[i].is_alive)
            return true;
    return false;
}

/* WAL alone brings nothing back. */
static void tell_no_backup(struct verify *verify)
{
    char *prefix = repository_system_key(verify->repository, verify->system->system_identifier, "base/");

    if (prefix != NULL)
        findings_add(verify->findings, FINDING_MISSING, prefix,
                     "repository \"%s\" has WAL of system %" PRIu64
                     ", but no complete backup: nothing can be recovered",
                     verify->repository->settings->name, verify->system->system_identifier);
    free(prefix);
}

int verify_wal(struct verify *verify)
{
    for (size_t i = 0; i < verify->backup_count; i++)
        if (interrupt_requested())
            return -1;
        else if (verify->backups[i].is_selected)
            follow_all(verify, &verify->backups[i].backup);
    if (verify->settings->is_wal)
        find_bare_holes(verify);
    else if (verify->backup_count == 0 && verify->archive.segment_count > 0 &&
             !verify_is_narrow(verify->settings) && !is_one_at_work(verify))
        tell_no_backup(verify);
    return 0;
}
