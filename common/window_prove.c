/* The proof that a target can be reached. */
#include "window.h"

#include "log.h"
#include "restore_point.h"

#include <stdlib.h>
#include <string.h>

#define CANDIDATES_MOST 64 /* segments that are read whole for a transaction id */

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

/* Where restore points end; several repositories tell of the same ones. */
struct places {
    uint64_t *lsns; /* owned; ascending, none twice */
    size_t count;
    bool failed;
};

struct proving {
    struct wal_archive *archive;
    const struct timeline_history *history;
    const struct backup_list *backups;
    const struct window_target *target;
    struct window_proof *proof;
    struct places places; /* of the name that is wanted */
};

static void conclude(struct window_proof *proof, enum window_verdict verdict, enum window_reason reason)
{
    proof->verdict = verdict;
    proof->reason = reason;
}

/* Refused, if all that is there is known; verdict and reason otherwise. */
static void refuse_if_known(struct window_proof *proof, enum window_reason reason)
{
    conclude(proof, proof->times.is_known ? WINDOW_REFUSED : WINDOW_UNKNOWN, reason);
}

/* The number of the segment in which a record ends. */
static uint64_t segment_behind(const struct wal_archive *archive, uint64_t lsn)
{
    return (lsn - 1) / archive->segment_bytes;
}

/* A time */

static bool ends_in_run(const struct proving *proving, const struct backup *backup)
{
    return backup->system_identifier == proving->archive->system_identifier &&
           window_leads(proving->history, backup) && backup->stop_lsn > proving->proof->origin.stop_lsn &&
           segment_behind(proving->archive, backup->stop_lsn) <= proving->proof->run.last;
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
    uint64_t number = segment_behind(proving->archive, point->lsn), ignored;

    if (point->lsn > proving->proof->times.last_lsn && number >= proving->proof->run.first &&
        number <= proving->proof->run.last &&
        wal_archive_way(proving->history, proving->archive->segment_bytes, number, &ignored) == timeline)
        take_evidence(proving, point->time);
    return true;
}

/* In one repository, from the segment on that has this LSN. */
static enum repository_result
find_points_in(struct proving *proving, struct repository *repository, uint64_t lsn, const char *name,
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
        if (find_points_in(proving, proving->archive->sources[i], begin, NULL, look_at_point_time) ==
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
        conclude(proof, WINDOW_REFUSED, WINDOW_BEHIND);
        return;
    }
    proof->lsn =
        proof->times.last_lsn > proof->origin.stop_lsn ? proof->times.last_lsn : proof->origin.stop_lsn;
    if (proof->lsn == 0)
        conclude(proof, WINDOW_UNKNOWN, WINDOW_BEHIND);
    else
        conclude(proof, WINDOW_TURNED, WINDOW_NO_REASON);
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
        conclude(proof, WINDOW_PROVEN, WINDOW_NO_REASON);
    else if (!proof->times.is_known)
        conclude(proof, WINDOW_UNKNOWN, WINDOW_BEHIND);
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
        conclude(proof, WINDOW_PROVEN, WINDOW_NO_REASON);
        return;
    }
    if ((scan = wal_scan_new()) == NULL)
        return;
    wal_scan_begin(scan);
    enum repository_result result = wal_archive_feed(proving->archive, last.timeline, last.last, scan);
    wal_scan_end(scan, &summary, &ignored);
    if (result == REPOSITORY_OK && wal_scan_last_record(scan) >= proving->target->lsn) {
        conclude(proof, WINDOW_PROVEN, WINDOW_NO_REASON);
    } else if (result == REPOSITORY_OK || result == REPOSITORY_DAMAGED) {
        /* That of a pg_wal ends where the server ended. */
        proof->times.is_known =
            result == REPOSITORY_OK && (summary.is_whole || segment->source == ARCHIVE_PG_WAL);
        refuse_if_known(proof, WINDOW_BEHIND);
    }
    wal_scan_free(scan);
}

