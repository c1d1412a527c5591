#include "gap.h"

#include "document.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int gap_seal(const struct gap *gap, struct buffer *out)
{
    struct json *document = document_new("gap");

    document_set_system(document, gap->system_identifier);
    json_set_uint(document, "segment_bytes", gap->segment_bytes);
    json_set_string(document, "first", gap->first);
    json_set_string(document, "last", gap->last);
    json_set_uint(document, "segments", gap->segments);
    document_set_time(document, "since", gap->since);
    document_set_time(document, "until", gap->until);
    json_set_string(document, "host", gap->host);
    return document_seal(document, out);
}

static bool parse_segment(const struct json *document, const char *member, char out[WAL_SEGMENT_NAME_BYTES])
{
    const char *name = json_text(document, member);

    if (name == NULL || wal_name_parse(name).kind != WAL_SEGMENT)
        return false;
    memcpy(out, name, WAL_SEGMENT_NAME_BYTES);
    return true;
}

/* First and last must be near enough for one marker, and as far apart as it says. */
static bool is_consistent(const struct gap *gap)
{
    struct wal_name first = wal_name_parse(gap->first), last = wal_name_parse(gap->last);
    uint64_t first_number, last_number;

    return memcmp(gap->first, gap->last, WAL_GAP_COMMON) == 0 &&
           wal_segment_size_is_legal(gap->segment_bytes) &&
           wal_segment_number(&first, gap->segment_bytes, &first_number) &&
           wal_segment_number(&last, gap->segment_bytes, &last_number) && last_number >= first_number &&
           last_number - first_number + 1 == gap->segments;
}

int gap_parse(const void *data, size_t length, const char *what, struct gap *gap)
{
    struct json *document = document_open(data, length, "gap", what);
    uint64_t segment_bytes = 0;

    if (document == NULL)
        return -1;
    *gap = (struct gap){0};
    const char *host = json_text(document, "host");
    bool good =
        document_system(document, &gap->system_identifier) && host != NULL &&
        json_uint(document, "segment_bytes", &segment_bytes) == 0 &&
        segment_bytes <= WAL_SEGMENT_MOST_BYTES && json_uint(document, "segments", &gap->segments) == 0 &&
        parse_segment(document, "first", gap->first) && parse_segment(document, "last", gap->last) &&
        document_time(document, "since", &gap->since) && document_time(document, "until", &gap->until);
    if (good) {
        gap->segment_bytes = (uint32_t)segment_bytes;
        snprintf(gap->host, sizeof gap->host, "%s", host);
        good = is_consistent(gap);
    }
    json_free(document);
    if (good)
        return 0;
    log_error("%s is damaged: a member is missing or malformed", what);
    return -1;
}

static char *gap_key(const struct repository *repository, uint64_t system_identifier, const char *name)
{
    char rest[2 * OBJECT_NAME_BYTES];

    snprintf(rest, sizeof rest, "wal/%.16s/%s", name, name);
    return repository_system_key(repository, system_identifier, rest);
}

static void gap_name(const struct gap *gap, char name[WAL_GAP_NAME_BYTES])
{
    snprintf(name, WAL_GAP_NAME_BYTES, "%.24s-%.24s.gap", gap->first, gap->last);
}

enum repository_result gap_put(struct repository *repository, const struct gap *gap)
{
    struct buffer text = BUFFER_EMPTY;
    char name[WAL_GAP_NAME_BYTES];
    enum repository_result result = REPOSITORY_FAILED;

    gap_name(gap, name);
    char *key = gap_key(repository, gap->system_identifier, name);
    if (key != NULL && gap_seal(gap, &text) == 0)
        result = repository_put_small(repository, key, &text);
    /* A standby that archives, too, was first; or this server, before it lost its state_dir. */
    if (result == REPOSITORY_COLLISION) {
        log_debug("repository \"%s\" was told of \"%s\" by another", repository->settings->name, name);
        result = REPOSITORY_IDENTICAL;
    }
    buffer_free(&text);
    free(key);
    return result;
}

/* Is this what a marker of that name, of that system, tells of? */
static bool has_name(const struct gap *gap, uint64_t system_identifier, const char *name, const char *what)
{
    char found[WAL_GAP_NAME_BYTES];

    gap_name(gap, found);
    if (gap->system_identifier == system_identifier && strcmp(found, name) == 0)
        return true;
    log_error("%s tells of another gap than its name", what);
    return false;
}

enum repository_result gap_get(struct repository *repository, uint64_t system_identifier, const char *name,
                               struct gap *gap)
{
    struct buffer text = BUFFER_EMPTY;
    char *key = gap_key(repository, system_identifier, name);
    enum repository_result result =
        key == NULL ? REPOSITORY_FAILED : repository_get_small(repository, key, NULL, &text);

    if (result == REPOSITORY_OK) {
        const char *what = store_describe(repository->store, key);
        if (gap_parse(text.data, text.length, what, gap) != 0 ||
            !has_name(gap, system_identifier, name, what))
            result = REPOSITORY_DAMAGED;
    }
    buffer_free(&text);
    free(key);
    return result;
}
