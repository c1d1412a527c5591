#include "push.h"

#include "backup_label.h"
#include "common/file.h"
#include "common/heartbeat.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "common/wal_index_fill.h"
#include "copy.h"
#include "data_directory.h"
#include "describe.h"
#include "documents.h"
#include "external.h"
#include "last_part.h"
#include "primary.h"
#include "push_report.h"
#include "running.h"
#include "source_file.h"
#include "wal_include.h"
#include "wal_wait.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SESSION_CHECK_MICROSECONDS (5 * 1000000ll)
#define CLAIM_TRIES 60

struct push {
    const struct push_settings *settings;
    const struct config *config;
    struct state state;
    struct targets targets;
    struct server *server; /* the server is in backup mode as long as this session lasts */
    struct session_facts facts;
    struct server *wal_holder; /* for --wal=include: the session of the slot; NULL: the server gives none */
    struct data_directory directory;
    struct backup backup;
    struct session_stop stop;
    struct catalog *catalog;
    struct tree tree;
    struct path_set *told; /* the files that are in the backup already */
    struct page_check pages;
    struct page_errors *page_errors;
    struct progress progress;
    struct rate rate;
    struct running running;
    struct resume *resume;
    struct copy *copy;
    struct external external;
    struct part_series external_series;
    bool is_stored; /* complete, in every target that lives */
    int64_t begun;  /* monotonic */
    struct heartbeat heartbeat;
    int64_t next_session_check;
};

/* Before the backup */

/* The WAL that the backup needs comes from the server that writes it. */
static int check_archiving(const struct push *push)
{
    struct primary primary = {push->config->primary_conninfo, push->facts.system_identifier};

    if (push->settings->includes_wal)
        return 0;
    if (!push->facts.is_standby)
        return session_require_archiving(&push->facts);
    return primary.conninfo == NULL ? 0 : primary_check(&primary);
}

static int prepare(struct push *push)
{
    state_open(push->config, &push->state);
    if (targets_open(push->config, push->settings->repository, &push->state, false, &push->targets) != 0)
        return -1;
    push->server = server_connect("conninfo", push->config->conninfo);
    if (push->server == NULL || session_open(push->server, &push->facts) != 0 || check_archiving(push) != 0 ||
        data_directory_open(push->config, &push->facts, &push->directory) != 0)
        return -1;
    return targets_accept(&push->targets, push->facts.system_identifier);
}

/* Start */

/* In a session of its own: the server ends it when it takes the slot away (max_slot_wal_keep_size). A server
 * whose WAL is archived can do without. */
static int hold_wal(struct push *push)
{
    bool is_optional = push->facts.is_standby || push->facts.is_archiving;
    struct session_facts facts;

    push->wal_holder = server_connect("conninfo", push->config->conninfo);
    if (push->wal_holder == NULL || session_open(push->wal_holder, &facts) != 0)
        return -1;
    session_facts_free(&facts);
    int held = session_hold_wal(push->wal_holder, is_optional);
    if (held != 1 || !is_optional)
        return held == 0 ? 0 : -1;
    log_info("the server gives no replication slot to keep its WAL: it is taken from the repositories");
    server_close(push->wal_holder);
    push->wal_holder = NULL;
    return 0;
}

/* Called several times a second while others work. -1 after logging: the session is lost, and with it the
 * backup. */
static int tick(void *context)
{
    struct push *push = context;
    int64_t now = monotonic_now();

    progress_tick(&push->progress);
    if (now >= push->next_session_check) {
        if (session_check(push->server, &push->facts) != 0)
            return -1;
        push->next_session_check = monotonic_now() + SESSION_CHECK_MICROSECONDS;
    }
    heartbeat_tick(&push->heartbeat);
    return 0;
}

static void tick_while_waiting(void *context)
{
    struct push *push = context;

    progress_tick(&push->progress);
    heartbeat_tick(&push->heartbeat);
}

static void tick_progress(void *context)
{
    progress_tick(context);
}

static int start_backup(struct push *push, struct session_start *start)
{
    struct session_wish wish = {.label = push->settings->label,
                                .fast_checkpoint = push->settings->fast_checkpoint,
                                .tick = tick_progress,
                                .context = &push->progress};

    log_info("waiting for the %s (%s)",
             push->facts.is_standby ? "standby's restartpoint" : "server's checkpoint",
             push->settings->fast_checkpoint ? "fast" : "spread");
    progress_stage(&push->progress, "waiting for the checkpoint");
    int result = session_start_backup(push->server, &wish, start);
    progress_stage(&push->progress, NULL);
    return result;
}

