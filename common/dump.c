#include "dump.h"

#include "document.h"
#include "log.h"
#include "timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GLOBALS "globals"
#define ID_LENGTH 16
#define NUMBER_DIGITS 8
#define STREAMS_MOST 100000

/* Names */

bool dump_id_parse(const char *id, int64_t *time)
{
    char text[TIMESTAMP_TEXT_BYTES];

    if (strlen(id) != ID_LENGTH || strspn(id, "0123456789TZ") != ID_LENGTH)
        return false;
    snprintf(text, sizeof text, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", id, id + 4, id + 6, id + 9, id + 11,
             id + 13);
    if (timestamp_parse(text, time) != TIMESTAMP_OK)
        return false;
    timestamp_format_compact(*time, text);
    return strcmp(text, id) == 0;
}

bool dump_id_is_valid(const char *id)
{
    int64_t time;

    return dump_id_parse(id, &time);
}

bool dump_wish_is_valid(const char *id)
{
    if (strcmp(id, "latest") == 0 || dump_id_is_valid(id))
        return true;
    log_error("\"%s\" is not the id of a dump", id);
    log_hint("dump-list shows the ids; \"latest\" is the newest.");
    return false;
}

void dump_id_make(int64_t time, char out[DUMP_ID_BYTES])
{
    char text[TIMESTAMP_TEXT_BYTES];

    timestamp_format_compact(time, text);
    snprintf(out, DUMP_ID_BYTES, "%.*s", ID_LENGTH, text);
}

void dump_piece_name(uint32_t oid, uint64_t number, char out[DUMP_PIECE_NAME_BYTES])
{
    if (oid == 0)
        snprintf(out, DUMP_PIECE_NAME_BYTES, GLOBALS "-%0*" PRIu64, NUMBER_DIGITS, number);
    else
        snprintf(out, DUMP_PIECE_NAME_BYTES, "%" PRIu32 "-%0*" PRIu64, oid, NUMBER_DIGITS, number);
}

bool dump_piece_parse(const char *name, uint32_t *oid, uint64_t *number)
{
    char again[DUMP_PIECE_NAME_BYTES];
    const char *dash = strrchr(name, '-');

    if (dash == NULL || strlen(dash) != 1 + NUMBER_DIGITS || strlen(name) >= sizeof again)
        return false;
    *oid = strncmp(name, GLOBALS "-", strlen(GLOBALS "-")) == 0 ? 0 : (uint32_t)strtoul(name, NULL, 10);
    *number = strtoull(dash + 1, NULL, 10);
    dump_piece_name(*oid, *number, again);
    return *number > 0 && strcmp(again, name) == 0;
}

char *dump_key(const struct repository *repository, uint64_t system_identifier, const char *id,
               const char *file)
{
    char *rest = string_printf("dumps/%s/%s", id, file);
    char *key = rest == NULL ? NULL : repository_system_key(repository, system_identifier, rest);

    free(rest);
    return key;
}

/* The manifest */

void dump_free(struct dump *dump)
{
    for (size_t i = 0; i < dump->stream_count; i++)
        free(dump->streams[i].name);
    free(dump->streams);
    free(dump->host);
    dump->streams = NULL;
    dump->stream_count = 0;
    dump->host = NULL;
}

uint64_t dump_bytes(const struct dump *dump)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < dump->stream_count; i++)
        bytes += dump->streams[i].bytes;
    return bytes;
}

uint64_t dump_stored_bytes(const struct dump *dump)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < dump->stream_count; i++)
        bytes += dump->streams[i].stored_bytes;
    return bytes;
}

const struct dump_stream *dump_find(const struct dump *dump, const char *database)
{
    for (size_t i = 0; i < dump->stream_count; i++) {
        const struct dump_stream *stream = &dump->streams[i];
        if (database == NULL ? stream->oid == 0 : stream->oid != 0 && strcmp(stream->name, database) == 0)
            return stream;
    }
    return NULL;
}

struct json *dump_stream_json(const struct dump_stream *stream)
{
    struct json *object = json_new_object();
    char sha256[SHA256_HEX_BYTES];

    if (stream->oid != 0) {
        json_set_uint(object, "oid", stream->oid);
        document_set_text(object, "name", stream->name);
    }
    document_set_time(object, "started", stream->started);
    json_set_uint(object, "pieces", stream->pieces);
    json_set_uint(object, "bytes", stream->bytes);
    json_set_uint(object, "stored_bytes", stream->stored_bytes);
    hex_encode(stream->sha256, SHA256_BYTES, sha256);
    json_set_string(object, "sha256", sha256);
    return object;
}

