#include "push.h"

#include "common/file.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "copy.h"
#include "documents.h"
#include "external.h"
#include "interrupt.h"
#include "pg_manifest.h"
#include "wal_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEARTBEAT_MICROSECONDS (300 * 1000000ll)
#define HEARTBEAT_TIMEOUT_SECONDS 30
#define SESSION_CHECK_MICROSECONDS (5 * 1000000ll)
#define DATA_CHECKSUMS_ON 1 /* data_checksum_version while checksums are complete */

struct push {
    const struct push_settings *settings;
    const struct config *config;
    struct state state;
    struct targets targets;
    struct server *server; /* the server is in backup mode as long as this session lasts */
    struct session_facts facts;
    const char *data_directory; /* borrowed from config or facts */
    struct pg_control control;  /* at the start */
    unsigned file_mode;         /* of what we add: 0600, or 0640 where the group may read */
    struct ship_owner owner;
    struct backup backup;
    struct session_stop stop;
    struct catalog *catalog;
    struct tree tree;
    struct page_check pages;
    struct progress progress;
    struct copy *copy;
    struct external external;
    struct part_series external_series;
    unsigned char control_bytes[PG_CONTROL_FILE_BYTES]; /* at the end */
    int64_t control_modified_seconds;
    int64_t next_heartbeat;
    int64_t next_session_check;
};

/* Before the backup */

static int choose_data_directory(struct push *push)
{
    struct stat status;

    push->data_directory = push->config->pgdata != NULL ? push->config->pgdata : push->facts.data_directory;
    if (push->data_directory == NULL) {
        log_error("the server does not tell this user where its data directory is");
        log_hint("Set pgdata in section [cluster] of the configuration.");
        return -1;
    }
    if (stat(push->data_directory, &status) != 0) {
        log_error("could not stat data directory \"%s\": %m", push->data_directory);
        return -1;
    }
    ship_owner_of(&status, &push->owner);
    push->file_mode = (status.st_mode & S_IRGRP) != 0 ? 0640 : 0600;
    return 0;
}

static int read_control(struct push *push, struct pg_control *control, unsigned char *raw)
{
    int result = pg_control_read(push->data_directory, control, raw);

    if (result > 0)
        log_error("\"%s\" is no data directory: it has no global/pg_control", push->data_directory);
    return result == 0 ? 0 : -1;
}

static int prepare(struct push *push)
{
    state_open(push->config, &push->state);
    if (targets_open(push->config, push->settings->repository, &push->state, &push->targets) != 0)
        return -1;
    push->server = server_connect(push->config->conninfo);
    if (push->server == NULL || session_open(push->server, &push->facts) != 0 ||
        choose_data_directory(push) != 0 || read_control(push, &push->control, NULL) != 0)
        return -1;
    if (push->control.system_identifier != push->facts.system_identifier) {
        log_error("data directory \"%s\" has the system identifier %" PRIu64 ", but the server has %" PRIu64,
                  push->data_directory, push->control.system_identifier, push->facts.system_identifier);
        log_hint("pgdata and conninfo in section [cluster] of the configuration must mean the same server.");
        return -1;
    }
    return targets_accept(&push->targets, push->facts.system_identifier);
}

/* Start */

static int describe_backup(struct push *push, const struct session_start *start)
{
    struct backup *backup = &push->backup;
    char host[256] = "";

    gethostname(host, sizeof host - 1);
    backup_id_make(start->time, start->timeline, start->lsn, backup->id);
    memcpy(push->targets.backup_id, backup->id, sizeof backup->id);
    backup->system_identifier = push->facts.system_identifier;
    backup->postgresql_version = push->facts.major;
    backup->server_version = push->facts.version;
    backup->timeline = start->timeline;
    backup->start_lsn = start->lsn;
    backup->start_time = start->time;
    backup->segment_bytes = push->control.segment_bytes;
    backup->block_bytes = push->control.block_bytes;
    backup->data_checksums = push->control.data_checksum_version == DATA_CHECKSUMS_ON;
    backup->label = string_copy(push->settings->label);
    backup->host = string_copy(host);
    return backup->label == NULL || backup->host == NULL ? -1 : 0;
}

