#include "push.h"

#include "cluster.h"
#include "common/document.h"
#include "common/heartbeat.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/progress.h"
#include "common/server.h"
#include "common/timestamp.h"
#include "pieces.h"
#include "tool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES (256 * 1024)
#define CLAIMS_MOST 60
#define WORDS_MOST 16
#define STALL_SECONDS 7200

struct push {
    const struct push_settings *settings;
    const struct config *config;
    struct state state;
    struct targets targets;
    struct cluster_facts cluster;
    struct dump dump; /* but for what differs between lanes */
    uint64_t *stored; /* of stream i in lane k: [i * lanes + k] */
    char *pg_dump, *pg_dumpall;
    int passfile;
    struct pieces *pieces;
    struct heartbeat heartbeat;
    struct progress progress;
    char *block;
    char head[5]; /* of the stream that is written */
    size_t head_length;
};

/* What is to be dumped */

static int add_stream(struct push *push, const struct cluster_database *database)
{
    struct dump_stream *stream = &push->dump.streams[push->dump.stream_count++];

    *stream = (struct dump_stream){.oid = database == NULL ? 0 : database->oid};
    if (database != NULL && (stream->name = string_copy(database->name)) == NULL)
        return -1;
    return 0;
}

static bool is_named(const struct push_settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->database_count; i++)
        if (strcmp(settings->databases[i], name) == 0)
            return true;
    return false;
}

/* Is there each that was named, and can it be dumped? */
static int check_names(const struct push *push)
{
    const struct push_settings *settings = push->settings;

    for (size_t i = 0; i < settings->database_count; i++) {
        const struct cluster_database *found = NULL;
        for (size_t k = 0; k < push->cluster.database_count; k++)
            if (strcmp(push->cluster.databases[k].name, settings->databases[i]) == 0)
                found = &push->cluster.databases[k];
        if (found != NULL && found->takes_sessions)
            continue;
        log_error(found == NULL ? "there is no database \"%s\"" : "database \"%s\" takes no sessions",
                  settings->databases[i]);
        return -1;
    }
    return 0;
}

static int choose_streams(struct push *push)
{
    const struct cluster_facts *cluster = &push->cluster;
    int result = check_names(push);

    push->dump.streams = calloc(cluster->database_count + 1, sizeof *push->dump.streams);
    push->stored = calloc((cluster->database_count + 1) * push->targets.count, sizeof *push->stored);
    push->block = malloc(BLOCK_BYTES);
    if (push->dump.streams == NULL || push->stored == NULL || push->block == NULL)
        return log_out_of_memory();
    if (!push->settings->without_globals && result == 0)
        result = add_stream(push, NULL);
    for (size_t i = 0; i < cluster->database_count && result == 0; i++) {
        const struct cluster_database *database = &cluster->databases[i];
        if (push->settings->database_count > 0 && !is_named(push->settings, database->name))
            continue;
        if (push->settings->database_count == 0 && database->is_template) {
            if (strcmp(database->name, "template0") != 0 && strcmp(database->name, "template1") != 0)
                log_warning(
                    "database \"%s\" is a template and is left out, since --database does not name it",
                    database->name);
            continue;
        }
        if (database->takes_sessions)
            result = add_stream(push, database);
        else
            log_warning("database \"%s\" takes no sessions and is left out", database->name);
    }
    if (result == 0 && push->dump.stream_count == 0) {
        log_error("there is nothing to dump");
        return -1;
    }
    return result;
}

/* Dumping */

static void tick(void *context)
{
    struct push *push = context;

    heartbeat_tick(&push->heartbeat);
    progress_tick(&push->progress);
}

static int store_output(struct push *push, struct tool *tool)
{
    ssize_t got;

    while ((got = tool_read(tool, push->block, BLOCK_BYTES)) > 0) {
        progress_add(&push->progress, (uint64_t)got);
        tick(push);
        for (ssize_t i = 0; i < got && push->head_length < sizeof push->head; i++)
            push->head[push->head_length++] = push->block[i];
        if (pieces_write(push->pieces, push->block, (size_t)got) != 0)
            return -1;
    }
    return got < 0 ? -1 : 0;
}

