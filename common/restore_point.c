#include "restore_point.h"

#include "document.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIND "restore-points"

/* The document */

bool restore_points_are_in(const struct wal_summary *summary)
{
    return summary->restore_points > 0 || wal_edge_may_be_restore_point(&summary->begun);
}

int restore_points_seal(const struct object_facts *segment, const struct wal_restore_point *points,
                        struct buffer *out)
{
    const struct wal_summary *summary = &segment->summary;
    struct json *document = document_new(KIND), *list = json_new_array();
    char hash[SHA256_HEX_BYTES];

    for (size_t i = 0; i < summary->restore_points && i < WAL_RESTORE_POINTS_MOST; i++) {
        struct json *item = json_new_object();
        document_set_text(item, "name", points[i].name);
        document_set_time(item, "time", points[i].time);
        document_set_lsn(item, "lsn", points[i].lsn);
        json_append(list, item);
    }
    hex_encode(segment->sha256, SHA256_BYTES, hash);
    document_set_system(document, segment->system_identifier);
    json_set_string(document, "segment", segment->name);
    json_set_string(document, "plain_sha256", hash);
    json_set_bool(document, "begun", wal_edge_may_be_restore_point(&summary->begun));
    json_set(document, "points", list);
    return document_seal(document, out);
}

static bool parse_point(const struct json *item, struct wal_restore_point *point)
{
    char *name;
    bool good = document_text(item, "name", &name) && name != NULL && name[0] != '\0' &&
                strlen(name) < sizeof point->name && document_time(item, "time", &point->time) &&
                document_lsn(item, "lsn", &point->lsn);

    if (good)
        memcpy(point->name, name, strlen(name) + 1);
    free(name);
    return good;
}

static bool parse_points(const struct json *document, struct restore_points *points)
{
    const struct json *list = json_list(document, "points");
    size_t count = json_array_length(list);

    if (list == NULL || count > WAL_RESTORE_POINTS_MOST)
        return false;
    points->points = calloc(count + 1, sizeof *points->points);
    if (points->points == NULL) {
        log_out_of_memory();
        return false;
    }
    for (; points->count < count; points->count++)
        if (!parse_point(json_array_item(list, points->count), &points->points[points->count]))
            return false;
    return true;
}

int restore_points_parse(const void *data, size_t length, const char *what, struct restore_points *points)
{
    struct json *document = document_open(data, length, KIND, what);

    *points = (struct restore_points){.points = NULL};
    if (document == NULL)
        return -1;
    const char *segment = json_text(document, "segment"), *hash = json_text(document, "plain_sha256");
    bool good = document_system(document, &points->system_identifier) && segment != NULL &&
                wal_name_parse(segment).kind == WAL_SEGMENT && hash != NULL &&
                hex_decode(hash, points->sha256, SHA256_BYTES) &&
                json_bool(document, "begun", &points->begun) == 0 && parse_points(document, points);
    if (good)
        memcpy(points->segment, segment, WAL_SEGMENT_NAME_BYTES);
    json_free(document);
    if (good)
        return 0;
    restore_points_free(points);
    log_error("%s is damaged: a member is missing or malformed", what);
    return -1;
}

void restore_points_free(struct restore_points *points)
{
    free(points->points);
    points->points = NULL;
    points->count = 0;
}

/* In a repository */

static void document_name(const char *segment, const unsigned char sha256[SHA256_BYTES],
                          char name[WAL_POINTS_NAME_BYTES])
{
    char hash[SHA256_HEX_BYTES];

    hex_encode(sha256, SHA256_BYTES, hash);
    snprintf(name, WAL_POINTS_NAME_BYTES, "%.24s.%.8s", segment, hash);
}

static char *document_key(const struct repository *repository, uint64_t system_identifier, const char *name)
{
    char rest[OBJECT_NAME_BYTES];

    snprintf(rest, sizeof rest, "restore-points/%s", name);
    return repository_system_key(repository, system_identifier, rest);
}

static bool has_name(const struct restore_points *points, const char *name)
{
    char own[WAL_POINTS_NAME_BYTES];

    document_name(points->segment, points->sha256, own);
    return strcmp(own, name) == 0;
}

