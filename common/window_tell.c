/* What a proof says, for people. */
#include "window.h"

#include "log.h"
#include "timestamp.h"

#include <stdio.h>
#include <string.h>

void window_target_describe(const struct window_target *target, char *out, size_t length)
{
    const struct backup_wish wish = {.has_time = target->kind == WINDOW_TIME,
                                     .time = target->time,
                                     .has_lsn = target->kind == WINDOW_LSN,
                                     .lsn = target->lsn};

    switch (target->kind) {
    case WINDOW_TIME:
    case WINDOW_LSN:
        backup_wish_describe(&wish, out, length);
        return;
    case WINDOW_XID:
        snprintf(out, length, "transaction %u", target->xid);
        return;
    case WINDOW_NAME:
        snprintf(out, length, "restore point \"%s\"", target->name);
        return;
    case WINDOW_IMMEDIATE:
        snprintf(out, length, "the end of the base backup");
        return;
    case WINDOW_NEWEST:
        snprintf(out, length, "the end of the WAL");
        return;
    }
}

struct telling {
    const struct wal_archive *archive;
    const struct timeline_history *history;
    const struct window_target *target;
    const char *what;
    const struct window_proof *proof;
};

static void name_missing(const struct telling *telling, char name[WAL_SEGMENT_NAME_BYTES])
{
    const struct archive_run *run = &telling->proof->run;

    wal_segment_name(run->missing_timeline, run->last + 1, telling->archive->segment_bytes, name);
}

/* Of what follows "the latest recoverable instant on timeline 3 is ". */
static void describe_latest(const struct telling *telling, char *out, size_t length)
{
    const struct archive_times *times = &telling->proof->times;
    const struct window_origin *origin = &telling->proof->origin;
    char time[TIMESTAMP_TEXT_BYTES];

    if (times->has_commit) {
        timestamp_format(times->most_time, time);
        snprintf(out, length, "just before %s, the time of the last commit", time);
    } else if (origin->backup != NULL) {
        timestamp_format(origin->backup->stop_time, time);
        snprintf(out, length, "the end of backup %s, %s, since nothing was committed after it",
                 origin->backup->id, time);
    } else
        snprintf(out, length, "the end of the backup, since nothing was committed after it");
}

static void describe_end(const struct telling *telling, char *out, size_t length)
{
    const struct archive_run *run = &telling->proof->run;
    char missing[WAL_SEGMENT_NAME_BYTES], last[WAL_SEGMENT_NAME_BYTES];

    name_missing(telling, missing);
    wal_segment_name(run->timeline, run->last, telling->archive->segment_bytes, last);
    if (telling->target->accept_end != NULL && strcmp(telling->target->accept_end, missing) == 0)
        snprintf(out, length, "WAL from segment %s on is given up", missing);
    else if (run->is_hole)
        snprintf(out, length, "WAL segment %s is missing%s", missing,
                 run->is_marked ? ", which the server let go of (on_full = drop)" : "");
    else
        snprintf(out, length, "the WAL ends with segment %s%s", last,
                 run->is_partial ? ", and of the next there is only a .partial" : "");
}

/* WAL that is in no repository. */
static void hint_pg_wal(void)
{
    log_hint("What is copied from a server's pg_wal into that of the restored directory counts for "
             "recovery-config "
             "(basebackup-fetch --unproven restores before it is there; a .partial goes there without that "
             "ending).");
}

/* That at the end before a hole; "" if it is not known, or its time has been told already. */
static void describe_commit(const struct telling *telling, char *out, size_t length)
{
    const struct archive_times *times = &telling->proof->times;
    char time[TIMESTAMP_TEXT_BYTES];

    *out = '\0';
    if (!times->has_commit || telling->target->kind == WINDOW_TIME)
        return;
    timestamp_format(times->most_time, time);
    snprintf(out, length, "the commit of %s", time);
}