/* A copy of the data directory has the same system identifier. The checkpoint that began the backup proves
 * which is which. */
static int verify_data_directory(struct push *push)
{
    if (read_control(push, &push->control, NULL) != 0)
        return -1;
    if (push->control.redo_lsn >= push->backup.start_lsn && push->control.timeline == push->backup.timeline)
        return 0;
    log_error("data directory \"%s\" is not the one of the server that conninfo leads to",
              push->data_directory);
    log_hint("It does not show the checkpoint that the server has just made. Is it a copy, or an old mount?");
    return -1;
}

static void beat(struct push *push)
{
    struct store_limits limits = {.operation_seconds = HEARTBEAT_TIMEOUT_SECONDS};
    struct buffer text = BUFFER_EMPTY;
    struct body body;

    if (documents_heartbeat(push->backup.id, timestamp_now(), &text) != 0)
        goto done;
    body = (struct body){.data = text.data, .fd = -1, .length = text.length};
    if (sha256_of(text.data, text.length, body.sha256) != 0)
        goto done;
    for (size_t i = 0; i < push->targets.count; i++) {
        struct target *target = &push->targets.items[i];
        char *key = target_is_alive(target) ? targets_key(&push->targets, target, "heartbeat.json") : NULL;
        if (key == NULL)
            continue;
        store_set_limits(target->repository.store, &limits);
        if (store_replace(target->repository.store, key, &body) != STORE_OK)
            log_warning("repository \"%s\" does not know that the backup is still running",
                        target->repository.settings->name);
        store_set_limits(target->repository.store, &push->targets.limits);
        free(key);
    }
done:
    buffer_free(&text);
}

/* Called several times a second while others work. -1 after logging: the session is lost, and with it the
 * backup. */
static int tick(void *context)
{
    struct push *push = context;
    int64_t now = monotonic_now();

    progress_tick(&push->progress);
    if (now >= push->next_session_check) {
        if (session_check(push->server) != 0)
            return -1;
        push->next_session_check = monotonic_now() + SESSION_CHECK_MICROSECONDS;
    }
    if (now >= push->next_heartbeat) {
        beat(push);
        push->next_heartbeat = monotonic_now() + HEARTBEAT_MICROSECONDS;
    }
    return 0;
}

static void tick_while_waiting(void *context)
{
    struct push *push = context;

    if (monotonic_now() >= push->next_heartbeat) {
        beat(push);
        push->next_heartbeat = monotonic_now() + HEARTBEAT_MICROSECONDS;
    }
}

static int start(struct push *push)
{
    struct session_start started;
    struct buffer document = BUFFER_EMPTY;
    char lsn[24];
    int result = -1;

    log_info("waiting for the server's checkpoint (%s)", push->settings->fast_checkpoint ? "fast" : "spread");
    if (session_start_backup(push->server, push->settings->label, push->settings->fast_checkpoint,
                             &started) != 0 ||
        describe_backup(push, &started) != 0 || verify_data_directory(push) != 0)
        return -1;
    lsn_format(started.lsn, lsn);
    log_info("backup %s begins at %s on timeline %u", push->backup.id, lsn, (unsigned)started.timeline);
    push->next_heartbeat = monotonic_now() + HEARTBEAT_MICROSECONDS;
    push->next_session_check = monotonic_now() + SESSION_CHECK_MICROSECONDS;
    push->catalog = catalog_open(push->state.directory, push->backup.id, push->targets.lane_count);
    if (push->catalog != NULL && documents_started(&push->backup, &document) == 0)
        result = targets_put(&push->targets, "started.json", &document);
    buffer_free(&document);
    return result;
}

/* Copy */