/* While it waits for a lock it writes nothing. */
static unsigned stall_seconds(const struct config *config)
{
    uint64_t lock = config->dump_lock_timeout_seconds + 60;

    if (config->dump_stall_timeout_seconds > 0)
        return config->dump_stall_timeout_seconds;
    return lock > STALL_SECONDS ? (unsigned)lock : STALL_SECONDS;
}

static int run_tool(struct push *push, const char *what, char *const *words)
{
    const struct tool_wish wish = {.what = what,
                                   .words = words,
                                   .side = TOOL_WRITES,
                                   .inherited = push->passfile < 0 ? 0 : push->passfile,
                                   .stall_seconds = stall_seconds(push->config),
                                   .tick = tick,
                                   .context = push};
    struct tool tool;

    if (tool_start(&wish, &tool) != 0)
        return -1;
    if (store_output(push, &tool) != 0) {
        tool_stop(&tool);
        return -1;
    }
    int result = tool_end(&tool);
    if (result != 0)
        log_tell_kind("server");
    return result;
}

/* A custom-format dump is not compressed by pg_dump: our codecs are faster and better. */
static int run_pg_dump(struct push *push, const char *what, const char *conninfo)
{
    char lock[64];
    char *words[WORDS_MOST] = {push->pg_dump, "--format=custom", "--compress=0",   "--no-password",
                               lock,          "--dbname",        (char *)conninfo, NULL};

    snprintf(lock, sizeof lock, "--lock-wait-timeout=%" PRIu64 "s", push->config->dump_lock_timeout_seconds);
    return run_tool(push, what, words);
}

static int run_pg_dumpall(struct push *push, const char *what, const char *conninfo)
{
    char *words[WORDS_MOST] = {push->pg_dumpall,
                               "--globals-only",
                               "--no-password",
                               "--database",
                               push->cluster.session_database,
                               "--dbname",
                               (char *)conninfo,
                               push->dump.has_passwords ? NULL : "--no-role-passwords",
                               NULL};

    return run_tool(push, what, words);
}

/* A program may say 0 and have written nothing, or something else. */
static int check_head(const struct push *push, const struct dump_stream *stream, const char *what)
{
    if (stream->oid == 0 ? push->head_length > 0
                         : push->head_length == sizeof push->head && memcmp(push->head, "PGDMP", 5) == 0)
        return 0;
    log_error("%s wrote %s", what, push->head_length == 0 ? "nothing" : "something else than a dump");
    log_hint("Is it PostgreSQL's own program? A script in its place has to hand on all its arguments, and to "
             "write nothing else to standard output.");
    return -1;
}

static int dump_one(struct push *push, struct dump_stream *stream, uint64_t *stored)
{
    char passfile[32];
    bool is_database = stream->oid != 0;
    char *what = is_database ? string_printf("pg_dump of database \"%s\"", stream->name)
                             : string_copy("pg_dumpall of the globals");
    char *conninfo = server_conninfo_for("conninfo", push->config->conninfo,
                                         is_database ? stream->name : push->cluster.session_database,
                                         tool_passfile_path(push->passfile, passfile));
    int result = -1;

    push->head_length = 0;
    if (what != NULL && conninfo != NULL &&
        cluster_committed(push->config->conninfo, &stream->started) == 0 &&
        pieces_begin(push->pieces, stream->oid) == 0 &&
        (is_database ? run_pg_dump : run_pg_dumpall)(push, what, conninfo) == 0 &&
        check_head(push, stream, what) == 0)
        result = pieces_end(push->pieces, stream, stored);
    if (result == 0)
        log_info("%s: %" PRIu64 " bytes", what, stream->bytes);
    free(what);
    free(conninfo);
    return result;
}