/* The way out. */
static void hint_end(const struct telling *telling)
{
    const struct archive_run *run = &telling->proof->run;
    char missing[WAL_SEGMENT_NAME_BYTES], lsn[24], commit[80];

    name_missing(telling, missing);
    describe_commit(telling, commit, sizeof commit);
    if (run->is_hole) {
        log_hint(
            "Look for %s in the lost server's pg_wal, a standby's or another repository. To recover to "
            "the end before it%s%s, and give up everything behind: --accept-end %s instead of the target.",
            missing, *commit == '\0' ? "" : ", ", commit, missing);
    } else if (telling->proof->times.has_commit) {
        lsn_format(telling->proof->times.last_lsn, lsn);
        log_hint("If the original still runs, SELECT pg_switch_wal() there brings what it has written since. "
                 "The last commit itself is reached with --target-lsn %s; without a target, all there is.",
                 lsn);
    } else
        log_hint("If the original still runs, SELECT pg_switch_wal() there brings what it has written since. "
                 "Without a target, all there is is recovered.");
    hint_pg_wal();
}

static void tell_behind(const struct telling *telling)
{
    char latest[256], end[128];

    describe_end(telling, end, sizeof end);
    if (telling->target->kind == WINDOW_TIME) {
        describe_latest(telling, latest, sizeof latest);
        log_error("the target (%s) can't be reached: the latest recoverable instant on timeline %u is %s; %s",
                  telling->what, telling->history->timeline, latest, end);
    } else
        log_error("the target (%s) can't be reached on timeline %u: %s", telling->what,
                  telling->history->timeline, end);
    hint_end(telling);
}

static void tell_incomplete(const struct telling *telling)
{
    const struct window_origin *origin = &telling->proof->origin;
    char missing[WAL_SEGMENT_NAME_BYTES];

    name_missing(telling, missing);
    if (origin->backup != NULL)
        log_error("backup %s can't be recovered: WAL segment %s, which it needs, is missing",
                  origin->backup->id, missing);
    else
        log_error("the target (%s) can't be reached: WAL segment %s, with which recovery begins, is missing",
                  telling->what, missing);
    log_hint(
        "Look for it in the lost server's pg_wal, a standby's or another repository: it counts in pg_wal "
        "of the restored directory, too. recovery-window shows what can be recovered.");
}

static void tell_no_point(const struct telling *telling)
{
    const char(*names)[WAL_RESTORE_POINT_BYTES] = telling->proof->names;

    log_error("there is no %s on the way to timeline %u", telling->what, telling->history->timeline);
    if (*names[0] == '\0')
        log_hint("There is no restore point at all on that way.");
    else
        log_hint("The nearest names are \"%s\"%s%s%s%s%s%s.", names[0], *names[1] != '\0' ? ", \"" : "",
                 names[1], *names[1] != '\0' ? "\"" : "", *names[2] != '\0' ? ", \"" : "", names[2],
                 *names[2] != '\0' ? "\"" : "");
}

static void tell_early(const struct telling *telling)
{
    char lsn[24], stop[24];

    lsn_format(telling->proof->lsn, lsn);
    lsn_format(telling->proof->origin.stop_lsn, stop);
    log_error("the target (%s), at LSN %s, is not after the end of the backup, LSN %s", telling->what, lsn,
              stop);
    log_hint(
        "A backup is recovered forward from its end: basebackup-fetch --target-lsn %s chooses an earlier "
        "one.",
        lsn);
}

static void tell_refused(const struct telling *telling)
{
    switch (telling->proof->reason) {
    case WINDOW_INCOMPLETE:
        tell_incomplete(telling);
        return;
    case WINDOW_BEHIND:
        tell_behind(telling);
        return;
    case WINDOW_NO_POINT:
        tell_no_point(telling);
        return;
    case WINDOW_EARLY:
        tell_early(telling);
        return;
    case WINDOW_NO_XID:
        log_error("no %s ended on the way to timeline %u, as far as there is WAL", telling->what,
                  telling->history->timeline);
        log_hint("The id is that of a whole transaction, as pg_current_xact_id() shows it, not of a "
                 "subtransaction.");
        return;
    case WINDOW_NO_REASON:
    case WINDOW_NOT_LATEST:
        return;
    }
}

