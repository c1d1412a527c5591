/* The proof of a target that has to be found in the WAL first: a restore point's name, a transaction's id. */
#include "window_proving.h"

#include "log.h"

#include <stdlib.h>
#include <string.h>

#define CANDIDATES_MOST 64 /* segments that are read whole for a transaction id */

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
    uint64_t number = proving_segment_behind(proving->archive, point->lsn), ignored;

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
        result =
            add_result(result, proving_find_points(proving, proving->archive->sources[i],
                                                   proving->proof->origin.start_lsn, name, look_at_point));
    return result;
}

/* A place that was found: behind what the backup needs, and before the end? least: the first LSN that is. */
static void conclude_place(const struct proving *proving, uint64_t least)
{
    struct window_proof *proof = proving->proof;

    if (proof->lsn < least)
        proving_conclude(proof, WINDOW_REFUSED, WINDOW_EARLY);
    else if (proving_segment_behind(proving->archive, proof->lsn) > proof->run.last)
        proving_conclude(proof, WINDOW_REFUSED, WINDOW_BEHIND);
    else
        proving_conclude(proof, WINDOW_PROVEN, WINDOW_NO_REASON);
}

void prove_name(struct proving *proving)
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
    proving_refuse_if_known(proof, WINDOW_NO_POINT);
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

void prove_xid(struct proving *proving)
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
        proving_refuse_if_known(proof, WINDOW_NO_XID);
}