static int dump_streams(struct push *push)
{
    int result = 0;

    push->pieces = pieces_open(&push->targets, push->dump.server_version, push->state.directory);
    if (push->pieces == NULL)
        return -1;
    heartbeat_begin(&push->heartbeat, &push->targets);
    progress_begin(&push->progress, 0);
    for (size_t i = 0; i < push->dump.stream_count && result == 0; i++)
        result = dump_one(push, &push->dump.streams[i], push->stored + i * push->targets.lane_count);
    if (pieces_finish(push->pieces) != 0)
        result = -1;
    push->pieces = NULL;
    progress_end(&push->progress);
    return result;
}

/* The repositories */

static int claim_with(struct push *push, int64_t time)
{
    struct json *document = document_new("started");
    struct buffer text = BUFFER_EMPTY;
    int result = -1;

    dump_id_make(time, push->dump.id);
    memcpy(push->targets.id, push->dump.id, sizeof push->dump.id);
    json_set_string(document, "dump", push->dump.id);
    document_set_system(document, push->dump.system_identifier);
    document_set_text(document, "host", push->dump.host);
    json_set_uint(document, "process", (uint64_t)getpid());
    document_set_time(document, "time", timestamp_now());
    if (document_seal(document, &text) == 0)
        result = targets_claim(&push->targets, "started.json", &text);
    buffer_free(&text);
    return result;
}

/* The id is the second in which it began; one that another has taken is the other's. */
static int claim(struct push *push)
{
    for (int i = 0; i < CLAIMS_MOST; i++) {
        int result = claim_with(push, push->dump.started + (int64_t)i * 1000000);
        if (result <= 0)
            return result;
    }
    log_error("no id is free: others dump at the same time");
    return -1;
}

/* What was stored may have been removed meanwhile, if an expiry took the folder for garbage. */
static int check_stored(struct target *target, const struct dump *dump)
{
    struct dump_found *found = calloc(dump->stream_count, sizeof *found);
    bool has_started = false;
    int result = -1;

    if (found == NULL)
        return log_out_of_memory();
    if (dump_look(&target->repository, dump, found, &has_started) == 0 &&
        dump_is_all_there(&target->repository, dump, found)) {
        result = has_started ? 0 : -1;
        if (!has_started)
            log_error("started.json of dump %s was removed meanwhile from repository \"%s\"", dump->id,
                      target->repository.settings->name);
    }
    if (result != 0 && interrupt_signal() == 0)
        log_hint(
            "Has dump-expire run with a clock that is ahead, and taken the folder for garbage? Set right "
            "the clocks, then dump again.");
    free(found);
    return result;
}

/* Will it be read? */
static int check_manifest(const struct buffer *text)
{
    struct dump dump;

    if (dump_parse(text->data, text->length, "the manifest to be stored", &dump) != 0)
        return -1;
    dump_free(&dump);
    return 0;
}

static int put_manifest(struct push *push, struct target *target)
{
    struct targets *targets = &push->targets;
    struct buffer text = BUFFER_EMPTY;
    int result = -1;

    push->dump.codec = targets->lanes[target->lane].codec;
    for (size_t i = 0; i < push->dump.stream_count; i++)
        push->dump.streams[i].stored_bytes = push->stored[i * targets->lane_count + target->lane];
    if (check_stored(target, &push->dump) == 0 && dump_seal(&push->dump, &text) == 0 &&
        check_manifest(&text) == 0)
        result = target_put(targets, target, "manifest.json", &text);
    buffer_free(&text);
    return result;
}

static int put_manifests(struct push *push)
{
    struct targets *targets = &push->targets;

    for (size_t i = 0; i < targets->count; i++)
        if (target_is_alive(&targets->items[i]) && put_manifest(push, &targets->items[i]) != 0 &&
            target_give_up(targets, &targets->items[i]) != 0)
            return -1;
    return targets_outcome(targets);
}

/* The story */