static void prove_lsn(struct proving *proving)
{
    struct window_proof *proof = proving->proof;
    uint64_t number = proving->target->lsn / proving->archive->segment_bytes;

    if (number > proof->run.last)
        conclude(proof, WINDOW_REFUSED, WINDOW_BEHIND);
    else if (number < proof->run.last || proof->run.last < proof->run.first)
        conclude(proof, WINDOW_PROVEN, WINDOW_NO_REASON);
    else
        prove_lsn_at_end(proving);
}

/* A name */

/* Are the restore points of all segments known? Of one that has very many, those behind the first are not
 * told one by one. */
static bool look_at_whether_told(void *context, uint32_t timeline, uint64_t number,
                                 const struct wal_summary *summary)
{
    struct archive_times *times = context;

    (void)timeline;
    (void)number;
    times->is_known = summary != NULL && summary->restore_points <= WAL_RESTORE_POINTS_MOST;
    return times->is_known;
}

/* How many characters must be added, left out or changed to make one of the other. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[WAL_RESTORE_POINT_BYTES + 1];
    size_t length = strlen(b);

    for (size_t k = 0; k <= length; k++)
        row[k] = (unsigned)k;
    for (; *a != '\0'; a++) {
        unsigned corner = row[0]++;
        for (size_t k = 1; k <= length; k++) {
            unsigned changed = corner + (*a != b[k - 1]);
            unsigned shorter = (row[k] < row[k - 1] ? row[k] : row[k - 1]) + 1;
            corner = row[k];
            row[k] = changed < shorter ? changed : shorter;
        }
    }
    return row[length];
}

/* Keeps the nearest names, the nearest first. */
static void keep_near(struct proving *proving, const char *name)
{
    char(*names)[WAL_RESTORE_POINT_BYTES] = proving->proof->names;
    const char *wanted = proving->target->name;
    size_t at = 0;

    while (at < WINDOW_NAMES_MOST && *names[at] != '\0' &&
           distance(wanted, names[at]) <= distance(wanted, name)) {
        if (strcmp(names[at], name) == 0)
            return;
        at++;
    }
    if (at == WINDOW_NAMES_MOST)
        return;
    memmove(names[at + 1], names[at], (WINDOW_NAMES_MOST - at - 1) * sizeof names[0]);
    memcpy(names[at], name, WAL_RESTORE_POINT_BYTES);
}

static void add_place(struct places *places, uint64_t lsn)
{
    size_t at = places->count;

    while (at > 0 && places->lsns[at - 1] > lsn)
        at--;
    if (at > 0 && places->lsns[at - 1] == lsn)
        return;
    uint64_t *grown = realloc(places->lsns, (places->count + 1) * sizeof *grown);
    places->failed = grown == NULL;
    if (grown == NULL) {
        log_out_of_memory();
        return;
    }
    places->lsns = grown;
    memmove(&grown[at + 1], &grown[at], (places->count - at) * sizeof *grown);
    grown[at] = lsn;
    places->count++;
}

static bool look_at_point(void *context, uint32_t timeline, const struct wal_restore_point *point)
{
    struct proving *proving = context;
    const struct window_proof *proof = proving->proof;
    uint64_t number = segment_behind(proving->archive, point->lsn), ignored;

    if (point->lsn <= proof->origin.start_lsn ||
        wal_archive_way(proving->history, proving->archive->segment_bytes, number, &ignored) != timeline)
        return true;
    if (strcmp(point->name, proving->target->name) == 0)
        add_place(&proving->places, point->lsn);
    else
        keep_near(proving, point->name);
    return !proving->places.failed;
}

/* Scans a segment, with the one before it on the way if with_former, and tells its points; only: NULL, or the
 * one that ends at this LSN. */
static enum repository_result tell_points(struct proving *proving, uint32_t timeline, uint64_t number,
                                          const uint64_t *only, struct wal_scan *scan,
                                          struct wal_summary *summary)
{
    const struct wal_restore_point *points;
    enum repository_result result = REPOSITORY_OK;
    uint64_t ignored;