/* What is missing may be where nobody could be asked. */
static void tell_unasked(const struct telling *telling)
{
    char end[128];

    describe_end(telling, end, sizeof end);
    log_warning(
        "it is not certain that the target (%s) can be reached: not all repositories could be asked, and in "
        "the others %s",
        telling->what, end);
    log_hint("Recovery asks all of them, and waits for one that can't be asked. To know now what there is "
             "without it: "
             "--repository NAME, with the name of another.");
}

/* Their histories are as unknown as their WAL. */
static void tell_not_latest(const struct telling *telling)
{
    log_warning("the target (%s) can be reached on timeline %u, but it is not certain that that is the "
                "latest, which recovery follows: not all repositories could be asked",
                telling->what, telling->history->timeline);
    log_hint("Recovery asks all of them, and waits for one that can't be asked. To know now: --timeline %u, "
             "or without it: --repository NAME, with the name of another.",
             telling->history->timeline);
}

static void tell_unknown(const struct telling *telling)
{
    char latest[256];

    if (telling->proof->reason == WINDOW_NOT_LATEST) {
        tell_not_latest(telling);
        return;
    }
    if (telling->archive->unasked_count > 0) {
        tell_unasked(telling);
        return;
    }
    log_warning("it is not certain that the target (%s) can be reached: not all WAL on the way tells what is "
                "in it, as what an older walferry has pushed",
                telling->what);
    if (telling->proof->times.has_commit) {
        describe_latest(telling, latest, sizeof latest);
        log_hint(
            "The latest instant that is known to be recoverable is %s. If the WAL ends before the target, "
            "PostgreSQL will say \"recovery ended before configured recovery target was reached\".",
            latest);
    } else
        log_hint("If the WAL ends before the target, PostgreSQL will say \"recovery ended before configured "
                 "recovery target was reached\".");
}

static void tell_turned(const struct telling *telling)
{
    const struct archive_times *times = &telling->proof->times;
    char last[TIMESTAMP_TEXT_BYTES], until[TIMESTAMP_TEXT_BYTES], lsn[24];

    timestamp_format(times->most_time, last);
    timestamp_format(telling->proof->covered_until, until);
    lsn_format(telling->proof->lsn, lsn);
    if (times->has_commit)
        log_info("nothing was committed from %s, the time of the last commit, to %s at least", last, until);
    else
        log_info("nothing was committed from the end of the backup to %s at least", until);
    log_hint(
        "PostgreSQL would look in vain for a commit later than the target (%s), so the target becomes LSN "
        "%s, which is the same state.",
        telling->what, lsn);
}

static void tell_proven(const struct telling *telling)
{
    const struct window_proof *proof = telling->proof;
    char missing[WAL_SEGMENT_NAME_BYTES], lsn[24], commit[80];

    if (telling->target->kind == WINDOW_NEWEST && proof->run.is_hole) {
        name_missing(telling, missing);
        describe_commit(telling, commit, sizeof commit);
        log_warning("WAL segment %s is missing, but more WAL lies behind it: recovery will stop there%s%s",
                    missing, *commit == '\0' ? "" : ", behind ", commit);
        log_hint("It goes on when that is in a repository or in pg_wal. To give up the WAL from there on: "
                 "--accept-end %s.",
                 missing);
    } else if (telling->target->kind == WINDOW_NAME && proof->points > 1) {
        lsn_format(proof->lsn, lsn);
        log_warning("there are %zu restore points of that name on the way", proof->points);
        log_hint("Recovery stops at the first, LSN %s. For another: --target-lsn.", lsn);
    }
}

void window_tell(const struct wal_archive *archive, const struct timeline_history *history,
                 const struct window_target *target, const char *what, const struct window_proof *proof)
{
    const struct telling telling = {archive, history, target, what, proof};

    switch (proof->verdict) {
    case WINDOW_REFUSED:
        tell_refused(&telling);
        return;
    case WINDOW_UNKNOWN:
        tell_unknown(&telling);
        return;
    case WINDOW_TURNED:
        tell_turned(&telling);
        return;
    case WINDOW_PROVEN:
        tell_proven(&telling);
        return;
    case WINDOW_FAILED:
        return;
    }
}