enum repository_result restore_points_get(struct repository *repository, uint64_t system_identifier,
                                          const char *name, struct restore_points *points)
{
    struct buffer text = BUFFER_EMPTY;
    char *key = document_key(repository, system_identifier, name);
    enum repository_result result =
        key == NULL ? REPOSITORY_FAILED : repository_get_small(repository, key, NULL, &text);

    if (result == REPOSITORY_OK) {
        const char *what = store_describe(repository->store, key);
        if (restore_points_parse(text.data, text.length, what, points) != 0) {
            result = REPOSITORY_DAMAGED;
        } else if (points->system_identifier != system_identifier || !has_name(points, name)) {
            log_error("%s tells of another segment than its name", what);
            restore_points_free(points);
            result = REPOSITORY_DAMAGED;
        }
    }
    buffer_free(&text);
    free(key);
    return result;
}

/* Is the document that is there of this very segment? Another version of this program may have found other
 * points in it. */
static bool is_there(struct repository *repository, const struct object_facts *segment, const char *name)
{
    struct restore_points points;

    if (restore_points_get(repository, segment->system_identifier, name, &points) != REPOSITORY_OK)
        return false;
    restore_points_free(&points);
    return memcmp(points.sha256, segment->sha256, SHA256_BYTES) == 0;
}

enum repository_result restore_points_put(struct repository *repository, const struct object_facts *segment,
                                          const struct buffer *document)
{
    char name[WAL_POINTS_NAME_BYTES];

    document_name(segment->name, segment->sha256, name);
    char *key = document_key(repository, segment->system_identifier, name);
    enum repository_result result =
        key == NULL ? REPOSITORY_FAILED : repository_put_small(repository, key, document);
    free(key);
    return result == REPOSITORY_COLLISION && is_there(repository, segment, name) ? REPOSITORY_IDENTICAL
                                                                                 : result;
}

/* Looking for points. */
struct search {
    struct repository *repository;
    uint64_t system_identifier;
    uint32_t segment_bytes;
    const char *name; /* NULL: all */
    bool (*each)(void *context, uint32_t timeline, const struct wal_restore_point *point);
    void *context;
    bool is_over; /* each has seen enough */
    bool is_damaged;
};

static bool is_wanted(const struct search *search, const struct wal_restore_point *point)
{
    return !search->is_over && (search->name == NULL || strcmp(search->name, point->name) == 0);
}

static void tell(struct search *search, uint32_t timeline, const struct wal_restore_point *point)
{
    if (is_wanted(search, point))
        search->is_over = !search->each(search->context, timeline, point);
}

static enum repository_result get_facts(const struct search *search, uint32_t timeline, uint64_t number,
                                        struct object_facts *facts)
{
    char name[WAL_SEGMENT_NAME_BYTES];

    wal_segment_name(timeline, number, search->segment_bytes, name);
    return repository_get_segment_facts(search->repository, search->system_identifier, name, facts);
}

/* The end of the record that earlier's end cuts, in the next segment of this timeline. */
static enum repository_result join(struct search *search, const struct object_facts *earlier,
                                   uint32_t timeline, uint64_t next)
{
    struct wal_restore_point point;
    struct object_facts later;
    enum repository_result result = get_facts(search, timeline, next, &later);

    if (result == REPOSITORY_OK && later.has_summary &&
        wal_summary_join(&earlier->summary, later.postgresql_version, &later.summary, &point) &&
        point.name[0] != '\0')
        tell(search, timeline, &point);
    return result;
}

/* Where a timeline was left within its next segment, that may be there only as the first of the new one. */
static enum repository_result join_with_later_timeline(struct search *search,
                                                       const struct object_facts *earlier, uint64_t next)
{
    struct timeline_history history;
    enum repository_result result = REPOSITORY_ABSENT;
    uint64_t end;

    for (uint32_t timeline = earlier->timeline + 1; result == REPOSITORY_ABSENT; timeline++) {
        result = repository_get_history(search->repository, search->system_identifier, timeline, &history);
        if (result != REPOSITORY_OK)
            return result;
        bool left_it_there =
            timeline_history_find(&history, earlier->timeline, &end) && end / search->segment_bytes == next;
        result = left_it_there ? join(search, earlier, timeline, next) : REPOSITORY_ABSENT;
        timeline_history_free(&history);
    }
    return result;
}

/* The trailer of the segment that they are of. ABSENT also where another one is stored under its name: it was
 * refused, or never stored. */
static enum repository_result get_own_facts(const struct search *search, const struct restore_points *points,
                                            struct object_facts *facts)
{
    enum repository_result result =
        repository_get_segment_facts(search->repository, search->system_identifier, points->segment, facts);

