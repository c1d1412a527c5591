#include "sources.h"

#include "common/interrupt.h"
#include "common/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Which repositories */

static void open_one(const struct config *config, const struct repository_config *settings,
                     struct sources *sources)
{
    const struct store_limits limits = {.operation_seconds = config->basebackup_store_timeout_seconds};
    struct source *source = &sources->items[sources->count++];

    source->is_open = repository_open(config, settings, &sources->state, &limits, &source->repository) == 0;
    source->settings = settings;
    source->is_listed = source->is_open &&
                        repository_load_cluster_to_read(&source->repository) == REPOSITORY_OK &&
                        dump_list_load(&source->repository, &source->list) == REPOSITORY_OK;
}

/* The id that is meant. NULL: there is no dump. */
static const char *newest_id(const struct sources *sources)
{
    const char *newest = NULL;

    for (size_t i = 0; i < sources->count; i++) {
        const struct dump *dump = dump_list_find(&sources->items[i].list, "latest");
        if (dump != NULL && (newest == NULL || strcmp(dump->id, newest) > 0))
            newest = dump->id;
    }
    return newest;
}

static void explain_none(const struct sources *sources, const struct config *config, const char *id)
{
    size_t damaged = 0;

    for (size_t i = 0; i < sources->count; i++)
        damaged += sources->items[i].list.damaged;
    if (strcmp(id, "latest") == 0)
        log_error("there is no complete dump of cluster \"%s\"", config->cluster_name);
    else
        log_error("there is no complete dump \"%s\" of cluster \"%s\"", id, config->cluster_name);
    log_hint("dump-list shows the dumps that there are%s.",
             damaged > 0 ? "; those whose manifest is damaged or can't be read are passed over" : "");
}

/* The newest is meant, and a newer one than this can't be told from one that is not there. */
static int check_newest(const struct sources *sources, const char *id)
{
    for (size_t i = 0; i < sources->count; i++) {
        const struct source *source = &sources->items[i];
        if (!source->is_listed)
            log_warning("repository \"%s\" could not be asked: a newer dump than %s may be there",
                        source->settings->name, id);
        for (size_t k = source->list.count; k > 0; k--) {
            const struct dump_entry *entry = &source->list.entries[k - 1];
            if (entry->state != DUMP_DAMAGED || strcmp(entry->dump.id, id) <= 0)
                continue;
            log_error("dump %s in repository \"%s\" is newer, but its manifest is damaged or can't be read",
                      entry->dump.id, source->settings->name);
            log_tell_kind("damage");
            log_hint("--dump %s takes the older one, the newest that can be read.", id);
            return -1;
        }
    }
    return 0;
}

int sources_open(const struct config *config, const struct repository_config *only, const char *id,
                 struct sources *sources)
{
    *sources = (struct sources){.count = 0};
    state_open_existing(config, &sources->state);
    sources->items = calloc(config->repository_count, sizeof *sources->items);
    if (sources->items == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < config->repository_count; i++)
        if (only == NULL || only == &config->repositories[i])
            open_one(config, &config->repositories[i], sources);
    const char *wanted = strcmp(id, "latest") == 0 ? newest_id(sources) : id;
    for (size_t i = 0; i < sources->count && wanted != NULL; i++) {
        struct source *source = &sources->items[i];
        source->dump = dump_list_find(&source->list, wanted);
        if (sources->dump == NULL)
            sources->dump = source->dump;
    }
    if (sources->dump != NULL)
        return strcmp(id, "latest") == 0 ? check_newest(sources, wanted) : 0;
    explain_none(sources, config, id);
    return -1;
}

void sources_close(struct sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        dump_list_free(&sources->items[i].list);
        if (sources->items[i].is_open)
            repository_close(&sources->items[i].repository);
    }
    free(sources->items);
    state_close(&sources->state);
    *sources = (struct sources){.count = 0};
}

