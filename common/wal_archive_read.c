/* What the records of a run say: log by log, from the last to the first, by the log's index, and by trailers
 * where there is none. */
#include "wal_archive.h"

#include "file.h"
#include "log.h"
#include "pg_wal.h"
#include "wal_index.h"

#include <stdlib.h>
#include <string.h>

#define INDEX_WORTH 4 /* fewer trailers than this are read without asking for an index */

/* A segment that is read. */
struct item {
    const struct wal_archive *archive;
    uint32_t timeline;
    const struct archive_segment *segment;
    bool is_read; /* known or not */
    bool is_damaged;
    bool is_known;
    struct wal_summary summary;
};

/* Consecutive segments of one timeline and log. */
struct chunk {
    struct item *items; /* owned */
    size_t count, capacity;
};

/* One segment */

static uint64_t item_number(const struct item *item)
{
    return item->segment->number;
}

static void item_name(const struct item *item, char name[WAL_SEGMENT_NAME_BYTES])
{
    wal_segment_name(item->timeline, item_number(item), item->archive->segment_bytes, name);
}

static void take_summary(struct item *item, bool has_summary, const struct wal_summary *summary)
{
    item->is_read = true;
    item->is_known = has_summary && summary->is_whole;
    if (has_summary)
        item->summary = *summary;
}

static int read_trailer(struct repository *repository, struct item *item)
{
    char name[WAL_SEGMENT_NAME_BYTES];
    struct object_facts facts;

    item_name(item, name);
    enum repository_result result =
        repository_get_segment_facts(repository, item->archive->system_identifier, name, &facts);
    if (result == REPOSITORY_FAILED)
        return -1;
    item->is_damaged = result == REPOSITORY_DAMAGED;
    take_summary(item, result == REPOSITORY_OK && facts.has_summary, &facts.summary);
    return 0;
}

static int open_local(const struct wal_archive *archive, uint32_t timeline, uint64_t number,
                      struct pg_wal_segment *segment)
{
    char name[WAL_SEGMENT_NAME_BYTES];

    wal_segment_name(timeline, number, archive->segment_bytes, name);
    char *path = path_join(archive->pg_wal, name);
    int result = path == NULL
                     ? -1
                     : pg_wal_open(path, number, archive->system_identifier, archive->segment_bytes, segment);
    free(path);
    return result;
}

static enum repository_result feed_local(const struct wal_archive *archive, uint32_t timeline,
                                         uint64_t number, struct wal_scan *scan)
{
    struct pg_wal_segment segment;
    int result = open_local(archive, timeline, number, &segment);

    if (result != 0)
        return result > 0 ? REPOSITORY_ABSENT : REPOSITORY_FAILED;
    result = pg_wal_feed(&segment, scan);
    pg_wal_close(&segment);
    return result == 0 ? REPOSITORY_OK : REPOSITORY_FAILED;
}

static int read_local(struct item *item)
{
    struct wal_scan *scan = wal_scan_new();
    const struct wal_restore_point *ignored;
    struct wal_summary summary;

    if (scan == NULL)
        return -1;
    wal_scan_begin(scan);
    enum repository_result result = feed_local(item->archive, item->timeline, item_number(item), scan);
    wal_scan_end(scan, &summary, &ignored);
    summary.is_whole = true; /* the last one ends where the server ended */
    if (result != REPOSITORY_FAILED)
        take_summary(item, result == REPOSITORY_OK, &summary);
    wal_scan_free(scan);
    return result == REPOSITORY_FAILED ? -1 : 0;
}

static int read_item(struct reader *reader, void *context)
{
    struct item *item = context;

    if (item->segment->source == ARCHIVE_PG_WAL)
        return read_local(item);
    struct repository *repository = reader_repository(reader, item->archive->sources[item->segment->source]);
    return repository == NULL ? -1 : read_trailer(repository, item);
}

/* A chunk */

static int chunk_reserve(struct chunk *chunk, size_t count)
{
    if (count <= chunk->capacity)
        return 0;
    struct item *grown = realloc(chunk->items, count * sizeof *grown);
    if (grown == NULL)
        return log_out_of_memory();
    chunk->items = grown;
    chunk->capacity = count;
    return 0;
}

/* The segments before number end, down to first, that are in the same log of the same timeline. */
static int chunk_select(struct chunk *chunk, const struct wal_archive *archive,
                        const struct timeline_history *history, uint64_t first, uint64_t end)
{
    const uint64_t per_log = wal_segments_per_log(archive->segment_bytes);
    uint64_t begin = (end - 1) / per_log * per_log, last;
    uint32_t timeline = wal_archive_way(history, archive->segment_bytes, end - 1, &last);

    for (size_t i = 0; i < history->count; i++) /* where this timeline begins, if it is a later one */
        if (history->ancestors[i].lsn / archive->segment_bytes <= end - 1 &&
            history->ancestors[i].lsn / archive->segment_bytes > begin)
            begin = history->ancestors[i].lsn / archive->segment_bytes;
    begin = begin < first ? first : begin;
    chunk->count = 0;
    if (chunk_reserve(chunk, (size_t)(end - begin)) != 0)
        return -1;
    for (uint64_t number = begin; number < end; number++) {
        const struct archive_segment *segment = wal_archive_segment(archive, timeline, number);
        struct item *item = &chunk->items[chunk->count++];
        memset(item, 0, sizeof *item);
        item->archive = archive;
        item->timeline = timeline;
        item->segment = segment;
    }
    return 0;
}