    if (result != REPOSITORY_OK || memcmp(facts->sha256, points->sha256, SHA256_BYTES) == 0)
        return result;
    log_debug("restore points of \"%s\" are of another segment than the stored one", points->segment);
    return REPOSITORY_ABSENT;
}

/* A point whose record goes on in the next segment. */
static enum repository_result tell_begun(struct search *search, const struct restore_points *points)
{
    const struct wal_name name = wal_name_parse(points->segment);
    struct object_facts earlier;
    uint64_t number;
    enum repository_result result = get_own_facts(search, points, &earlier);

    if (result != REPOSITORY_OK || !earlier.has_summary ||
        !wal_segment_number(&name, search->segment_bytes, &number))
        return result;
    result = join(search, &earlier, name.timeline, number + 1);
    if (result == REPOSITORY_ABSENT)
        result = join_with_later_timeline(search, &earlier, number + 1);
    return result;
}

static bool has_wanted(const struct search *search, const struct restore_points *points)
{
    for (size_t i = 0; i < points->count; i++)
        if (is_wanted(search, &points->points[i]))
            return true;
    return false;
}

static enum repository_result tell_whole(struct search *search, const struct restore_points *points)
{
    struct object_facts facts;
    enum repository_result result = REPOSITORY_OK;

    if (has_wanted(search, points))
        result = get_own_facts(search, points, &facts);
    for (size_t i = 0; result == REPOSITORY_OK && i < points->count; i++)
        tell(search, wal_name_parse(points->segment).timeline, &points->points[i]);
    return result;
}

/* What is not there any more is passed over. */
static enum repository_result look_into(struct search *search, const char *name)
{
    struct restore_points points;
    enum repository_result result =
        restore_points_get(search->repository, search->system_identifier, name, &points);

    if (result == REPOSITORY_OK) {
        result = tell_whole(search, &points);
        if (result == REPOSITORY_OK && points.begun && !search->is_over)
            result = tell_begun(search, &points);
        restore_points_free(&points);
    }
    search->is_damaged = search->is_damaged || result == REPOSITORY_DAMAGED;
    return result == REPOSITORY_FAILED ? REPOSITORY_FAILED : REPOSITORY_OK;
}

struct names {
    struct buffer text; /* WAL_POINTS_NAME_BYTES each */
    bool failed;
};

static bool remember_name(void *context, const char *key, uint64_t bytes)
{
    struct names *names = context;
    const char *name = strrchr(key, '/') + 1;
    char segment[WAL_SEGMENT_NAME_BYTES];

    (void)bytes;
    if (wal_points_name_parse(name, segment))
        names->failed = buffer_append(&names->text, name, WAL_POINTS_NAME_BYTES) != 0;
    return !names->failed;
}

/* Each document is a request: those of before a backup, of years perhaps, are not read. */
static bool is_at_or_behind(const char *document, uint32_t segment_bytes, uint64_t first)
{
    char segment[WAL_SEGMENT_NAME_BYTES];
    uint64_t number;

    if (!wal_points_name_parse(document, segment))
        return false;
    const struct wal_name name = wal_name_parse(segment);
    return wal_segment_number(&name, segment_bytes, &number) && number >= first;
}

enum repository_result restore_points_find(struct repository *repository, uint64_t system_identifier,
                                           uint32_t segment_bytes, uint64_t first, const char *name,
                                           bool (*each)(void *context, uint32_t timeline,
                                                        const struct wal_restore_point *point),
                                           void *context)
{
    struct search search = {.repository = repository,
                            .system_identifier = system_identifier,
                            .segment_bytes = segment_bytes,
                            .name = name,
                            .each = each,
                            .context = context};
    struct names names = {BUFFER_EMPTY, false};
    char *prefix = repository_system_key(repository, system_identifier, "restore-points/");
    const struct store_listing listing = {.prefix = prefix, .each = remember_name, .context = &names};
    enum repository_result result = REPOSITORY_FAILED;

    /* Names first: a store can't be asked from within its own listing. */
    if (prefix != NULL && store_list(repository->store, &listing) == STORE_OK && !names.failed)
        result = REPOSITORY_OK;
    for (size_t at = 0; result == REPOSITORY_OK && !search.is_over && at < names.text.length;
         at += WAL_POINTS_NAME_BYTES)
        if (is_at_or_behind((const char *)names.text.data + at, segment_bytes, first))
            result = look_into(&search, (const char *)names.text.data + at);
    buffer_free(&names.text);
    free(prefix);
    return result == REPOSITORY_OK && search.is_damaged ? REPOSITORY_DAMAGED : result;
}
