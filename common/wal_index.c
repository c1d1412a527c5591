#include "wal_index.h"

#include "document.h"
#include "log.h"
#include "wal_summary_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIND "index"

void wal_index_free(struct wal_index *index)
{
    free(index->entries);
    index->entries = NULL;
    index->count = 0;
}

/* Names */

void wal_log_name(uint32_t timeline, uint32_t log, char out[WAL_LOG_NAME_BYTES])
{
    snprintf(out, WAL_LOG_NAME_BYTES, "%08X%08X", timeline, log);
}

bool wal_log_name_parse(const char *name, uint32_t *timeline, uint32_t *log)
{
    char segment[WAL_SEGMENT_NAME_BYTES];

    if (strlen(name) != WAL_LOG_NAME_BYTES - 1)
        return false;
    snprintf(segment, sizeof segment, "%s00000000", name);
    struct wal_name parsed = wal_name_parse(segment);
    *timeline = parsed.timeline;
    *log = parsed.log;
    return parsed.kind == WAL_SEGMENT;
}

static char *index_key(const struct repository *repository, uint64_t system_identifier, const char *name)
{
    char rest[64];

    snprintf(rest, sizeof rest, "index/%.16s", name);
    return repository_system_key(repository, system_identifier, rest);
}

static uint64_t first_number(uint32_t log, uint32_t segment_bytes)
{
    return log * wal_segments_per_log(segment_bytes);
}

/* A log of entries that say nothing but their numbers. 0, or -1 after logging. */
static int begin(uint32_t timeline, uint32_t log, uint32_t segment_bytes, struct wal_index *index)
{
    size_t count = (size_t)wal_segments_per_log(segment_bytes);

    *index = (struct wal_index){.timeline = timeline, .log = log, .count = count};
    index->entries = calloc(count, sizeof *index->entries);
    if (index->entries == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < count; i++)
        index->entries[i].number = first_number(log, segment_bytes) + i;
    return 0;
}

/* Making one */

/* What is read of one segment. */
struct trailer {
    struct repository *repository;
    uint64_t system_identifier;
    char name[WAL_SEGMENT_NAME_BYTES];
    struct wal_index_entry *entry;
    unsigned postgresql_version;
    enum repository_result result;
};

static int read_trailer(struct reader *reader, void *context)
{
    struct trailer *trailer = context;
    struct wal_index_entry *entry = trailer->entry;
    struct repository *repository = reader_repository(reader, trailer->repository);
    struct object_facts facts;

    trailer->result =
        repository == NULL
            ? REPOSITORY_FAILED
            : repository_get_segment_facts(repository, trailer->system_identifier, trailer->name, &facts);
    if (trailer->result != REPOSITORY_OK)
        return -1;
    trailer->postgresql_version = facts.postgresql_version;
    entry->stored_bytes = facts.frame_bytes + OBJECT_TRAILER_BYTES;
    memcpy(entry->sha256, facts.sha256, SHA256_BYTES);
    entry->has_summary = facts.has_summary;
    if (facts.has_summary)
        entry->summary = facts.summary;
    return 0;
}

/* The first that is missing or damaged says what the log is. */
static enum repository_result judge(const struct trailer *trailers, size_t count, int done)
{
    for (size_t i = 0; i < count; i++)
        if (trailers[i].result == REPOSITORY_ABSENT || trailers[i].result == REPOSITORY_DAMAGED)
            return trailers[i].result;
    return done == 0 ? REPOSITORY_OK : REPOSITORY_FAILED;
}

static enum repository_result read_trailers(struct repository *repository, struct readers *readers,
                                            uint64_t system_identifier, uint32_t segment_bytes,
                                            struct wal_index *index)
{
    struct trailer *trailers = calloc(index->count, sizeof *trailers);
    void **items = calloc(index->count, sizeof *items);
    int done = trailers == NULL || items == NULL ? log_out_of_memory() : 0;
    enum repository_result result = REPOSITORY_FAILED;

    for (size_t i = 0; done == 0 && i < index->count; i++) {
        items[i] = &trailers[i];
        trailers[i] = (struct trailer){
            .repository = repository, .system_identifier = system_identifier, .entry = &index->entries[i]};
        wal_segment_name(index->timeline, index->entries[i].number, segment_bytes, trailers[i].name);
    }
    if (done == 0) {
        done = readers_run(readers, items, index->count, read_trailer);
        result = judge(trailers, index->count, done);
        index->postgresql_version = trailers[index->count - 1].postgresql_version;
    }
    free(trailers);
    free(items);
    return result;
}

/* A record that the edge between them cuts counts in the later one from now on. Where the earlier one tells
 * nothing, what it has left stays. */