static struct page_check *page_checks(struct push *push)
{
    if (!push->backup.data_checksums)
        return NULL;
    push->pages.block_bytes = push->control.block_bytes;
    push->pages.segment_blocks = push->control.relation_segment_blocks;
    push->pages.start_lsn = push->backup.start_lsn;
    push->pages.insert_lsn = session_insert_lsn;
    push->pages.context = push->server;
    return &push->pages;
}

/* global/pg_control is the last file to be read, just before the end of the backup. */
static int keep_control(struct push *push)
{
    char *path = path_join(push->data_directory, "global/pg_control");
    struct pg_control control;
    struct stat status;
    int result = -1;

    if (path == NULL || read_control(push, &control, push->control_bytes) != 0)
        goto done;
    if (stat(path, &status) != 0) {
        log_error("could not stat file \"%s\": %m", path);
        goto done;
    }
    push->control_modified_seconds = status.st_mtime;
    result = 0;
done:
    free(path);
    return result;
}

static int open_copy(struct push *push)
{
    struct copy_settings settings = {
        .targets = &push->targets,
        .catalog = push->catalog,
        .tree = &push->tree,
        .pages = page_checks(push),
        .progress = &push->progress,
        .owner = &push->owner,
        .jobs = push->settings->jobs,
    };

    push->copy = copy_open(&settings);
    return push->copy == NULL ? -1 : 0;
}

/* Wrong pages are all reported before the backup fails: whoever has to repair wants to know the extent. */
static int judge_pages(struct push *push)
{
    push->backup.zero_pages = atomic_load(&push->pages.zero_pages);
    push->backup.page_errors = atomic_load(&push->pages.bad_pages);
    log_debug(
        "%llu all-zero pages, %llu pages changed during the backup whose checksum could not be verified",
        (unsigned long long)push->backup.zero_pages,
        (unsigned long long)atomic_load(&push->pages.skipped_pages));
    if (push->backup.page_errors == 0)
        return 0;
    log_error("the server's data is damaged: %" PRIu64 " invalid pages; the backup is not completed",
              push->backup.page_errors);
    log_hint("Earlier backups may still have the pages intact: keep them, and look at the hardware before "
             "anything else.");
    return -1;
}

static int copy(struct push *push)
{
    if (tree_open(push->data_directory, &push->control, push->facts.major, push->facts.stats_directory,
                  &push->tree) != 0 ||
        tree_scan(&push->tree, push->progress.is_wanted) != 0 || open_copy(push) != 0)
        return -1;
    progress_begin(&push->progress, push->tree.bytes);
    int result = copy_directories(push->copy);
    if (result == 0)
        result = copy_files(push->copy, tick, push);
    progress_end(&push->progress);
    if (result != 0 || judge_pages(push) != 0)
        return -1;
    memcpy(push->external_series.prefix, "external", sizeof "external");
    if (external_find(push->server, &push->facts, push->data_directory, &push->external) != 0 ||
        external_ship(&push->external, copy_ship(push->copy), &push->external_series) != 0 ||
        part_writer_finish(copy_parts(push->copy)) != 0)
        return -1;
    return keep_control(push);
}

/* Stop */

static int add_tablespace(struct push *push, const struct tree_root *root, const struct server_rows *names)
{
    struct backup_tablespace *tablespace = &push->backup.tablespaces[push->backup.tablespace_count];

    tablespace->oid = root->oid;
    tablespace->location = string_copy(root->directory);
    for (size_t i = 0; i < names->row_count && tablespace->name == NULL; i++)
        if (strtoul(server_cell(names, i, 0), NULL, 10) == root->oid &&
            (tablespace->name = string_copy(server_cell(names, i, 1))) == NULL)
            return -1;
    push->backup.tablespace_count++;
    return tablespace->location == NULL ? -1 : 0;
}

