/* The proof that a target can be reached. */
#include "window_proving.h"

#include "restore_point.h"

#include <stdlib.h>
#include <string.h>

/* Where recovery begins */

void window_origin_of(const struct backup *backup, struct window_origin *origin)
{
    *origin = (struct window_origin){backup, backup->start_lsn, backup->stop_lsn};
}

bool window_origin_follow(const struct wal_archive *archive, const struct timeline_history *history,
                          const struct window_origin *origin, struct archive_run *run)
{
    uint64_t first = origin->start_lsn / archive->segment_bytes;
    uint64_t needed = origin->stop_lsn == 0 ? first : (origin->stop_lsn - 1) / archive->segment_bytes;
    bool is_included = origin->backup != NULL && origin->backup->wal_included;

    wal_archive_follow(archive, history, history->timeline, first, run);
    if (run->last >= needed && run->last >= run->first)
        return true;
    if (is_included)
        wal_archive_follow(archive, history, history->timeline, needed, run);
    /* Its last segment is in it, too; that of a standby's was not written to its end. */
    if (is_included && run->last < needed && !origin->backup->from_standby)
        wal_archive_follow(archive, history, history->timeline, needed + 1, run);
    return is_included;
}

void proving_conclude(struct window_proof *proof, enum window_verdict verdict, enum window_reason reason)
{
    proof->verdict = verdict;
    proof->reason = reason;
}

void proving_refuse_if_known(struct window_proof *proof, enum window_reason reason)
{
    proving_conclude(proof, proof->times.is_known ? WINDOW_REFUSED : WINDOW_UNKNOWN, reason);
}

uint64_t proving_segment_behind(const struct wal_archive *archive, uint64_t lsn)
{
    return (lsn - 1) / archive->segment_bytes;
}

/* A time */

static bool ends_in_run(const struct proving *proving, const struct backup *backup)
{
    return backup->system_identifier == proving->archive->system_identifier &&
           window_leads(proving->history, backup) && backup->stop_lsn > proving->proof->origin.stop_lsn &&
           proving_segment_behind(proving->archive, backup->stop_lsn) <= proving->proof->run.last;
}

/* Commits before the newest backup that ended before the target need not be looked at. */
static uint64_t enough_segment(const struct proving *proving)
{
    uint64_t segment = proving->proof->run.first;

    for (size_t i = 0; i < proving->backups->count; i++) {
        const struct backup *backup = &proving->backups->backups[i];
        if (ends_in_run(proving, backup) && backup->stop_time < proving->target->time &&
            backup->start_lsn / proving->archive->segment_bytes > segment)
            segment = backup->start_lsn / proving->archive->segment_bytes;
    }
    return segment;
}

static void take_evidence(struct proving *proving, int64_t time)
{
    if (time > proving->proof->covered_until)
        proving->proof->covered_until = time;
}

static bool look_at_point_time(void *context, uint32_t timeline, const struct wal_restore_point *point)
{
    struct proving *proving = context;
    uint64_t number = proving_segment_behind(proving->archive, point->lsn), ignored;

    if (point->lsn > proving->proof->times.last_lsn && number >= proving->proof->run.first &&
        number <= proving->proof->run.last &&
        wal_archive_way(proving->history, proving->archive->segment_bytes, number, &ignored) == timeline)
        take_evidence(proving, point->time);
    return true;
}

enum repository_result
proving_find_points(struct proving *proving, struct repository *repository, uint64_t lsn, const char *name,
                    bool (*each)(void *context, uint32_t timeline, const struct wal_restore_point *point))
{
    const struct wal_archive *archive = proving->archive;

    return restore_points_find(repository, archive->system_identifier, archive->segment_bytes,
                               lsn / archive->segment_bytes, name, each, proving);
}

/* Up to when it is known that nothing was committed behind the last commit. A backup's stop time is
 * not that: it is asked for when commits may stand behind its end already. */