int dump_seal(const struct dump *dump, struct buffer *out)
{
    struct json *document = document_new(DUMP_KIND), *databases = json_new_array();

    json_set_string(document, "id", dump->id);
    document_set_system(document, dump->system_identifier);
    json_set_uint(document, "server_version", dump->server_version);
    json_set_uint(document, "pg_dump_version", dump->program_major);
    json_set_bool(document, "from_standby", dump->from_standby);
    json_set_bool(document, "has_passwords", dump->has_passwords);
    document_set_time(document, "started", dump->started);
    document_set_time(document, "ended", dump->ended);
    document_set_text(document, "host", dump->host);
    json_set_string(document, "codec", codec_name(dump->codec));
    for (size_t i = 0; i < dump->stream_count; i++) {
        if (dump->streams[i].oid == 0)
            json_set(document, "globals", dump_stream_json(&dump->streams[i]));
        else
            json_append(databases, dump_stream_json(&dump->streams[i]));
    }
    json_set(document, "databases", databases);
    return document_seal(document, out);
}

/* name NULL: the globals */
static bool parse_stream(const struct json *object, bool is_database, struct dump_stream *stream)
{
    const char *sha256 = json_text(object, "sha256");
    uint64_t oid = 0;

    if (is_database && (json_uint(object, "oid", &oid) != 0 || oid == 0 || oid > UINT32_MAX ||
                        !document_text(object, "name", &stream->name) || stream->name == NULL))
        return false;
    stream->oid = (uint32_t)oid;
    return document_time(object, "started", &stream->started) &&
           json_uint(object, "pieces", &stream->pieces) == 0 && stream->pieces > 0 &&
           stream->pieces <= DUMP_PIECES_MOST && json_uint(object, "bytes", &stream->bytes) == 0 &&
           json_uint(object, "stored_bytes", &stream->stored_bytes) == 0 && sha256 != NULL &&
           hex_decode(sha256, stream->sha256, SHA256_BYTES);
}

static bool parse_streams(const struct json *document, struct dump *dump)
{
    const struct json *globals = json_member(document, "globals");
    const struct json *databases = json_list(document, "databases");
    size_t count = json_array_length(databases);
    uint32_t last = 0;

    if (databases == NULL || count > STREAMS_MOST || count + (globals != NULL) == 0)
        return false;
    dump->streams = calloc(count + 1, sizeof *dump->streams);
    if (dump->streams == NULL) {
        log_out_of_memory();
        return false;
    }
    if (globals != NULL && !parse_stream(globals, false, &dump->streams[dump->stream_count++]))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct dump_stream *stream = &dump->streams[dump->stream_count++];
        if (!parse_stream(json_array_item(databases, i), true, stream) || stream->oid <= last)
            return false;
        last = stream->oid;
    }
    return true;
}

static bool parse_facts(const struct json *document, struct dump *dump)
{
    const char *id = json_text(document, "id");
    uint64_t server = 0, program = 0;

    if (id == NULL || !dump_id_is_valid(id))
        return false;
    snprintf(dump->id, sizeof dump->id, "%s", id);
    if (json_uint(document, "server_version", &server) != 0 || server < 100000 || server > 9999999 ||
        json_uint(document, "pg_dump_version", &program) != 0 || program < 10 || program > 999)
        return false;
    dump->server_version = (uint32_t)server;
    dump->program_major = (uint32_t)program;
    return document_system(document, &dump->system_identifier) &&
           json_bool(document, "from_standby", &dump->from_standby) == 0 &&
           json_bool(document, "has_passwords", &dump->has_passwords) == 0 &&
           document_time(document, "started", &dump->started) &&
           document_time(document, "ended", &dump->ended) && document_text(document, "host", &dump->host) &&
           codec_by_name(json_text(document, "codec"), &dump->codec);
}

int dump_parse(const void *data, size_t length, const char *what, struct dump *dump)
{
    struct json *document = document_open(data, length, DUMP_KIND, what);

    *dump = (struct dump){.id = ""};
    if (document == NULL)
        return -1;
    bool good = parse_facts(document, dump) && parse_streams(document, dump);
    json_free(document);
    if (good)
        return 0;
    log_error("%s is damaged: a member is missing or malformed", what);
    dump_free(dump);
    return -1;
}

/* Pieces */