    wal_scan_begin(scan);
    if (only != NULL)
        result = wal_archive_feed(
            proving->archive,
            wal_archive_way(proving->history, proving->archive->segment_bytes, number - 1, &ignored),
            number - 1, scan);
    if (result == REPOSITORY_OK)
        result = wal_archive_feed(proving->archive, timeline, number, scan);
    wal_scan_end(scan, summary, &points);
    for (uint64_t i = 0;
         result == REPOSITORY_OK && i < summary->restore_points && i < WAL_RESTORE_POINTS_MOST; i++)
        if (only == NULL || points[i].lsn == *only)
            look_at_point(proving, timeline, &points[i]);
    return result;
}

/* Those of a pg_wal are in no repository yet. */
static enum repository_result look_at_local_points(struct proving *proving, uint32_t timeline,
                                                   uint64_t number, struct wal_scan *scan)
{
    struct wal_summary summary, ignored;
    enum repository_result result = tell_points(proving, timeline, number, NULL, scan, &summary);

    if (result != REPOSITORY_OK || summary.continued.length == 0 || number <= proving->proof->run.first)
        return result;
    result = tell_points(proving, timeline, number, &summary.continued.lsn, scan, &ignored);
    return result == REPOSITORY_ABSENT ? REPOSITORY_OK : result;
}

/* Something damaged keeps nobody from the rest. */
static enum repository_result add_result(enum repository_result all, enum repository_result one)
{
    return one == REPOSITORY_OK || all == REPOSITORY_FAILED ? all : one;
}

static enum repository_result find_local_points(struct proving *proving)
{
    struct wal_scan *scan = wal_scan_new();
    enum repository_result result = scan == NULL ? REPOSITORY_FAILED : REPOSITORY_OK;

    for (size_t i = 0; i < proving->archive->count; i++) {
        const struct archive_timeline *timeline = &proving->archive->timelines[i];
        for (size_t k = 0; result != REPOSITORY_FAILED && k < timeline->count; k++)
            if (timeline->segments[k].source == ARCHIVE_PG_WAL)
                result = add_result(result, look_at_local_points(proving, timeline->timeline,
                                                                 timeline->segments[k].number, scan));
    }
    wal_scan_free(scan);
    return result;
}

/* Those of that name first: only then one that a segment's edge cuts is put together. */
static enum repository_result find_points(struct proving *proving, const char *name)
{
    enum repository_result result = REPOSITORY_OK;

    for (size_t i = 0; result != REPOSITORY_FAILED && i < proving->archive->source_count; i++)
        result = add_result(result, find_points_in(proving, proving->archive->sources[i],
                                                   proving->proof->origin.start_lsn, name, look_at_point));
    return result;
}

/* A place that was found: behind what the backup needs, and before the end? least: the first LSN that is. */
static void conclude_place(const struct proving *proving, uint64_t least)
{
    struct window_proof *proof = proving->proof;

    if (proof->lsn < least)
        conclude(proof, WINDOW_REFUSED, WINDOW_EARLY);
    else if (segment_behind(proving->archive, proof->lsn) > proof->run.last)
        conclude(proof, WINDOW_REFUSED, WINDOW_BEHIND);
    else
        conclude(proof, WINDOW_PROVEN, WINDOW_NO_REASON);
}

static void prove_name(struct proving *proving)
{
    struct window_proof *proof = proving->proof;
    enum repository_result result = find_points(proving, proving->target->name);

    if (result != REPOSITORY_FAILED && proving->archive->pg_wal != NULL)
        result = add_result(result, find_local_points(proving));
    if (result == REPOSITORY_FAILED || proving->places.failed)
        return;
    proof->points = proving->places.count;
    if (proof->points > 0) { /* PostgreSQL stops at the first one */
        proof->lsn = proving->places.lsns[0];
        conclude_place(proving, proof->origin.stop_lsn + 1); /* it is behind the record */
        return;
    }
    if (find_points(proving, NULL) == REPOSITORY_FAILED ||
        wal_archive_read(proving->archive, proving->history, &proof->run, look_at_whether_told,
                         &proof->times) != REPOSITORY_OK)
        return;
    proof->times.is_known = proof->times.is_known && result == REPOSITORY_OK;
    refuse_if_known(proof, WINDOW_NO_POINT);
}

/* A transaction */

