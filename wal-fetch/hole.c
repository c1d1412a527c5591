#include "hole.h"

#include "common/file.h"
#include "common/gap.h"
#include "common/log.h"
#include "common/timestamp.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HISTORY_MOST_BYTES (1024 * 1024)

#define SHORT_HEADER_BYTES 24 /* of a page, with its padding */
#define RECORD_HEADER_BYTES 24
#define RMGR_XLOG 0
#define XLOG_SWITCH 0x40

struct page_place {
    int fd;
    size_t block_bytes;
    uint64_t offset; /* of the page in its segment */
};

/* Bytes of this page that are not zero, up to the last of them. -1: could not read. */
static int64_t page_used(const struct page_place *place, unsigned char *page)
{
    size_t used = place->block_bytes;

    if (file_pread_fully(place->fd, page, used, place->offset) != 0)
        return -1;
    while (used > 0 && page[used - 1] == 0)
        used--;
    return (int64_t)used;
}

/* Is the last record of this page, the rest of which is zero, a switch to the next segment? */
static bool ends_with_switch(const struct page_place *place, const unsigned char *page, size_t used)
{
    const size_t header = place->offset == 0 ? WAL_LONG_HEADER_BYTES : SHORT_HEADER_BYTES;
    const size_t end = (used + 7) / 8 * 8;
    unsigned char record[RECORD_HEADER_BYTES] = {0};
    uint32_t length;

    if (end <= header)
        return false;
    size_t here = end - header < sizeof record ? end - header : sizeof record, before = sizeof record - here;
    if (before > 0 &&
        (place->offset == 0 || file_pread_fully(place->fd, record, before, place->offset - before) != 0))
        return false;
    memcpy(record + before, page + end - here, here);
    memcpy(&length, record, sizeof length);
    return length == RECORD_HEADER_BYTES && record[17] == RMGR_XLOG && (record[16] & 0xF0) == XLOG_SWITCH;
}

/* A server that died, or a standby that received no more, leaves its last segment in its full length: behind
 * what was written are zeros, or the pages of the segment whose file was used again. Zeros alone are right
 * behind a switch. */
static bool is_written_to_its_end(int fd, const struct wal_page *first)
{
    struct page_place place = {fd, first->block_bytes, first->segment_bytes};
    unsigned char *page = malloc(place.block_bytes);
    int64_t used = 0;
    bool written = false;

    while (page != NULL && used == 0 && place.offset > 0) {
        place.offset -= place.block_bytes;
        used = page_used(&place, page);
    }
    if (used > 0) {
        uint64_t address;
        memcpy(&address, page + 8, sizeof address);
        written = memcmp(page, &first->magic, sizeof first->magic) == 0 &&
                  address == first->address + place.offset &&
                  (place.offset + place.block_bytes == first->segment_bytes ||
                   ends_with_switch(&place, page, (size_t)used));
    }
    free(page);
    return written;
}

static bool holds_segment(int fd, const struct situation *situation, bool *begun)
{
    unsigned char header[WAL_LONG_HEADER_BYTES];
    struct wal_page page;
    struct stat status;

    *begun = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
             (uint64_t)status.st_size == situation->control.segment_bytes &&
             file_pread_fully(fd, header, sizeof header, 0) == 0 &&
             situation_fits_page(situation, header, &page) &&
             page.segment_bytes == situation->control.segment_bytes;
    return *begun && is_written_to_its_end(fd, &page);
}

bool hole_is_in_pg_wal(const struct situation *situation, bool say)
{
    char *path = path_join(situation->directory, situation->name);
    bool holds = false, begun = false;

    if (path == NULL)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0) {
        holds = holds_segment(fd, situation, &begun);
        close(fd);
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
    if (path != NULL && file_read_all(path, HISTORY_MOST_BYTES, &text) == FILE_OK &&
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

static void explain(const struct situation *situation, const char *why)
{
    char before[WAL_SEGMENT_NAME_BYTES] = "the one before it";
    uint64_t number;

    if (wal_segment_number(&situation->parsed, situation->control.segment_bytes, &number) && number > 0)
        wal_segment_name(situation->parsed.timeline, number - 1, situation->control.segment_bytes, before);
    log_error("WAL segment \"%s\" is missing, but %s: a hole, not the end of the archive", situation->name,
              why);
    log_hint(
        "If the lost server's pg_wal still has \"%s\", copy it into \"%s\" and start again. To end "
        "recovery with \"%s\" and give up everything from \"%s\" on, run: recovery-config --accept-end %s",
        situation->name, situation->directory, before, situation->name, situation->name);
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
static bool fork_is_beyond(const struct situation *situation, bool say)
{
    struct fork fork;
    char why[128], lsn[24];

    if (!find_fork(situation, &fork) || fork.left_at < fork.segment_end)
        return false;
    lsn_format(fork.left_at, lsn);
    snprintf(why, sizeof why, "timeline %u left timeline %u only at %s", fork.timeline,
             situation->parsed.timeline, lsn);
    if (say)
        explain(situation, why);
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
    char nearest[WAL_SEGMENT_NAME_BYTES] = "", why[64];
    struct later_segment later;

    *report = (struct hole_report){.partial = false, .place_is_alive = true};
    if (fork_is_beyond(situation, say))
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
        explain(situation, why);
    return HOLE_FOUND;
}