/* Of a piece that is longer than any, a codec could make gigabytes. */
struct bounded {
    struct buffer *out;
    size_t most; /* of out's length */
    const char *what;
    bool is_too_long;
};

static int take_bounded(void *context, const void *data, size_t length)
{
    struct bounded *bounded = context;

    if (length <= bounded->most - bounded->out->length)
        return buffer_append(bounded->out, data, length);
    log_error("%s is damaged: it is longer than a piece can be", bounded->what);
    log_tell_kind("damage");
    bounded->is_too_long = true;
    return -1;
}

static enum repository_result get_piece(struct repository *repository, const struct dump *dump,
                                        const char *piece, const char *key, struct buffer *out)
{
    char name[OBJECT_NAME_BYTES], *what = string_copy(store_describe(repository->store, key));
    struct bounded bounded = {out, out->length + DUMP_PIECE_BYTES_MOST, what, false};
    const struct sink sink = {take_bounded, &bounded};
    struct object_facts facts;
    enum repository_result result =
        what == NULL ? REPOSITORY_FAILED : repository_get_object(repository, key, &sink, &facts);

    snprintf(name, sizeof name, "%s/%s", dump->id, piece);
    if (result == REPOSITORY_SINK)
        result = bounded.is_too_long ? REPOSITORY_DAMAGED : REPOSITORY_FAILED;
    if (result == REPOSITORY_OK &&
        object_facts_check(&facts, DUMP_KIND, name, dump->system_identifier, what) != 0)
        result = REPOSITORY_DAMAGED;
    if (result == REPOSITORY_ABSENT) {
        log_error("\"%s\" is missing", what);
        log_tell_kind("damage");
    }
    free(what);
    return result;
}

enum repository_result dump_get_piece(struct repository *repository, const struct dump *dump, uint32_t oid,
                                      uint64_t number, struct buffer *out)
{
    char piece[DUMP_PIECE_NAME_BYTES];
    enum repository_result result = REPOSITORY_FAILED;

    dump_piece_name(oid, number, piece);
    char *key = dump_key(repository, dump->system_identifier, dump->id, piece);
    if (key != NULL)
        result = get_piece(repository, dump, piece, key, out);
    free(key);
    return result;
}

struct looking {
    const struct dump *dump;
    struct dump_found *found;
    bool *has_started;
};

static bool look_at(void *context, const char *key, uint64_t bytes)
{
    const struct looking *looking = context;
    const char *name = strrchr(key, '/') + 1;
    uint64_t number;
    uint32_t oid;

    if (strcmp(name, "started.json") == 0)
        *looking->has_started = true;
    if (!dump_piece_parse(name, &oid, &number))
        return true;
    for (size_t i = 0; i < looking->dump->stream_count; i++)
        if (looking->dump->streams[i].oid == oid && number <= looking->dump->streams[i].pieces) {
            looking->found[i].pieces++;
            looking->found[i].stored_bytes += bytes;
        }
    return true;
}

int dump_look(struct repository *repository, const struct dump *dump, struct dump_found *found,
              bool *has_started)
{
    struct looking looking = {dump, found, has_started};
    char *prefix = dump_key(repository, dump->system_identifier, dump->id, "");
    const struct store_listing listing = {.prefix = prefix, .each = look_at, .context = &looking};
    int result = -1;

    *has_started = false;
    memset(found, 0, dump->stream_count * sizeof *found);
    if (prefix != NULL)
        result = store_list(repository->store, &listing) == STORE_OK ? 0 : -1;
    free(prefix);
    return result;
}

bool dump_is_all_there(const struct repository *repository, const struct dump *dump,
                       const struct dump_found *found)
{
    bool is_all = true;

    for (size_t i = 0; i < dump->stream_count; i++) {
        const struct dump_stream *stream = &dump->streams[i];
        if (found[i].pieces == stream->pieces && found[i].stored_bytes == stream->stored_bytes)
            continue;
        is_all = false;
        log_error("dump %s in repository \"%s\" has %" PRIu64 " pieces with %" PRIu64 " bytes of %s%s%s, "
                  "instead of %" PRIu64 " with %" PRIu64,
                  dump->id, repository->settings->name, found[i].pieces, found[i].stored_bytes,
                  stream->oid == 0 ? "the globals" : "database \"", stream->oid == 0 ? "" : stream->name,
                  stream->oid == 0 ? "" : "\"", stream->pieces, stream->stored_bytes);
        log_tell_kind("damage");
    }
    return is_all;
}
