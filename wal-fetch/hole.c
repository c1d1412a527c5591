#include "hole.h"

#include "common/file.h"
#include "common/gap.h"
#include "common/log.h"
#include "common/pg_wal.h"
#include "common/timestamp.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool hole_is_in_pg_wal(const struct situation *situation, bool say)
{
    const struct pg_control *control = &situation->control;
    char *path = path_join(situation->directory, situation->name);
    struct pg_wal_segment segment;
    bool holds = false, begun = false;
    uint64_t number;

    if (path != NULL && wal_segment_number(&situation->parsed, control->segment_bytes, &number) &&
        pg_wal_open(path, number, control->system_identifier, control->segment_bytes, &segment) == 0) {
        begun = segment.page.block_bytes == control->wal_block_bytes;
        holds = begun && pg_wal_is_written_to_its_end(segment.fd, &segment.page);
        pg_wal_close(&segment);
    }
    if (say && begun && !holds)
        log_warning("\"%s\" is in pg_wal, but not written to its end", situation->name);
    free(path);
    return holds;
}

/* The timeline being recovered, unless it was told, is that of the highest history file that PostgreSQL put
 * into its own directory (an earlier recovery along another one may have left that). 0 if there is none. */
static uint32_t recovered_timeline(const struct situation *situation)
{
    uint32_t highest = 0;

    if (situation->recovered_timeline != 0)
        return situation->recovered_timeline;
    DIR *directory = opendir(situation->directory);

    if (directory == NULL)
        return 0;
    for (struct dirent *item; (item = readdir(directory)) != NULL;) {
        struct wal_name name = wal_name_parse(item->d_name);
        if (name.kind == WAL_HISTORY && name.timeline > highest)
            highest = name.timeline;
    }
    closedir(directory);
    return highest;
}

/* Where the timeline being recovered left an earlier one; 0 when that cannot be told, or they have nothing in
 * common. */
static uint64_t left_at(const struct situation *situation, uint32_t timeline, uint32_t earlier)
{
    char name[WAL_SEGMENT_NAME_BYTES];
    struct buffer text = BUFFER_EMPTY;
    struct timeline_history history;
    const char *problem;
    uint64_t end = 0;

    wal_history_name(timeline, name);
    char *path = path_join(situation->directory, name);
    if (path != NULL && file_read_all(path, TIMELINE_HISTORY_MOST_BYTES, &text) == FILE_OK &&
        timeline_history_parse(timeline, buffer_string(&text), text.length, &history, &problem) == 0) {
        if (!timeline_history_find(&history, earlier, &end))
            end = 0;
        timeline_history_free(&history);
    }
    buffer_free(&text);
    free(path);
    return end == UINT64_MAX ? 0 : end;
}

uint64_t hole_timeline_end(const struct situation *situation, uint32_t timeline)
{
    uint32_t recovered = recovered_timeline(situation);

    return recovered > timeline ? left_at(situation, recovered, timeline) : 0;
}

/* Whom this call asks. */
struct places {
    struct repository *repositories;
    size_t count;
};

/* "" where the segment's trailer does not tell. */
static void describe_last_commit(const struct situation *situation, const struct places *places,
                                 const char *segment, char *out, size_t length)
{
    char time[TIMESTAMP_TEXT_BYTES];
    struct object_facts facts;

    *out = '\0';
    bool was_muted = log_mute_thread(true); /* the hole is what there is to be told */
    for (size_t i = 0; *out == '\0' && i < places->count; i++) {
        if (repository_get_segment_facts(&places->repositories[i], situation->control.system_identifier,
                                         segment, &facts) != REPOSITORY_OK ||
            !facts.has_summary || facts.summary.transactions == 0)
            continue;
        timestamp_format(facts.summary.most_time, time);
        snprintf(out, length, ", whose last commit is of %s,", time);
    }
    log_mute_thread(was_muted);
}

static void explain(const struct situation *situation, const struct places *places, const char *why)
{
    char before[WAL_SEGMENT_NAME_BYTES] = "the one before it", commit[80] = "";
    uint64_t number;

    if (wal_segment_number(&situation->parsed, situation->control.segment_bytes, &number) && number > 0) {
        wal_segment_name(situation->parsed.timeline, number - 1, situation->control.segment_bytes, before);
        describe_last_commit(situation, places, before, commit, sizeof commit);
    }
    log_error("WAL segment \"%s\" is missing, but %s: a hole, not the end of the archive", situation->name,
              why);
    log_hint(
        "If the lost server's pg_wal still has \"%s\", copy it into \"%s\" and start again. To end "
        "recovery with \"%s\"%s and give up everything from \"%s\" on, run: recovery-config --accept-end %s",
        situation->name, situation->directory, before, commit, situation->name, situation->name);
}