/* An index is only a cache: one that is damaged, or of other objects, is passed over. */
static enum repository_result read_index(struct chunk *chunk, const struct wal_archive *archive)
{
    const struct item *any = &chunk->items[0];
    const uint64_t per_log = wal_segments_per_log(archive->segment_bytes);
    struct wal_index index = {.entries = NULL};

    if (chunk->count < INDEX_WORTH || any->segment->source == ARCHIVE_PG_WAL)
        return REPOSITORY_OK;
    enum repository_result result =
        wal_index_get(archive->sources[any->segment->source], archive->system_identifier, any->timeline,
                      (uint32_t)(item_number(any) / per_log), archive->segment_bytes, &index);
    if (result != REPOSITORY_OK)
        return result == REPOSITORY_FAILED ? result : REPOSITORY_OK;
    for (size_t i = 0; i < chunk->count; i++) {
        struct item *item = &chunk->items[i];
        size_t place = (size_t)(item_number(item) % per_log);
        if (place < index.count && index.entries[place].number == item_number(item) &&
            index.entries[place].stored_bytes == item->segment->stored_bytes &&
            item->segment->source == any->segment->source)
            take_summary(item, index.entries[place].has_summary, &index.entries[place].summary);
    }
    wal_index_free(&index);
    return REPOSITORY_OK;
}

static int need_readers(struct wal_archive *archive)
{
    const struct repository *any = archive->repository; /* of a pg_wal alone none is opened */
    const struct readers_settings settings = {
        .limits = {.operation_seconds = any == NULL ? 0 : any->config->basebackup_store_timeout_seconds}};

    if (archive->readers == NULL)
        archive->readers = readers_new(&settings);
    return archive->readers == NULL ? -1 : 0;
}

/* What the index has not told, the last first. */
static enum repository_result read_rest(struct wal_archive *archive, struct chunk *chunk)
{
    void **items = calloc(chunk->count, sizeof *items);
    size_t count = 0;
    int done = items == NULL ? log_out_of_memory() : need_readers(archive);

    for (size_t i = chunk->count; items != NULL && i > 0; i--)
        if (!chunk->items[i - 1].is_read)
            items[count++] = &chunk->items[i - 1];
    if (done == 0)
        done = readers_run(archive->readers, items, count, read_item);
    free(items);
    for (size_t i = 0; i < chunk->count; i++)
        archive->damaged_count += chunk->items[i].is_damaged;
    return done == 0 ? REPOSITORY_OK : REPOSITORY_FAILED;
}

static enum repository_result chunk_read(struct wal_archive *archive, struct chunk *chunk)
{
    enum repository_result result = read_index(chunk, archive);

    return result == REPOSITORY_OK ? read_rest(archive, chunk) : result;
}

/* A run */

/* The record that the edge between two neighbours cuts counts in the later one. */
static void join(const struct item *earlier, struct item *later)
{
    struct wal_restore_point ignored;

    if (later->is_known &&
        !(earlier->is_known &&
          wal_summary_join(&earlier->summary, later->archive->postgresql_version, &later->summary, &ignored)))
        later->is_known = later->summary.continued.length == 0;
}

struct visit {
    archive_each *each;
    void *context;
    bool is_over;
};

static void tell(struct visit *visit, const struct item *item)
{
    if (!visit->is_over)
        visit->is_over = !visit->each(visit->context, item->timeline, item_number(item),
                                      item->is_known ? &item->summary : NULL);
}

/* held: the first one of the chunk behind this, which waits for its neighbour; then the first of this. */
static void tell_chunk(struct visit *visit, struct chunk *chunk, struct item *held)
{
    if (held->segment != NULL) {
        join(&chunk->items[chunk->count - 1], held);
        tell(visit, held);
    }
    for (size_t i = chunk->count - 1; i > 0; i--) {
        join(&chunk->items[i - 1], &chunk->items[i]);
        tell(visit, &chunk->items[i]);
    }
    *held = chunk->items[0];
}