/* Makes the backup's folder ours. Its name has whole seconds and the start LSN, which backups from standbys
 * may share. */
static int claim(struct push *push)
{
    struct backup *backup = &push->backup;

    for (unsigned tries = 0; tries < CLAIM_TRIES; tries++) {
        struct buffer document = BUFFER_EMPTY;
        int claimed = -1;

        memcpy(push->targets.id, backup->id, sizeof backup->id);
        if (documents_started(backup, &document) == 0)
            claimed = targets_claim(&push->targets, "started.json", &document);
        buffer_free(&document);
        if (claimed <= 0)
            return claimed;
        backup->start_time += 1000000;
        backup_id_make(backup->start_time, backup->timeline, backup->start_lsn, backup->id);
    }
    log_error("there are backups already under each id that this one could have, up to %s", backup->id);
    return -1;
}

static int start(struct push *push)
{
    struct session_start started = {0};
    char lsn[24];

    if (push->settings->includes_wal && hold_wal(push) != 0)
        return -1;
    if (start_backup(push, &started) != 0 ||
        data_directory_verify(&push->directory, push->server, &push->facts, &started) != 0 ||
        describe_start(&push->facts, &started, &push->directory.control, &push->backup) != 0 ||
        describe_wishes(push->settings->label, push->settings->annotations, &push->backup) != 0 ||
        claim(push) != 0)
        return -1;
    lsn_format(started.lsn, lsn);
    log_info("backup %s begins at %s on timeline %u", push->backup.id, lsn, (unsigned)started.timeline);
    heartbeat_begin(&push->heartbeat, &push->targets);
    push->next_session_check = monotonic_now() + SESSION_CHECK_MICROSECONDS;
    running_begin(&push->state, &push->targets, push->backup.timeline, &push->running);
    push->catalog =
        catalog_open(push->state.directory, push->running.fd >= 0, push->backup.id, push->targets.lane_count);
    return push->catalog == NULL ? -1 : 0;
}

/* Copy */

static struct page_check *page_checks(struct push *push)
{
    if (!push->backup.data_checksums)
        return NULL;
    push->pages.block_bytes = push->directory.control.block_bytes;
    push->pages.segment_blocks = push->directory.control.relation_segment_blocks;
    push->pages.start_lsn = push->backup.start_lsn;
    push->pages.insert_lsn = push->facts.is_standby ? session_replay_lsn : session_insert_lsn;
    push->pages.context = push->server;
    push->pages.errors = push->page_errors;
    return &push->pages;
}

static void find_interrupted(struct push *push)
{
    struct resume_settings settings = {
        .state = &push->state,
        .targets = &push->targets,
        .catalog = push->catalog,
        .tree = &push->tree,
        .told = push->told,
        .pages = page_checks(push),
        .progress = &push->progress,
        .rate = &push->rate,
        .timeline = push->backup.timeline,
        .age_seconds = push->config->basebackup_resume_age_seconds,
    };

    if (push->settings->resumes)
        push->resume = resume_find(&settings);
}

static int open_copy(struct push *push)
{
    struct copy_settings settings = {
        .targets = &push->targets,
        .catalog = push->catalog,
        .tree = &push->tree,
        .told = push->told,
        .pages = page_checks(push),
        .progress = &push->progress,
        .rate = &push->rate,
        .owner = &push->directory.owner,
        .split_bytes = push->config->basebackup_split_bytes / SOURCE_WINDOW_BYTES * SOURCE_WINDOW_BYTES,
        .resume = push->resume,
        .jobs = push->settings->jobs,
    };

    push->copy = copy_open(&settings);
    return push->copy == NULL ? -1 : 0;
}