struct candidate {
    uint32_t timeline;
    uint64_t number;
    bool is_continued; /* it begins with the end of a record */
};

struct candidates {
    uint32_t xid;
    struct candidate items[CANDIDATES_MOST];
    size_t count;
    bool are_all; /* else something was unknown, or there were too many */
};

static bool may_hold_xid(const struct wal_summary *summary, uint32_t xid)
{
    return summary->transactions > 0 &&
           (!summary->xids_are_known ||
            (summary->least_xid != 0 && (int32_t)(xid - summary->least_xid) >= 0 &&
             (int32_t)(summary->most_xid - xid) >= 0));
}

static bool look_at_xids(void *context, uint32_t timeline, uint64_t number, const struct wal_summary *summary)
{
    struct candidates *candidates = context;

    if (summary == NULL)
        candidates->are_all = false;
    else if (may_hold_xid(summary, candidates->xid)) {
        if (candidates->count == CANDIDATES_MOST)
            candidates->are_all = false;
        else
            candidates->items[candidates->count++] =
                (struct candidate){timeline, number, summary->continued.length > 0};
    }
    return true;
}

/* A record that the edge before a segment cuts is seen only by a scan of both. */
static enum repository_result read_candidate(const struct proving *proving, const struct candidate *candidate,
                                             bool with_former, struct wal_scan *scan)
{
    enum repository_result result = REPOSITORY_OK;
    uint64_t ignored;

    wal_scan_seek_xid(scan, proving->target->xid);
    wal_scan_begin(scan);
    if (with_former)
        result = wal_archive_feed(proving->archive,
                                  wal_archive_way(proving->history, proving->archive->segment_bytes,
                                                  candidate->number - 1, &ignored),
                                  candidate->number - 1, scan);
    return result == REPOSITORY_OK
               ? wal_archive_feed(proving->archive, candidate->timeline, candidate->number, scan)
               : result;
}

static enum repository_result read_candidates(const struct proving *proving,
                                              const struct candidates *candidates)
{
    struct wal_scan *scan = wal_scan_new();
    enum repository_result result = scan == NULL ? REPOSITORY_FAILED : REPOSITORY_OK;

    /* They stand from the last to the first. */
    for (size_t i = candidates->count; result == REPOSITORY_OK && proving->proof->lsn == 0 && i > 0; i--) {
        const struct candidate *candidate = &candidates->items[i - 1];
        result = read_candidate(proving, candidate, false, scan);
        proving->proof->lsn = result == REPOSITORY_OK ? wal_scan_found_xid(scan) : 0;
        if (result == REPOSITORY_OK && proving->proof->lsn == 0 && candidate->is_continued &&
            candidate->number > proving->proof->run.first) {
            result = read_candidate(proving, candidate, true, scan);
            proving->proof->lsn = result == REPOSITORY_OK ? wal_scan_found_xid(scan) : 0;
        }
    }
    wal_scan_free(scan);
    return result;
}

static void prove_xid(struct proving *proving)
{
    struct window_proof *proof = proving->proof;
    struct candidates candidates = {.xid = proving->target->xid, .are_all = true};

    if (wal_archive_read(proving->archive, proving->history, &proof->run, look_at_xids, &candidates) !=
            REPOSITORY_OK ||
        read_candidates(proving, &candidates) != REPOSITORY_OK)
        return;
    proof->times.is_known = candidates.are_all;
    if (proof->lsn != 0)
        conclude_place(proving, proof->origin.stop_lsn);
    else
        refuse_if_known(proof, WINDOW_NO_XID);
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
        conclude(proof, WINDOW_PROVEN, WINDOW_NO_REASON);
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
        conclude(proof, WINDOW_UNKNOWN, WINDOW_NOT_LATEST);
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
        is_complete = is_complete &&
                      (origin->stop_lsn == 0 || segment_behind(archive, origin->stop_lsn) <= proof->run.last);
    }
    if (is_complete)
        prove_kind(&proving);
    else
        conclude(proof, WINDOW_REFUSED, WINDOW_INCOMPLETE);
    free(proving.places.lsns);
    find_last_commit(&proving);
    allow_for_unasked(&proving);
}