static int find_evidence(struct proving *proving)
{
    const struct window_proof *proof = proving->proof;
    uint64_t begin = proof->times.has_commit ? proof->times.last_lsn : proof->origin.start_lsn;

    proving->proof->covered_until = INT64_MIN;
    for (size_t i = 0; i < proving->backups->count; i++)
        if (ends_in_run(proving, &proving->backups->backups[i]) &&
            proving->backups->backups[i].covered_until != 0)
            take_evidence(proving, proving->backups->backups[i].covered_until);
    for (size_t i = 0;
         proving->proof->covered_until < proving->target->time && i < proving->archive->source_count; i++)
        if (proving_find_points(proving, proving->archive->sources[i], begin, NULL, look_at_point_time) ==
            REPOSITORY_FAILED)
            return -1;
    return 0;
}

/* Nothing is known to be committed later than time. Where that is because nothing was, recovery stops behind
 * the last commit, or the backup's end: WAL that tells of a later time lies behind it. */
static void conclude_idle(struct proving *proving, int64_t time)
{
    struct window_proof *proof = proving->proof;

    if (proof->covered_until < time) {
        proving_conclude(proof, WINDOW_REFUSED, WINDOW_BEHIND);
        return;
    }
    proof->lsn =
        proof->times.last_lsn > proof->origin.stop_lsn ? proof->times.last_lsn : proof->origin.stop_lsn;
    if (proof->lsn == 0)
        proving_conclude(proof, WINDOW_UNKNOWN, WINDOW_BEHIND);
    else
        proving_conclude(proof, WINDOW_TURNED, WINDOW_NO_REASON);
}

static void prove_time(struct proving *proving)
{
    struct window_proof *proof = proving->proof;
    const int64_t time = proving->target->time - proving->target->exclusive;
    const struct archive_enough enough = {time, enough_segment(proving)};

    if (wal_archive_times_enough(proving->archive, proving->history, &proof->run, &enough, &proof->times) !=
        REPOSITORY_OK)
        return;
    /* What was committed before the backup's end is in it. */
    proof->times.has_commit = proof->times.has_commit && proof->times.last_lsn >= proof->origin.stop_lsn;
    if (proof->times.has_commit && proof->times.most_time > time)
        proving_conclude(proof, WINDOW_PROVEN, WINDOW_NO_REASON);
    else if (!proof->times.is_known)
        proving_conclude(proof, WINDOW_UNKNOWN, WINDOW_BEHIND);
    else if (find_evidence(proving) == 0)
        conclude_idle(proving, time);
}

/* An LSN */

/* PostgreSQL stops at a record that begins at the LSN or behind it: one in the middle of the last segment may
 * have none, as one that pg_switch_wal() returned. Where the segment's last commit does not tell, all of it
 * is read. */
static void prove_lsn_at_end(struct proving *proving)
{
    struct window_proof *proof = proving->proof;
    const struct archive_run last = {.first_timeline = proof->run.timeline,
                                     .timeline = proof->run.timeline,
                                     .first = proof->run.last,
                                     .last = proof->run.last};
    const struct wal_restore_point *ignored;
    struct wal_summary summary;
    struct archive_times times;
    struct wal_scan *scan;
    const struct archive_segment *segment = wal_archive_segment(proving->archive, last.timeline, last.last);

    if (wal_archive_times(proving->archive, proving->history, &last, &times) != REPOSITORY_OK)
        return;
    if (times.has_commit && times.last_lsn >= proving->target->lsn) {
        proving_conclude(proof, WINDOW_PROVEN, WINDOW_NO_REASON);
        return;
    }
    if ((scan = wal_scan_new()) == NULL)
        return;
    wal_scan_begin(scan);
    enum repository_result result = wal_archive_feed(proving->archive, last.timeline, last.last, scan);
    wal_scan_end(scan, &summary, &ignored);
    if (result == REPOSITORY_OK && wal_scan_last_record(scan) >= proving->target->lsn) {
        proving_conclude(proof, WINDOW_PROVEN, WINDOW_NO_REASON);
    } else if (result == REPOSITORY_OK || result == REPOSITORY_DAMAGED) {
        /* That of a pg_wal ends where the server ended. */
        proof->times.is_known =
            result == REPOSITORY_OK && (summary.is_whole || segment->source == ARCHIVE_PG_WAL);
        proving_refuse_if_known(proof, WINDOW_BEHIND);
    }
    wal_scan_free(scan);
}