/* Wrong pages are all found before the backup fails: whoever has to repair wants to know the extent. */
static int judge_pages(struct push *push)
{
    push->backup.zero_pages = atomic_load(&push->pages.zero_pages);
    push->backup.page_errors = atomic_load(&push->pages.bad_pages);
    page_errors_take(push->page_errors, &push->backup);
    log_debug(
        "%llu all-zero pages, %llu pages changed during the backup whose checksum could not be verified",
        (unsigned long long)push->backup.zero_pages,
        (unsigned long long)atomic_load(&push->pages.skipped_pages));
    if (push->backup.page_errors == 0 || push->settings->tolerates_page_errors)
        return 0;
    log_error("the server's data is damaged: %" PRIu64 " invalid pages; the backup is not completed",
              push->backup.page_errors);
    log_hint("Earlier backups may still have the pages intact: keep them, and look at the hardware before "
             "anything else.");
    return -1;
}

static int copy(struct push *push)
{
    if (tree_open(push->directory.path, &push->directory.control, push->facts.major,
                  push->facts.stats_directory, &push->tree) != 0 ||
        tree_scan(&push->tree, push->progress.is_wanted) != 0)
        return -1;
    push->told = path_set_new(push->state.directory);
    if (push->told == NULL)
        return -1;
    find_interrupted(push);
    if (open_copy(push) != 0)
        return -1;
    progress_begin(&push->progress, push->tree.bytes);
    int result = copy_directories(push->copy);
    if (result == 0)
        result = copy_take_over(push->copy, tick, push);
    if (result == 0)
        result = copy_files(push->copy, tick, push);
    progress_end(&push->progress);
    if (result != 0 || judge_pages(push) != 0)
        return -1;
    memcpy(push->external_series.prefix, "external", sizeof "external");
    if (external_find(push->server, &push->facts, push->directory.path, &push->external) != 0 ||
        external_ship(&push->external, copy_ship(push->copy), &push->external_series) != 0 ||
        part_writer_finish(copy_parts(push->copy)) != 0)
        return -1;
    return data_directory_keep_control(&push->directory);
}

/* Stop */

static int verify_standby(const struct push *push)
{
    if (push->stop.timeline == push->backup.timeline)
        return data_directory_verify_end(&push->directory, &push->stop);
    log_error("the standby has followed its primary from timeline %u to timeline %u while the backup was "
              "taken, or just before",
              (unsigned)push->backup.timeline, (unsigned)push->stop.timeline);
    log_hint("Take another backup once the new primary has made a checkpoint.");
    return -1;
}

