#include "wal_archive.h"

#include "file.h"
#include "log.h"
#include "pg_wal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64

/* Timelines */

static size_t timeline_index(const struct wal_archive *archive, uint32_t timeline)
{
    size_t low = 0, high = archive->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (archive->timelines[middle].timeline < timeline)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct archive_timeline *wal_archive_timeline(const struct wal_archive *archive, uint32_t timeline)
{
    size_t index = timeline_index(archive, timeline);

    return index < archive->count && archive->timelines[index].timeline == timeline
               ? &archive->timelines[index]
               : NULL;
}

/* NULL after logging. Good until the next one is made. */
static struct archive_timeline *make_timeline(struct wal_archive *archive, uint32_t timeline)
{
    size_t index = timeline_index(archive, timeline);

    if (index < archive->count && archive->timelines[index].timeline == timeline)
        return &archive->timelines[index];
    struct archive_timeline *grown = realloc(archive->timelines, (archive->count + 1) * sizeof *grown);
    if (grown == NULL) {
        log_out_of_memory();
        return NULL;
    }
    archive->timelines = grown;
    memmove(&grown[index + 1], &grown[index], (archive->count - index) * sizeof *grown);
    archive->count++;
    grown[index] = (struct archive_timeline){.timeline = timeline, .history = {.timeline = timeline}};
    return &grown[index];
}

static void free_timeline(struct archive_timeline *timeline)
{
    timeline_history_free(&timeline->history);
    free(timeline->segments);
    free(timeline->gaps);
    free(timeline->partials);
}

void wal_archive_begin(uint64_t system_identifier, uint32_t segment_bytes, struct wal_archive *archive)
{
    *archive = (struct wal_archive){.system_identifier = system_identifier, .segment_bytes = segment_bytes};
}

static void free_timelines(struct wal_archive *archive)
{
    for (size_t i = 0; i < archive->count; i++)
        free_timeline(&archive->timelines[i]);
    free(archive->timelines);
    archive->timelines = NULL;
    archive->count = 0;
}

void wal_archive_close(struct wal_archive *archive)
{
    if (archive == NULL)
        return;
    readers_free(archive->readers);
    free_timelines(archive);
    free(archive->pg_wal);
    *archive = (struct wal_archive){.repository = NULL};
}

uint32_t wal_archive_latest(const struct wal_archive *archive, uint32_t from)
{
    for (;;) {
        const struct archive_timeline *next = wal_archive_timeline(archive, from + 1);
        if (next == NULL || !next->has_history)
            return from;
        from++;
    }
}

/* Segments of one timeline */

size_t archive_segment_index(const struct archive_timeline *timeline, uint64_t number)
{
    size_t low = 0, high = timeline->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (timeline->segments[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct archive_segment *wal_archive_segment(const struct wal_archive *archive, uint32_t timeline,
                                                  uint64_t number)
{
    const struct archive_timeline *found = wal_archive_timeline(archive, timeline);
    size_t index = found == NULL ? 0 : archive_segment_index(found, number);

    return found != NULL && index < found->count && found->segments[index].number == number
               ? &found->segments[index]
               : NULL;
}

/* The first number at or behind number whose segment is not there. No number stands twice, so all are there
 * between two of which numbers and indexes are as far apart. */
static uint64_t first_missing(const struct archive_timeline *timeline, uint64_t number)
{
    size_t begin = archive_segment_index(timeline, number), low = begin, high = timeline->count;

    if (begin == timeline->count || timeline->segments[begin].number != number)
        return number;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (timeline->segments[middle].number - number == middle - begin)
            low = middle;
        else
            high = middle;
    }
    return timeline->segments[low].number + 1;
}

bool wal_archive_next_hole(const struct archive_timeline *timeline, uint64_t from, struct archive_gap *hole)
{
    size_t index;

    if (timeline->count == 0)
        return false;
    if (from < timeline->segments[0].number)
        from = timeline->segments[0].number;
    hole->first = first_missing(timeline, from);
    index = archive_segment_index(timeline, hole->first);
    if (index == timeline->count)
        return false;
    hole->last = timeline->segments[index].number - 1;
    return true;
}

static bool is_marked(const struct archive_timeline *timeline, uint64_t number)
{
    for (size_t i = 0; i < timeline->gap_count && timeline->gaps[i].first <= number; i++)
        if (timeline->gaps[i].last >= number)
            return true;
    return false;
}

static bool has_partial(const struct archive_timeline *timeline, uint64_t number)
{
    for (size_t i = 0; i < timeline->partial_count; i++)
        if (timeline->partials[i] == number)
            return true;
    return false;
}

/* Listing */

struct listed {
    struct wal_archive *archive;
    uint16_t source;
    bool failed;
};

static int append_segment(struct wal_archive *archive, struct archive_timeline *timeline,
                          struct archive_segment segment)
{
    if (timeline->count == timeline->capacity) {
        size_t capacity = timeline->capacity == 0 ? FIRST_CAPACITY : 2 * timeline->capacity;
        struct archive_segment *grown = realloc(timeline->segments, capacity * sizeof *grown);
        if (grown == NULL)
            return log_out_of_memory();
        timeline->segments = grown;
        timeline->capacity = capacity;
    }
    timeline->segments[timeline->count++] = segment;
    archive->segment_count++;
    archive->stored_bytes += segment.stored_bytes;
    return 0;
}

static int append_partial(struct archive_timeline *timeline, uint64_t number)
{
    if (timeline->count > 0 && timeline->segments[timeline->count - 1].number == number) {
        timeline->segments[timeline->count - 1].is_partial_there = true;
        return 0;
    }
    if (timeline->partial_count > 0 && timeline->partials[timeline->partial_count - 1] == number)
        return 0; /* with a hash behind it */
    uint64_t *grown = realloc(timeline->partials, (timeline->partial_count + 1) * sizeof *grown);
    if (grown == NULL)
        return log_out_of_memory();
    timeline->partials = grown;
    grown[timeline->partial_count++] = number;
    return 0;
}

static int append_gap(struct archive_timeline *timeline, struct archive_gap gap)
{
    struct archive_gap *grown = realloc(timeline->gaps, (timeline->gap_count + 1) * sizeof *grown);

    if (grown == NULL)
        return log_out_of_memory();
    timeline->gaps = grown;
    grown[timeline->gap_count++] = gap;
    return 0;
}

/* 0, 1 when it is none of ours, or -1 after logging. */
static int take_gap(struct wal_archive *archive, const char *name)
{
    char first_name[WAL_SEGMENT_NAME_BYTES], last_name[WAL_SEGMENT_NAME_BYTES];
    struct archive_gap gap;

    if (!wal_gap_name_parse(name, first_name, last_name))
        return 1;
    const struct wal_name first = wal_name_parse(first_name), last = wal_name_parse(last_name);
    if (!wal_segment_number(&first, archive->segment_bytes, &gap.first) ||
        !wal_segment_number(&last, archive->segment_bytes, &gap.last))
        return 1;
    struct archive_timeline *timeline = make_timeline(archive, first.timeline);
    return timeline == NULL ? -1 : append_gap(timeline, gap);
}

static int take_name(struct listed *listed, const char *text, uint64_t bytes)
{
    struct wal_archive *archive = listed->archive;
    const struct wal_name name = wal_name_parse(text);
    struct archive_segment segment = {.stored_bytes = bytes, .source = listed->source};

    if (name.kind == WAL_BACKUP)
        return 0;
    if (name.kind == WAL_NOT)
        return take_gap(archive, text);
    if (name.kind != WAL_HISTORY && !wal_segment_number(&name, archive->segment_bytes, &segment.number))
        return 1;
    struct archive_timeline *timeline = make_timeline(archive, name.timeline);
    if (timeline == NULL)
        return -1;
    if (name.kind == WAL_SEGMENT)
        return append_segment(archive, timeline, segment);
    if (name.kind == WAL_PARTIAL)
        return append_partial(timeline, segment.number);
    timeline->has_history = true;
    return 0;
}

static bool take_key(void *context, const char *key, uint64_t bytes)
{
    struct listed *listed = context;
    int result = take_name(listed, strrchr(key, '/') + 1, bytes);

    listed->archive->object_count++;
    listed->archive->object_bytes += bytes;
    if (result > 0) {
        listed->archive->foreign_count++;
        log_debug("\"%s\" is no WAL of this system", key);
    }
    listed->failed = result < 0;
    return !listed->failed;
}

static int list(struct repository *repository, struct listed *listed, const char *below,
                const char *start_after)
{
    char *prefix = repository_system_key(repository, listed->archive->system_identifier, below);
    struct store_listing listing = {prefix, start_after, 0, take_key, listed};
    int result = -1;

    if (prefix != NULL && store_list(repository->store, &listing) == STORE_OK && !listed->failed)
        result = 0;
    free(prefix);
    return result;
}

/* Begins where a marker that covers segment first would. */
static int list_timeline(struct repository *repository, struct listed *listed, uint32_t timeline,
                         uint64_t first)
{
    char below[32], name[WAL_SEGMENT_NAME_BYTES], rest[64];
    int result = -1;

    snprintf(below, sizeof below, "wal/%08X", timeline);
    wal_segment_name(timeline, first, listed->archive->segment_bytes, name);
    snprintf(rest, sizeof rest, "wal/%.16s/%.*s", name, WAL_GAP_COMMON, name);
    char *start_after = repository_system_key(repository, listed->archive->system_identifier, rest);
    if (start_after != NULL)
        result = list(repository, listed, below, start_after);
    free(start_after);
    return result;
}

static int list_way(struct repository *repository, struct listed *listed,
                    const struct timeline_history *history, uint64_t first)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < history->count; i++)
        if (history->ancestors[i].lsn / listed->archive->segment_bytes >= first)
            result = list_timeline(repository, listed, history->ancestors[i].timeline, first);
    return result == 0 ? list_timeline(repository, listed, history->timeline, first) : -1;
}

/* Unions */

/* What both have is the first one's. */
static int merge_segments(struct archive_timeline *to, const struct archive_timeline *from)
{
    size_t capacity = to->count + from->count, count = 0, a = 0, b = 0;

    if (from->count == 0)
        return 0;
    struct archive_segment *merged = malloc(capacity * sizeof *merged);
    if (merged == NULL)
        return log_out_of_memory();
    while (a < to->count || b < from->count) {
        if (b == from->count || (a < to->count && to->segments[a].number <= from->segments[b].number)) {
            b += b < from->count && to->segments[a].number == from->segments[b].number;
            merged[count++] = to->segments[a++];
        } else
            merged[count++] = from->segments[b++];
    }
    free(to->segments);
    to->segments = merged;
    to->count = count;
    to->capacity = capacity;
    return 0;
}

static int compare_gaps(const void *left, const void *right)
{
    const struct archive_gap *a = left, *b = right;

    return (a->first > b->first) - (a->first < b->first);
}

static int merge_timeline(struct archive_timeline *to, const struct archive_timeline *from)
{
    int result = merge_segments(to, from);

    for (size_t i = 0; result == 0 && i < from->gap_count; i++)
        result = append_gap(to, from->gaps[i]);
    for (size_t i = 0; result == 0 && i < from->partial_count; i++)
        result = has_partial(to, from->partials[i]) ? 0 : append_partial(to, from->partials[i]);
    if (to->gap_count > 1)
        qsort(to->gaps, to->gap_count, sizeof *to->gaps, compare_gaps);
    to->has_history = to->has_history || from->has_history;
    return result;
}

static void count_segments(struct wal_archive *archive)
{
    archive->segment_count = archive->stored_bytes = 0;
    for (size_t i = 0; i < archive->count; i++)
        archive->segment_count += archive->timelines[i].count;
    for (size_t i = 0; i < archive->count; i++)
        for (size_t k = 0; k < archive->timelines[i].count; k++)
            archive->stored_bytes += archive->timelines[i].segments[k].stored_bytes;
}

/* Takes over what the other has. */
static int merge(struct wal_archive *to, struct wal_archive *from)
{
    int result = 0;

    if (to->count == 0) {
        to->timelines = from->timelines;
        to->count = from->count;
        from->timelines = NULL;
        from->count = 0;
    }
    for (size_t i = 0; result == 0 && i < from->count; i++) {
        struct archive_timeline *timeline = make_timeline(to, from->timelines[i].timeline);
        result = timeline == NULL ? -1 : merge_timeline(timeline, &from->timelines[i]);
    }
    to->foreign_count += from->foreign_count;
    to->object_count += from->object_count;
    to->object_bytes += from->object_bytes;
    count_segments(to);
    return result;
}

enum repository_result wal_archive_add(struct wal_archive *archive, struct repository *repository,
                                       const struct timeline_history *history, uint64_t first)
{
    struct wal_archive found;
    struct listed listed = {&found, (uint16_t)archive->source_count, false};
    const struct generation *generation =
        repository->cluster_known ? cluster_generation(&repository->cluster, archive->system_identifier)
                                  : NULL;
    int result = -1;

    wal_archive_begin(archive->system_identifier, archive->segment_bytes, &found);
    if (archive->source_count == ARCHIVE_SOURCES_MOST)
        log_error("there are more than %d repositories", ARCHIVE_SOURCES_MOST);
    else if ((history == NULL ? list(repository, &listed, "wal/", NULL)
                              : list_way(repository, &listed, history, first)) == 0)
        result = merge(archive, &found);
    free_timelines(&found);
    if (result != 0)
        return REPOSITORY_FAILED;
    if (generation != NULL)
        archive->postgresql_version = generation->postgresql_version;
    if (archive->source_count == 0)
        archive->repository = repository;
    archive->sources[archive->source_count++] = repository;
    return REPOSITORY_OK;
}

/* That of the first who has it. */
static enum repository_result get_history(const struct wal_archive *archive, uint32_t timeline,
                                          struct timeline_history *history)
{
    enum repository_result result = REPOSITORY_ABSENT;

    for (size_t i = 0; i < archive->source_count && result == REPOSITORY_ABSENT; i++)
        result = repository_get_history(archive->sources[i], archive->system_identifier, timeline, history);
    return result;
}

/* Without its history a timeline is as if it had none. */
enum repository_result wal_archive_load_histories(struct wal_archive *archive)
{
    enum repository_result all = REPOSITORY_OK;

    for (size_t i = 0; i < archive->count; i++) {
        struct archive_timeline *timeline = &archive->timelines[i];
        struct timeline_history history;

        if (!timeline->has_history)
            continue;
        enum repository_result result = get_history(archive, timeline->timeline, &history);
        if (result == REPOSITORY_OK)
            timeline->history = history;
        else if (result == REPOSITORY_DAMAGED || result == REPOSITORY_ABSENT) { /* ABSENT: just now */
            archive->damaged_count += result == REPOSITORY_DAMAGED;
            all = result == REPOSITORY_DAMAGED ? result : all;
        } else
            return REPOSITORY_FAILED;
    }
    return all;
}

enum repository_result wal_archive_load(struct repository *repository, uint64_t system_identifier,
                                        uint32_t segment_bytes, struct wal_archive *archive)
{
    wal_archive_begin(system_identifier, segment_bytes, archive);
    enum repository_result result = wal_archive_add(archive, repository, NULL, 0);

    return result == REPOSITORY_OK ? wal_archive_load_histories(archive) : result;
}

/* A pg_wal */

/* A segment that was not written to its end can only be the last: in a hole wal-fetch does not let it pass.
 */
static bool is_of_use(const struct wal_archive *archive, const char *directory,
                      const struct pg_wal_name *candidate)
{
    const struct archive_timeline *timeline = wal_archive_timeline(archive, candidate->timeline);
    char name[WAL_SEGMENT_NAME_BYTES];
    struct pg_wal_segment segment;
    bool is_last = timeline == NULL || timeline->count == 0 ||
                   timeline->segments[timeline->count - 1].number < candidate->number;

    if (wal_archive_segment(archive, candidate->timeline, candidate->number) != NULL)
        return false;
    wal_segment_name(candidate->timeline, candidate->number, archive->segment_bytes, name);
    char *path = path_join(directory, name);
    int opened = path == NULL ? -1
                              : pg_wal_open(path, candidate->number, archive->system_identifier,
                                            archive->segment_bytes, &segment);
    free(path);
    if (opened != 0)
        return false;
    bool result = is_last || pg_wal_is_written_to_its_end(segment.fd, &segment.page);
    pg_wal_close(&segment);
    return result;
}

int wal_archive_add_pg_wal(struct wal_archive *archive, const char *directory)
{
    struct wal_archive found;
    struct pg_wal_name *names;
    size_t count;
    int result = pg_wal_list(directory, 0, archive->segment_bytes, &names, &count);

    wal_archive_begin(archive->system_identifier, archive->segment_bytes, &found);
    for (size_t i = 0; result == 0 && i < count; i++) {
        if (!is_of_use(archive, directory, &names[i]))
            continue;
        struct archive_timeline *timeline = make_timeline(&found, names[i].timeline);
        const struct archive_segment segment = {
            .number = names[i].number, .stored_bytes = archive->segment_bytes, .source = ARCHIVE_PG_WAL};
        result = timeline == NULL ? -1 : append_segment(&found, timeline, segment);
    }
    if (result == 0)
        result = merge(archive, &found);
    free_timelines(&found);
    free(names);
    if (result == 0 && (archive->pg_wal = string_copy(directory)) == NULL)
        result = -1;
    return result;
}

/* The way */

uint32_t wal_archive_way(const struct timeline_history *history, uint32_t segment_bytes, uint64_t number,
                         uint64_t *last)
{
    size_t part = history->count;

    /* A timeline begins in the segment in which the one before was left. */
    while (part > 0 && history->ancestors[part - 1].lsn / segment_bytes > number)
        part--;
    if (part == history->count) {
        *last = UINT64_MAX;
        return history->timeline;
    }
    *last = history->ancestors[part].lsn / segment_bytes - 1;
    return history->ancestors[part].timeline;
}

/* The nearest segment on the way behind the run. */
static void find_later(const struct wal_archive *archive, const struct timeline_history *history,
                       struct archive_run *run)
{
    uint64_t number = run->last + 2, last = 0;

    while (last != UINT64_MAX) {
        uint32_t timeline = wal_archive_way(history, archive->segment_bytes, number, &last);
        const struct archive_timeline *found = wal_archive_timeline(archive, timeline);
        size_t index = found == NULL ? 0 : archive_segment_index(found, number);
        if (found != NULL && index < found->count && found->segments[index].number <= last) {
            run->has_later = true;
            run->next = found->segments[index].number;
            run->next_timeline = timeline;
            return;
        }
        number = last + 1;
    }
}

void wal_archive_follow(const struct wal_archive *archive, const struct timeline_history *history,
                        uint32_t start_timeline, uint64_t first, struct archive_run *run)
{
    const struct timeline_history alone = {.timeline = start_timeline};
    const struct archive_timeline *timeline;
    uint64_t missing = first, last;

    history = history == NULL ? &alone : history;
    *run = (struct archive_run){.first = first};
    for (;;) {
        run->missing_timeline = wal_archive_way(history, archive->segment_bytes, missing, &last);
        timeline = wal_archive_timeline(archive, run->missing_timeline);
        uint64_t end = timeline == NULL ? missing : first_missing(timeline, missing);
        if (run->first_timeline == 0)
            run->first_timeline = run->timeline = run->missing_timeline;
        if (end > missing)
            run->timeline = run->missing_timeline;
        if (end <= last) {
            missing = end;
            break;
        }
        missing = last + 1;
    }
    run->last = missing - 1;
    run->is_marked = timeline != NULL && is_marked(timeline, missing);
    run->is_partial = timeline != NULL && has_partial(timeline, missing);
    find_later(archive, history, run);
    run->is_hole = run->has_later || last != UINT64_MAX;
}

void archive_run_cut(struct archive_run *run, const struct timeline_history *history, uint32_t segment_bytes,
                     uint64_t number)
{
    uint64_t ignored;

    if (number > run->last + 1)
        return;
    *run =
        (struct archive_run){.first_timeline = run->first_timeline, .first = run->first, .last = number - 1};
    run->timeline = wal_archive_way(history, segment_bytes, number - 1, &ignored);
    run->missing_timeline = wal_archive_way(history, segment_bytes, number, &ignored);
}