enum repository_result wal_archive_read(struct wal_archive *archive, const struct timeline_history *history,
                                        const struct archive_run *run, archive_each *each, void *context)
{
    const struct timeline_history alone = {.timeline = run->timeline};
    struct chunk chunk = {.items = NULL};
    struct item held = {.segment = NULL};
    struct visit visit = {each, context, false};
    enum repository_result result = REPOSITORY_OK;

    history = history == NULL ? &alone : history;
    for (uint64_t end = run->last + 1; result == REPOSITORY_OK && !visit.is_over && end > run->first;
         end = item_number(&held)) {
        result = chunk_select(&chunk, archive, history, run->first, end) == 0 ? chunk_read(archive, &chunk)
                                                                              : REPOSITORY_FAILED;
        if (result != REPOSITORY_OK)
            break;
        tell_chunk(&visit, &chunk, &held);
    }
    /* What began before the run is not replayed. */
    if (result == REPOSITORY_OK && held.segment != NULL)
        tell(&visit, &held);
    free(chunk.items);
    return result;
}

/* Bytes of a segment */

#define FEED_BYTES (64u * 1024)

/* Hands the scan whole pieces, in whatever pieces they come. */
struct feeder {
    struct wal_scan *scan;
    size_t filled;
    unsigned char bytes[FEED_BYTES];
};

static int feed(void *context, const void *data, size_t length)
{
    struct feeder *feeder = context;
    const unsigned char *bytes = data;

    while (length > 0) {
        size_t taken = FEED_BYTES - feeder->filled < length ? FEED_BYTES - feeder->filled : length;
        memcpy(feeder->bytes + feeder->filled, bytes, taken);
        feeder->filled += taken;
        bytes += taken;
        length -= taken;
        if (feeder->filled == FEED_BYTES) {
            wal_scan_feed(feeder->scan, feeder->bytes, FEED_BYTES);
            feeder->filled = 0;
        }
    }
    return 0;
}

enum repository_result wal_archive_feed(const struct wal_archive *archive, uint32_t timeline, uint64_t number,
                                        struct wal_scan *scan)
{
    const struct archive_segment *segment = wal_archive_segment(archive, timeline, number);
    char name[WAL_SEGMENT_NAME_BYTES];

    if (segment == NULL)
        return REPOSITORY_ABSENT;
    if (segment->source == ARCHIVE_PG_WAL)
        return feed_local(archive, timeline, number, scan);
    wal_segment_name(timeline, number, archive->segment_bytes, name);
    char *key = repository_wal_key(archive->sources[segment->source], archive->system_identifier, name);
    struct feeder *feeder = calloc(1, sizeof *feeder);
    const struct sink sink = {feed, feeder};
    enum repository_result result = REPOSITORY_FAILED;
    if (feeder == NULL)
        log_out_of_memory();
    else if (key != NULL) {
        feeder->scan = scan;
        result = repository_get_object(archive->sources[segment->source], key, &sink, NULL);
    }
    free(feeder);
    free(key);
    return result;
}

/* Times */

struct times_search {
    struct archive_times *times;
    const struct archive_enough *enough;
};

static void add_times(struct archive_times *times, uint64_t number, const struct wal_summary *summary)
{
    if (!times->has_commit) { /* going back: it is the last */
        times->has_commit = true;
        times->most_time = summary->most_time;
        times->last_lsn = summary->last_lsn;
        times->last_segment = number;
    } else if (summary->most_time > times->most_time)
        times->most_time = summary->most_time;
}

static bool look_at_times(void *context, uint32_t timeline, uint64_t number,
                          const struct wal_summary *summary)
{
    const struct times_search *search = context;

    (void)timeline;
    search->times->is_known = summary != NULL;
    if (summary == NULL)
        return false;
    if (summary->transactions > 0)
        add_times(search->times, number, summary);
    return !search->times->has_commit ||
           (search->times->most_time <= search->enough->time && number > search->enough->segment);
}

enum repository_result wal_archive_times_enough(struct wal_archive *archive,
                                                const struct timeline_history *history,
                                                const struct archive_run *run,
                                                const struct archive_enough *enough,
                                                struct archive_times *times)
{
    *times = (struct archive_times){.is_known = true};
    struct times_search search = {times, enough};
    return wal_archive_read(archive, history, run, look_at_times, &search);
}

enum repository_result wal_archive_times(struct wal_archive *archive, const struct timeline_history *history,
                                         const struct archive_run *run, struct archive_times *times)
{
    const struct archive_enough all = {INT64_MAX, 0};

    return wal_archive_times_enough(archive, history, run, &all, times);
}

struct later_search {
    int64_t time;
    bool is_found;
    uint64_t number;
};

static bool look_for_later(void *context, uint32_t timeline, uint64_t number,
                           const struct wal_summary *summary)
{
    struct later_search *search = context;

    (void)timeline;
    if (summary != NULL && summary->transactions > 0 && summary->most_time > search->time) {
        search->is_found = true;
        search->number = number;
    }
    return true;
}

enum repository_result wal_archive_find_later(struct wal_archive *archive,
                                              const struct timeline_history *history,
                                              const struct archive_run *run, int64_t time, uint64_t *number)
{
    struct later_search search = {.time = time};
    enum repository_result result = wal_archive_read(archive, history, run, look_for_later, &search);

    if (result != REPOSITORY_OK)
        return result;
    *number = search.number;
    return search.is_found ? REPOSITORY_OK : REPOSITORY_ABSENT;
}