static int find_programs(struct push *push)
{
    unsigned least = push->cluster.server_version / 10000, major, other;

    push->pg_dump = tool_find(push->config, "pg_dump", least, &major);
    if (push->pg_dump == NULL)
        return -1;
    push->dump.program_major = major;
    if (major > least)
        log_warning(
            "pg_dump is of PostgreSQL %u and the server of %u: the dump may not restore into that version",
            major, least);
    if (push->settings->without_globals)
        return 0;
    push->pg_dumpall = tool_find(push->config, "pg_dumpall", least, &other);
    return push->pg_dumpall == NULL ? -1 : 0;
}

static int take_facts(struct push *push)
{
    char host[256] = "";

    if (cluster_facts_read(push->config->conninfo, &push->cluster) != 0 ||
        cluster_clock(push->config->conninfo, &push->dump.started) != 0)
        return -1;
    gethostname(host, sizeof host - 1);
    push->dump.host = string_copy(host);
    push->dump.system_identifier = push->cluster.system_identifier;
    push->dump.server_version = push->cluster.server_version;
    push->dump.from_standby = push->cluster.is_standby;
    push->dump.has_passwords = push->cluster.shows_passwords && !push->settings->without_globals;
    if (!push->cluster.shows_passwords && !push->settings->without_globals)
        log_warning("the roles are dumped without their passwords, which this user may not read");
    return push->dump.host == NULL ? -1 : 0;
}

static int prepare(struct push *push)
{
    state_open(push->config, &push->state);
    if (targets_open(push->config, push->settings->repository, &push->state, true, &push->targets) != 0 ||
        take_facts(push) != 0 || targets_accept(&push->targets, push->dump.system_identifier) != 0 ||
        choose_streams(push) != 0 || find_programs(push) != 0 ||
        tool_open_passfile("conninfo", push->config->conninfo, &push->passfile) != 0)
        return -1;
    return claim(push);
}

/* Also after a failure: which repositories have it. */
static void tell_repositories(const struct push *push, bool is_over)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < push->targets.count; i++) {
        const struct target *target = &push->targets.items[i];
        struct json *object = json_new_object();
        json_set_string(object, "name", target->repository.settings->name);
        bool is_complete = is_over && target_is_alive(target);
        json_set_bool(object, "complete", is_complete);
        json_append(list, object);
        if (is_complete && targets_outcome(&push->targets) != 0)
            log_warning("dump %s is complete in repository \"%s\" all the same", push->dump.id,
                        target->repository.settings->name);
        if (is_complete)
            json_set_string(push->settings->result->document, "dump", push->dump.id);
    }
    json_set(push->settings->result->document, "repositories", list);
}

static void tell(const struct push *push)
{
    struct json *document = push->settings->result->document;

    json_set_uint(document, "databases", push->dump.stream_count - (dump_find(&push->dump, NULL) != NULL));
    json_set_uint(document, "bytes", dump_bytes(&push->dump));
    json_set_uint(document, "stored_bytes", dump_stored_bytes(&push->dump));
    result_set_rate(push->settings->result, dump_bytes(&push->dump));
}

int dump_push(const struct push_settings *settings, char id[DUMP_ID_BYTES])
{
    struct push push = {.settings = settings, .config = settings->config, .passfile = -1};
    bool is_over = false; /* each target that lives has the manifest */
    int result = -1;

    progress_init(&push.progress, settings->wants_progress);
    if (prepare(&push) == 0 && dump_streams(&push) == 0 && !interrupt_requested() &&
        cluster_clock(push.config->conninfo, &push.dump.ended) == 0) {
        result = put_manifests(&push);
        is_over = true;
    }
    tell_repositories(&push, is_over);
    if (result == 0)
        tell(&push);
    memcpy(id, push.dump.id, sizeof push.dump.id);
    targets_close(&push.targets);
    cluster_facts_free(&push.cluster);
    dump_free(&push.dump);
    if (push.passfile >= 0)
        close(push.passfile);
    free(push.stored);
    free(push.block);
    free(push.pg_dump);
    free(push.pg_dumpall);
    state_close(&push.state);
    return result;
}