const struct dump_stream *sources_stream(const struct sources *sources, const char *database)
{
    const struct dump_stream *stream = dump_find(sources->dump, database);

    if (stream != NULL)
        return stream;
    if (database == NULL)
        log_error("dump %s has no globals", sources->dump->id);
    else
        log_error("dump %s has no database \"%s\"", sources->dump->id, database);
    log_hint("dump-list --dump %s shows what is in it.", sources->dump->id);
    return NULL;
}

/* Reading */

/* The same stream there? The same run of dump-push has written it, so the pieces are cut alike. */
static bool has_stream(const struct source *source, const struct dump_stream *stream)
{
    for (size_t i = 0; source->dump != NULL && i < source->dump->stream_count; i++) {
        const struct dump_stream *other = &source->dump->streams[i];
        if (other->oid == stream->oid)
            return other->bytes == stream->bytes && other->pieces == stream->pieces &&
                   memcmp(other->sha256, stream->sha256, SHA256_BYTES) == 0;
    }
    return false;
}

/* Logs what is missing if this is the only one that has the dump: else the others may have it. */
static bool is_all_in(struct source *source, const struct dump_stream *stream, bool tells)
{
    struct dump_found found = {0, 0};
    struct dump one = *source->dump;
    struct dump_stream own = *stream;
    bool has_started = false;

    /* the stored length is this repository's own */
    for (size_t i = 0; i < source->dump->stream_count; i++)
        if (source->dump->streams[i].oid == stream->oid)
            own = source->dump->streams[i];
    one.streams = &own;
    one.stream_count = 1;
    bool was_muted = log_mute_thread(!tells);
    bool is_all = dump_look(&source->repository, &one, &found, &has_started) == 0 &&
                  dump_is_all_there(&source->repository, &one, &found);
    log_mute_thread(was_muted);
    return is_all;
}

int sources_check(struct sources *sources, const struct dump_stream *stream)
{
    size_t with = 0;

    for (size_t i = 0; i < sources->count; i++)
        with += has_stream(&sources->items[i], stream);
    for (size_t i = 0; i < sources->count; i++)
        if (has_stream(&sources->items[i], stream) && is_all_in(&sources->items[i], stream, with == 1))
            return 0;
    if (with > 1)
        log_warning("no repository has all pieces of dump %s: together they may have them",
                    sources->dump->id);
    return with > 1 ? 0 : -1;
}

static int read_piece(struct sources *sources, const struct dump_stream *stream, uint64_t number,
                      struct buffer *piece)
{
    for (size_t i = 0; i < sources->count && !interrupt_requested(); i++) {
        struct source *source = &sources->items[i];
        if (!has_stream(source, stream))
            continue;
        buffer_clear(piece);
        if (dump_get_piece(&source->repository, source->dump, stream->oid, number, piece) == REPOSITORY_OK)
            return 0;
        if (i + 1 < sources->count && !interrupt_requested())
            log_warning("repository \"%s\" could not give it: the next one is asked, if it has it",
                        source->repository.settings->name);
    }
    return -1;
}

int sources_read(struct sources *sources, const struct dump_stream *stream, const struct sink *sink)
{
    unsigned char sha256[SHA256_BYTES];
    struct buffer piece = BUFFER_EMPTY;
    struct sha256 hash = {NULL};
    uint64_t bytes = 0;
    int result = sha256_begin(&hash);

    for (uint64_t number = 1; number <= stream->pieces && result == 0; number++) {
        result = read_piece(sources, stream, number, &piece);
        if (result != 0)
            break;
        sha256_update(&hash, piece.data, piece.length);
        bytes += piece.length;
        result = sink->write(sink->context, piece.data, piece.length);
    }
    if (result == 0) {
        sha256_finish(&hash, sha256);
        if (bytes != stream->bytes || memcmp(sha256, stream->sha256, SHA256_BYTES) != 0) {
            log_error("dump %s is damaged: its pieces are right, but together not what the manifest says",
                      sources->dump->id);
            log_tell_kind("damage");
            result = -1;
        }
    }
    sha256_free(&hash);
    buffer_free(&piece);
    return result;
}