/* Where, if at all, the timeline being recovered left that of the segment asked for; where the segment ends.
 */
struct fork {
    uint32_t timeline;
    uint64_t left_at, segment_end;
};

static bool find_fork(const struct situation *situation, struct fork *fork)
{
    uint64_t number;

    fork->timeline = recovered_timeline(situation);
    if (fork->timeline <= situation->parsed.timeline ||
        !wal_segment_number(&situation->parsed, situation->control.segment_bytes, &number))
        return false;
    fork->left_at = left_at(situation, fork->timeline, situation->parsed.timeline);
    fork->segment_end = (number + 1) * situation->control.segment_bytes;
    return fork->left_at != 0;
}

/* Rule 3(b): the history says that the server wrote beyond this segment before it changed its timeline. */
static bool fork_is_beyond(const struct situation *situation, const struct places *places, bool say)
{
    struct fork fork;
    char why[128], lsn[24];

    if (!find_fork(situation, &fork) || fork.left_at < fork.segment_end)
        return false;
    lsn_format(fork.left_at, lsn);
    snprintf(why, sizeof why, "timeline %u left timeline %u only at %s", fork.timeline,
             situation->parsed.timeline, lsn);
    if (say)
        explain(situation, places, why);
    return true;
}

bool hole_is_behind_fork(const struct situation *situation)
{
    struct fork fork;
    char lsn[24];

    if (!find_fork(situation, &fork) || fork.left_at >= fork.segment_end)
        return false;
    lsn_format(fork.left_at, lsn);
    log_error("\"%s\" is not handed over: timeline %u left timeline %u at %s, before that segment ends, and "
              "has no segment of its own in its place",
              situation->name, fork.timeline, situation->parsed.timeline, lsn);
    log_hint(
        "It holds what timeline %u has not. Let the server of timeline %u archive its own, or copy it from "
        "its pg_wal into \"%s\", and start again. To end recovery before it: recovery-config --accept-end "
        "%s. To recover timeline %u instead: a freshly fetched directory, and recovery-config --timeline %u",
        fork.timeline, fork.timeline, situation->directory, situation->name, situation->parsed.timeline,
        situation->parsed.timeline);
    return true;
}

/* What is missing was let go of on purpose, and the server that did so left a marker. */
static enum hole_result explain_gap(const struct situation *situation, struct repository *repository,
                                    const char *marker, bool say)
{
    char since[TIMESTAMP_TEXT_BYTES], until[TIMESTAMP_TEXT_BYTES];
    struct gap gap;

    if (!say)
        return HOLE_FOUND;
    if (gap_get(repository, situation->control.system_identifier, marker, &gap) != REPOSITORY_OK)
        return HOLE_UNKNOWN;
    timestamp_format(gap.since, since);
    timestamp_format(gap.until, until);
    log_error("WAL from \"%s\" to \"%s\" (%" PRIu64
              " segments) was let go of by %s (on_full = drop) between %s "
              "and %s: no recovery passes it",
              gap.first, gap.last, gap.segments, gap.host[0] == '\0' ? "wal-push" : gap.host, since, until);
    log_hint(
        "To end recovery before it and give up everything from \"%s\" on, run: recovery-config --accept-end "
        "%s. What is behind it needs a base backup that began after %s.",
        situation->name, situation->name, until);
    return HOLE_FOUND;
}

enum hole_result hole_look(const struct situation *situation, struct repository *repositories, size_t count,
                           struct hole_report *report, bool say)
{
    const struct places places = {repositories, count};
    char nearest[WAL_SEGMENT_NAME_BYTES] = "", why[64];
    struct later_segment later;

    *report = (struct hole_report){.partial = false, .place_is_alive = true};
    if (fork_is_beyond(situation, &places, say))
        return HOLE_FOUND;
    for (size_t i = 0; i < count; i++) {
        if (repository_later_segment(&repositories[i], situation->control.system_identifier, situation->name,
                                     situation->control.segment_bytes, &later) != REPOSITORY_OK)
            return HOLE_UNKNOWN;
        if (later.has_itself)
            return HOLE_FILLED;
        if (later.gap[0] != '\0')
            return explain_gap(situation, &repositories[i], later.gap, say);
        report->partial = report->partial || later.partial;
        report->place_is_alive = report->place_is_alive && later.has_before;
        if (later.next[0] != '\0' && (nearest[0] == '\0' || strcmp(later.next, nearest) < 0))
            memcpy(nearest, later.next, sizeof nearest);
    }
    if (nearest[0] == '\0')
        return HOLE_NONE;
    snprintf(why, sizeof why, "\"%s\" is there", nearest);
    if (say)
        explain(situation, &places, why);
    return HOLE_FOUND;
}