static int describe_tablespaces(struct push *push)
{
    struct server_rows names;
    int result = 0;

    if (push->tree.root_count == 1)
        return 0;
    push->backup.tablespaces = calloc(push->tree.root_count, sizeof *push->backup.tablespaces);
    if (push->backup.tablespaces == NULL)
        return log_out_of_memory();
    if (session_tablespaces(push->server, &names) != 0)
        return -1;
    for (size_t i = 1; i < push->tree.root_count && result == 0; i++)
        if (push->tree.roots[i].fd >= 0)
            result = add_tablespace(push, &push->tree.roots[i], &names);
    server_rows_free(&names);
    return result;
}

/* The label must speak of the backup that was started; a failover in between would show here. LSNs are
 * compared as numbers: since 19 they are written with leading zeros. */
static int verify_label(const struct push *push)
{
    static const char word[] = "START WAL LOCATION: ";
    char text[24] = "", timeline[64];
    uint64_t start;
    const char *line = strstr(push->stop.backup_label, word);

    if (line != NULL)
        snprintf(text, sizeof text, "%.*s", (int)strcspn(line + strlen(word), " \n"), line + strlen(word));
    snprintf(timeline, sizeof timeline, "START TIMELINE: %u\n", (unsigned)push->backup.timeline);
    if (lsn_parse(text, &start) && start == push->backup.start_lsn &&
        strstr(push->stop.backup_label, timeline) != NULL)
        return 0;
    lsn_format(push->backup.start_lsn, text);
    log_error("the server's backup_label is not of this backup, which began at %s on timeline %u", text,
              (unsigned)push->backup.timeline);
    return -1;
}

static int stop(struct push *push)
{
    struct buffer map = BUFFER_EMPTY;
    int result = 0;

    if (describe_tablespaces(push) != 0 || session_stop_backup(push->server, &push->stop) != 0)
        return -1;
    push->backup.stop_lsn = push->stop.lsn;
    push->backup.stop_time = push->stop.time;
    if (verify_label(push) != 0)
        return -1;
    if (push->stop.tablespace_map != NULL) {
        result = buffer_append_string(&map, push->stop.tablespace_map);
        if (result == 0)
            result = targets_put(&push->targets, "tablespace_map", &map);
        buffer_free(&map);
    }
    return result;
}

/* The last part, and the end */

static int write_manifest(struct push *push, const struct ship_content *label,
                          const struct ship_content *control, int fd, uint64_t *bytes)
{
    struct pg_manifest_file files[2] = {
        {.path = label->path, .bytes = label->bytes, .modified = label->modified_seconds * 1000000},
        {.path = control->path, .bytes = control->bytes, .modified = control->modified_seconds * 1000000},
    };
    struct pg_manifest_settings settings = {
        .backup_id = push->backup.id,
        .postgresql_version = push->backup.postgresql_version,
        .system_identifier = push->backup.system_identifier,
        .timeline = push->backup.timeline,
        .start_lsn = push->backup.start_lsn,
        .stop_lsn = push->backup.stop_lsn,
        .files = files,
        .file_count = 2,
    };

    if (sha256_of(label->data, (size_t)label->bytes, files[0].sha256) != 0 ||
        sha256_of(control->data, (size_t)control->bytes, files[1].sha256) != 0)
        return -1;
    return pg_manifest_write(&settings, push->catalog, targets_first_lane(&push->targets), fd, bytes);
}

static int ship_last_part(struct push *push)
{
    struct part_series *series = &push->tree.roots[0].series;
    int64_t now = timestamp_now() / 1000000;
    struct ship_content label = {
        .series = series, .path = "backup_label", .mode = push->file_mode, .modified_seconds = now};
    struct ship_content manifest = {
        .series = series, .path = "backup_manifest", .mode = push->file_mode, .modified_seconds = now};
    struct ship_content control = {.series = series,
                                   .path = "global/pg_control",
                                   .mode = push->file_mode,
                                   .modified_seconds = push->control_modified_seconds};
    struct ship *ship = copy_ship(push->copy);
    int result = -1;

    label.data = push->stop.backup_label;
    label.bytes = strlen(push->stop.backup_label);
    control.data = push->control_bytes;
    control.bytes = sizeof push->control_bytes;
    manifest.fd = file_open_unnamed(push->state.directory);
    if (manifest.fd < 0)
        return -1;
    part_writer_hold(copy_parts(push->copy));
    if (write_manifest(push, &label, &control, manifest.fd, &manifest.bytes) == 0 &&
        ship_content(ship, &label) == 0 && ship_content(ship, &manifest) == 0 &&
        ship_content(ship, &control) == 0)
        result = part_writer_finish(copy_parts(push->copy));
    close(manifest.fd);
    return result;
}