static void prove_lsn(struct proving *proving)
{
    struct window_proof *proof = proving->proof;
    uint64_t number = proving->target->lsn / proving->archive->segment_bytes;

    if (number > proof->run.last)
        proving_conclude(proof, WINDOW_REFUSED, WINDOW_BEHIND);
    else if (number < proof->run.last || proof->run.last < proof->run.first)
        proving_conclude(proof, WINDOW_PROVEN, WINDOW_NO_REASON);
    else
        prove_lsn_at_end(proving);
}

/* The story */

static void cut_at_accepted_end(const struct proving *proving)
{
    const struct wal_name name = wal_name_parse(proving->target->accept_end);
    uint64_t number;

    if (wal_segment_number(&name, proving->archive->segment_bytes, &number))
        archive_run_cut(&proving->proof->run, proving->history, proving->archive->segment_bytes, number);
}

static void prove_kind(struct proving *proving)
{
    struct window_proof *proof = proving->proof;

    switch (proving->target->kind) {
    case WINDOW_TIME:
        prove_time(proving);
        return;
    case WINDOW_LSN:
        prove_lsn(proving);
        return;
    case WINDOW_NAME:
        prove_name(proving);
        return;
    case WINDOW_XID:
        prove_xid(proving);
        return;
    case WINDOW_NEWEST: /* at a hole recovery stops by itself, and goes on when that is filled */
    case WINDOW_IMMEDIATE:
        proving_conclude(proof, WINDOW_PROVEN, WINDOW_NO_REASON);
        return;
    }
}

/* Where the end before a hole is what will be told, its time, too (rule 5). */
static void find_last_commit(const struct proving *proving)
{
    const struct archive_enough any = {INT64_MIN, 0};
    struct window_proof *proof = proving->proof;
    struct archive_times last;

    if (!proof->run.is_hole || proving->target->kind == WINDOW_TIME || proof->verdict == WINDOW_FAILED ||
        (proof->reason != WINDOW_BEHIND && proving->target->kind != WINDOW_NEWEST) ||
        wal_archive_times_enough(proving->archive, proving->history, &proof->run, &any, &last) !=
            REPOSITORY_OK ||
        !last.has_commit || last.last_lsn < proof->origin.stop_lsn)
        return;
    last.is_known = proof->times.is_known;
    proof->times = last;
}

/* What is missing, or a later timeline, may be there. */
static void allow_for_unasked(const struct proving *proving)
{
    struct window_proof *proof = proving->proof;

    if (proving->archive->unasked_count == 0)
        return;
    if (proof->verdict == WINDOW_REFUSED && proof->reason != WINDOW_EARLY)
        proof->verdict = WINDOW_UNKNOWN;
    else if (proof->verdict == WINDOW_PROVEN && proving->target->is_on_latest)
        proving_conclude(proof, WINDOW_UNKNOWN, WINDOW_NOT_LATEST);
}

void window_prove(struct wal_archive *archive, const struct timeline_history *history,
                  const struct window_origin *origin, const struct backup_list *backups,
                  const struct window_target *target, struct window_proof *proof)
{
    *proof = (struct window_proof){.verdict = WINDOW_FAILED, .origin = *origin, .times = {.is_known = true}};

    struct proving proving = {archive, history, backups, target, proof, {NULL, 0, false}};
    bool is_complete = window_origin_follow(archive, history, origin, &proof->run);
    if (target->accept_end != NULL) {
        cut_at_accepted_end(&proving);
        is_complete = is_complete && (origin->stop_lsn == 0 ||
                                      proving_segment_behind(archive, origin->stop_lsn) <= proof->run.last);
    }
    if (is_complete)
        prove_kind(&proving);
    else
        proving_conclude(proof, WINDOW_REFUSED, WINDOW_INCOMPLETE);
    free(proving.places.lsns);
    find_last_commit(&proving);
    allow_for_unasked(&proving);
}