static void join(struct wal_index_entry *earlier, unsigned version, struct wal_index_entry *later)
{
    struct wal_restore_point point;

    if (!earlier->has_summary || !later->has_summary)
        return;
    if (!wal_summary_join(&earlier->summary, version, &later->summary, &point))
        later->summary.is_whole = false;
    earlier->summary.begun = later->summary.continued = (struct wal_edge){.length = 0};
}

static void summarise(struct wal_index *index)
{
    const struct wal_summary nothing = {.is_whole = false};

    for (size_t i = 1; i < index->count; i++)
        join(&index->entries[i - 1], index->postgresql_version, &index->entries[i]);
    for (size_t i = 0; i < index->count; i++) {
        const struct wal_index_entry *entry = &index->entries[i];
        const struct wal_summary *summary = entry->has_summary ? &entry->summary : &nothing;
        if (i == 0)
            index->summary = *summary;
        else
            wal_summary_extend(&index->summary, summary);
    }
}

static int append_line(struct json *line, struct buffer *lines)
{
    int result = json_write(line, 0, lines);

    json_free(line);
    return result == 0 ? buffer_append(lines, "\n", 1) : -1;
}

static struct json *entry_to_json(const struct wal_index *index, const struct wal_index_entry *entry,
                                  uint32_t segment_bytes)
{
    struct json *line = json_new_object();
    char name[WAL_SEGMENT_NAME_BYTES], hash[SHA256_HEX_BYTES];

    wal_segment_name(index->timeline, entry->number, segment_bytes, name);
    hex_encode(entry->sha256, SHA256_BYTES, hash);
    json_set_string(line, "segment", name);
    json_set_uint(line, "bytes", entry->stored_bytes);
    json_set_string(line, "sha256", hash);
    if (entry->has_summary)
        json_set(line, "records", wal_summary_to_json(&entry->summary));
    return line;
}

static int write_lines(const struct wal_index *index, const char *name, uint32_t segment_bytes,
                       struct buffer *lines)
{
    struct json *header = json_new_object();

    json_set_string(header, "log", name);
    json_set_uint(header, "segment_bytes", segment_bytes);
    json_set_uint(header, "segments", index->count);
    if (append_line(header, lines) != 0)
        return -1;
    for (size_t i = 0; i < index->count; i++)
        if (append_line(entry_to_json(index, &index->entries[i], segment_bytes), lines) != 0)
            return -1;
    return 0;
}

/* The lines as a sealed object. 0, or -1 after logging. */
static int seal(const struct compression *compression, const struct buffer *lines, struct object_facts *facts,
                struct buffer *object)
{
    struct object_writer *writer = object_writer_new(compression);
    int result = -1;

    if (writer != NULL && object_writer_begin(writer, sink_to_buffer(object)) == 0 &&
        object_writer_write(writer, lines->data, lines->length) == 0 && object_writer_end(writer, facts) == 0)
        result = 0;
    object_writer_free(writer);
    return result;
}

static enum repository_result put(struct repository *repository, uint64_t system_identifier,
                                  uint32_t segment_bytes, const struct wal_index *index)
{
    struct buffer lines = BUFFER_EMPTY, object = BUFFER_EMPTY;
    struct object_facts facts = {.kind = KIND,
                                 .system_identifier = system_identifier,
                                 .timeline = index->timeline,
                                 .postgresql_version = index->postgresql_version,
                                 .has_summary = true,
                                 .summary = index->summary};
    enum repository_result result = REPOSITORY_FAILED;

    wal_log_name(index->timeline, index->log, facts.name);
    char *key = index_key(repository, system_identifier, facts.name);
    if (key != NULL && write_lines(index, facts.name, segment_bytes, &lines) == 0 &&
        seal(&repository->settings->compression, &lines, &facts, &object) == 0) {
        struct body body = {.data = object.data, .fd = -1, .length = object.length};
        if (sha256_of(object.data, object.length, body.sha256) == 0)
            result = repository_put_object(repository, key, &body, &facts);
    }
    buffer_free(&lines);
    buffer_free(&object);
    free(key);
    return result;
}

enum repository_result wal_index_make(struct repository *repository, struct readers *readers,
                                      uint64_t system_identifier, uint32_t timeline, uint32_t log,
                                      uint32_t segment_bytes)
{
    struct wal_index index;
    enum repository_result result = REPOSITORY_FAILED;

    if (begin(timeline, log, segment_bytes, &index) == 0)
        result = read_trailers(repository, readers, system_identifier, segment_bytes, &index);
    if (result == REPOSITORY_OK) {
        summarise(&index);
        result = put(repository, system_identifier, segment_bytes, &index);
    }
    wal_index_free(&index);
    return result;
}

/* Reading one */