static int stop(struct push *push)
{
    struct buffer map = BUFFER_EMPTY;
    int result = 0;

    if (describe_tablespaces(push->server, &push->tree, &push->backup) != 0 ||
        describe_databases(push->server, &push->backup) != 0 ||
        session_stop_backup(push->server, &push->facts, &push->stop) != 0)
        return -1;
    push->backup.stop_lsn = push->stop.lsn;
    push->backup.stop_time = push->stop.time;
    push->backup.covered_until = push->stop.covered_until;
    if (backup_label_check(push->stop.backup_label, push->backup.start_lsn, push->backup.timeline) != 0 ||
        (push->facts.is_standby && verify_standby(push) != 0))
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

static int wait_for_wal(struct push *push)
{
    struct primary primary = {push->config->primary_conninfo, push->facts.system_identifier};
    char *pg_wal = path_join(push->directory.path, "pg_wal");
    struct wal_wait wait = {
        .timeline = push->backup.timeline,
        .segment_bytes = push->backup.segment_bytes,
        .start_lsn = push->backup.start_lsn,
        .stop_lsn = push->backup.stop_lsn,
        .timeout_seconds = push->config->basebackup_wal_timeout_seconds,
        .pg_wal = pg_wal,
        .server = push->facts.is_standby ? NULL : push->server,
        .from_standby = push->facts.is_standby,
        .tick = tick_while_waiting,
        .context = push,
    };

    if (push->facts.is_standby && primary.conninfo != NULL &&
        primary_complete_segment(&primary, push->backup.stop_lsn, push->backup.segment_bytes) != 0)
        log_warning("the primary could not be asked to complete the WAL segment in which the backup ended");
    progress_stage(&push->progress, "waiting for WAL to arrive");
    int result = pg_wal == NULL ? -1 : wal_wait(&wait, &push->targets);
    progress_stage(&push->progress, NULL);
    free(pg_wal);
    return result;
}

static int include_wal(struct push *push)
{
    struct wal_include include = {
        .backup = &push->backup,
        .directory = &push->directory,
        .is_held = push->wal_holder != NULL,
        .targets = &push->targets,
        .ship = copy_ship(push->copy),
        .series = &push->tree.roots[0].series,
        .spool_directory = push->state.directory,
        .tick = tick,
        .context = push,
    };

    if (!push->settings->includes_wal)
        return 0;
    push->backup.wal_included = true;
    if (push->wal_holder == NULL && wait_for_wal(push) != 0)
        return -1;
    progress_stage(&push->progress, "taking the WAL into the backup");
    int result = wal_include_ship(&include);
    progress_stage(&push->progress, NULL);
    server_close(push->wal_holder);
    push->wal_holder = NULL;
    return result;
}

static int ship_last_part(struct push *push)
{
    struct last_part last = {
        .copy = push->copy,
        .series = &push->tree.roots[0].series,
        .catalog = push->catalog,
        .lane = targets_first_lane(&push->targets),
        .backup = &push->backup,
        .backup_label = push->stop.backup_label,
        .directory = &push->directory,
        .spool_directory = push->state.directory,
    };

    return last_part_ship(&last);
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
    int64_t seconds = (monotonic_now() - push->begun) / 1000000;

    progress_format_bytes(push->backup.plain_bytes, plain);
    progress_format_bytes(push->backup.stored_bytes, stored);
    if (append_repositories(push, &repositories) == 0)
        log_info("backup %s is complete%s: %" PRIu64 " files, %s, stored as %s, in %" PRIu64 ":%02u",
                 push->backup.id, buffer_string(&repositories), push->backup.file_count, plain, stored,
                 (uint64_t)seconds / 60, (unsigned)(seconds % 60));
    if (push->backup.page_errors > 0) {
        log_warning("backup %s holds %" PRIu64 " invalid pages, as the server's files have them",
                    push->backup.id, push->backup.page_errors);
        log_hint("basebackup-list --backup %s names them.", push->backup.id);
    }
    buffer_free(&repositories);
}

static int complete(struct push *push)
{
    push->backup.external = push->external.paths; /* handed over */
    push->backup.external_count = push->external.count;
    memset(&push->external, 0, sizeof push->external);
    resume_take_back(push->resume);
    if (documents_put(&push->targets, push->catalog, push->state.directory, &push->backup) != 0)
        return -1;
    push->is_stored = true;
    log_summary(push);
    if (targets_outcome(&push->targets) != 0)
        return -1;
    resume_free(push->resume);
    push->resume = NULL;
    running_forget(&push->running);
    return 0;
}

/* The backup is complete: whatever happens here is no failure of it. */
static void write_indexes(struct push *push)
{
    int64_t deadline = wal_index_fill_deadline();

    for (size_t i = 0; i < push->targets.count; i++)
        if (target_is_alive(&push->targets.items[i]))
            wal_index_fill_all(&push->targets.items[i].repository, deadline, false);
}

static void push_close(struct push *push)
{
    server_close(push->server); /* first: ends backup mode */
    server_close(push->wal_holder);
    copy_close(push->copy); /* aborts uploads */
    resume_free(push->resume);
    running_close(&push->running);
    page_errors_free(push->page_errors);
    tree_close(&push->tree);
    path_set_free(push->told);
    catalog_close(push->catalog);
    external_free(&push->external);
    session_stop_free(&push->stop);
    session_facts_free(&push->facts);
    backup_free(&push->backup);
    targets_close(&push->targets);
    state_close(&push->state);
    rate_destroy(&push->rate);
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
    push->begun = monotonic_now();
    push->running = (struct running)RUNNING_NONE;
    backup_init(&push->backup);
    progress_init(&push->progress, settings->wants_progress);
    rate_init(&push->rate, settings->max_rate);
    push->page_errors = page_errors_new();
    if (push->page_errors != NULL && prepare(push) == 0 && start(push) == 0 && copy(push) == 0 &&
        stop(push) == 0 && include_wal(push) == 0 && ship_last_part(push) == 0 &&
        (settings->includes_wal || wait_for_wal(push) == 0) && complete(push) == 0) {
        memcpy(id, push->backup.id, sizeof push->backup.id);
        result = 0;
        write_indexes(push);
    }
    push_report(settings->result, &push->backup, &push->targets, push->is_stored ? push->catalog : NULL);
    push_close(push);
    return result;
}