static int wait_for_wal(struct push *push)
{
    char *pg_wal = path_join(push->data_directory, "pg_wal");
    struct wal_wait wait = {
        .timeline = push->backup.timeline,
        .segment_bytes = push->backup.segment_bytes,
        .start_lsn = push->backup.start_lsn,
        .stop_lsn = push->backup.stop_lsn,
        .timeout_seconds = push->config->basebackup_wal_timeout_seconds,
        .pg_wal = pg_wal,
        .server = push->server,
        .tick = tick_while_waiting,
        .context = push,
    };
    int result = pg_wal == NULL ? -1 : wal_wait(&wait, &push->targets);

    free(pg_wal);
    return result;
}

/* " in repository "local", "offsite"", where there are several. */
static int append_repositories(const struct push *push, struct buffer *text)
{
    const char *separator = " in repository ";

    for (size_t i = 0; push->targets.count > 1 && i < push->targets.count; i++) {
        const struct target *target = &push->targets.items[i];
        if (!target_is_alive(target))
            continue;
        if (buffer_printf(text, "%s\"%s\"", separator, target->repository.settings->name) != 0)
            return -1;
        separator = ", ";
    }
    return 0;
}

static void log_summary(const struct push *push)
{
    struct buffer repositories = BUFFER_EMPTY;
    char plain[32], stored[32];
    int64_t seconds = (push->backup.stop_time - push->backup.start_time) / 1000000;

    progress_format_bytes(push->backup.plain_bytes, plain);
    progress_format_bytes(push->backup.stored_bytes, stored);
    if (append_repositories(push, &repositories) == 0)
        log_info("backup %s is complete%s: %" PRIu64 " files, %s, stored as %s, in %" PRIu64 ":%02u",
                 push->backup.id, buffer_string(&repositories), push->backup.file_count, plain, stored,
                 (uint64_t)seconds / 60, (unsigned)(seconds % 60));
    buffer_free(&repositories);
}

static int complete(struct push *push)
{
    push->backup.external = push->external.paths; /* handed over */
    push->backup.external_count = push->external.count;
    memset(&push->external, 0, sizeof push->external);
    if (documents_put(&push->targets, push->catalog, push->state.directory, &push->backup) != 0)
        return -1;
    log_summary(push);
    return targets_outcome(&push->targets);
}

static void push_close(struct push *push)
{
    server_close(push->server); /* first: ends backup mode */
    copy_close(push->copy);     /* aborts uploads */
    tree_close(&push->tree);
    catalog_close(push->catalog);
    external_free(&push->external);
    session_stop_free(&push->stop);
    session_facts_free(&push->facts);
    backup_free(&push->backup);
    targets_close(&push->targets);
    state_close(&push->state);
    free(push);
}

int push_backup(const struct push_settings *settings, char id[BACKUP_ID_BYTES])
{
    struct push *push = calloc(1, sizeof *push);
    int result = -1;

    if (push == NULL)
        return log_out_of_memory();
    push->settings = settings;
    push->config = settings->config;
    backup_init(&push->backup);
    progress_init(&push->progress, settings->wants_progress);
    if (prepare(push) == 0 && start(push) == 0 && copy(push) == 0 && stop(push) == 0 &&
        ship_last_part(push) == 0 && wait_for_wal(push) == 0 && complete(push) == 0) {
        memcpy(id, push->backup.id, sizeof push->backup.id);
        result = 0;
    }
    push_close(push);
    return result;
}