static bool parse_header(const struct json *line, const struct wal_index *index, uint32_t segment_bytes)
{
    const char *log = json_text(line, "log");
    char name[WAL_LOG_NAME_BYTES];
    uint64_t bytes, segments;

    wal_log_name(index->timeline, index->log, name);
    return log != NULL && strcmp(log, name) == 0 && json_uint(line, "segment_bytes", &bytes) == 0 &&
           bytes == segment_bytes && json_uint(line, "segments", &segments) == 0 && segments == index->count;
}

static bool parse_entry(const struct json *line, const struct wal_index *index, uint32_t segment_bytes,
                        struct wal_index_entry *entry)
{
    const char *segment = json_text(line, "segment"), *hash = json_text(line, "sha256");
    const struct json *records = json_member(line, "records");
    char name[WAL_SEGMENT_NAME_BYTES];

    wal_segment_name(index->timeline, entry->number, segment_bytes, name);
    if (segment == NULL || strcmp(segment, name) != 0 || hash == NULL ||
        !hex_decode(hash, entry->sha256, SHA256_BYTES) || json_uint(line, "bytes", &entry->stored_bytes) != 0)
        return false;
    entry->has_summary = records != NULL && wal_summary_from_json(records, &entry->summary);
    return true;
}

/* The next line off the text; NULL when there is none, or it is no JSON. Caller frees. */
static struct json *next_line(const char **text, const char *text_end)
{
    const char *begin = *text;
    const char *end = begin < text_end ? memchr(begin, '\n', (size_t)(text_end - begin)) : NULL;

    if (end == NULL)
        return NULL;
    *text = end + 1;
    return json_parse(begin, (size_t)(end - begin), NULL, 0);
}

bool wal_index_parse(const void *lines, size_t length, uint32_t timeline, uint32_t log,
                     uint32_t segment_bytes, struct wal_index *index)
{
    const char *text = lines, *end = text + length;

    if (begin(timeline, log, segment_bytes, index) != 0)
        return false;
    struct json *line = next_line(&text, end);
    bool good = line != NULL && parse_header(line, index, segment_bytes);
    json_free(line);
    for (size_t i = 0; good && i < index->count; i++) {
        line = next_line(&text, end);
        good = line != NULL && parse_entry(line, index, segment_bytes, &index->entries[i]);
        json_free(line);
    }
    good = good && text == end;
    if (!good)
        wal_index_free(index);
    return good;
}

/* Is it that log's index? */
static enum repository_result check(const struct object_facts *facts, const char *name,
                                    uint64_t system_identifier, const char *what)
{
    if (object_facts_check(facts, KIND, name, system_identifier, what) != 0)
        return REPOSITORY_DAMAGED;
    if (facts->has_summary)
        return REPOSITORY_OK;
    log_error("%s is damaged: its trailer says nothing of the records", what);
    return REPOSITORY_DAMAGED;
}

enum repository_result wal_index_get(struct repository *repository, uint64_t system_identifier,
                                     uint32_t timeline, uint32_t log, uint32_t segment_bytes,
                                     struct wal_index *index)
{
    char name[WAL_LOG_NAME_BYTES];
    struct object_facts facts = {.kind = ""};
    struct buffer lines = BUFFER_EMPTY;
    enum repository_result result = REPOSITORY_FAILED;

    wal_log_name(timeline, log, name);
    char *key = index_key(repository, system_identifier, name);
    if (key != NULL)
        result = repository_get_small_object(repository, key, &lines, &facts);
    if (result == REPOSITORY_OK)
        result = check(&facts, name, system_identifier, store_describe(repository->store, key));
    if (result == REPOSITORY_OK) {
        if (wal_index_parse(buffer_string(&lines), lines.length, timeline, log, segment_bytes, index)) {
            index->summary = facts.summary;
            index->postgresql_version = facts.postgresql_version;
        } else {
            log_error("%s is damaged: a line is missing or malformed",
                      store_describe(repository->store, key));
            result = REPOSITORY_DAMAGED;
        }
    }
    buffer_free(&lines);
    free(key);
    return result;
}

enum repository_result wal_index_get_summary(struct repository *repository, uint64_t system_identifier,
                                             uint32_t timeline, uint32_t log, struct wal_summary *summary,
                                             unsigned *postgresql_version)
{
    char name[WAL_LOG_NAME_BYTES];
    struct object_facts facts;

    wal_log_name(timeline, log, name);
    char *key = index_key(repository, system_identifier, name);
    enum repository_result result =
        key == NULL ? REPOSITORY_FAILED : repository_get_facts(repository, key, NULL, &facts);
    if (result == REPOSITORY_OK)
        result = check(&facts, name, system_identifier, store_describe(repository->store, key));
    if (result == REPOSITORY_OK) {
        *summary = facts.summary;
        if (postgresql_version != NULL)
            *postgresql_version = facts.postgresql_version;
    }
    free(key);
    return result;
}
