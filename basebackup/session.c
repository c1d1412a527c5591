#include "session.h"

#include "common/buffer.h"
#include "common/log.h"
#include "common/wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_SECONDS                                                                                        \
    (24 * 3600) /* a spread checkpoint behind another one: checkpoint_timeout can be a day */
#define STOP_SECONDS 3600

#define MICROSECONDS(timestamp)                                                                              \
    "(pg_catalog.date_part('epoch', " timestamp ") OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8"
#define CLOCK_MICROSECONDS MICROSECONDS("pg_catalog.clock_timestamp()")

#define OUT_OF_ORDER_MICROSECONDS 1000000 /* by so much a commit may bear a later time than the next one */

static int ask(struct server *server, const char *sql, struct server_rows *rows)
{
    struct server_query query = {.sql = sql};

    return server_ask(server, &query, rows) == SERVER_OK ? 0 : -1;
}

/* One value of one row. New string, caller frees; NULL after logging. */
static char *ask_value(struct server *server, const char *sql)
{
    struct server_rows rows;
    char *value = NULL;

    if (ask(server, sql, &rows) != 0)
        return NULL;
    if (rows.row_count != 1 || rows.column_count != 1 || server_cell(&rows, 0, 0) == NULL)
        log_error("unexpected answer from the server to \"%s\"", sql);
    else
        value = string_copy(server_cell(&rows, 0, 0));
    server_rows_free(&rows);
    return value;
}

static int ask_lsn(struct server *server, const char *sql, uint64_t *lsn)
{
    char *value = ask_value(server, sql);
    int result = -1;

    if (value == NULL)
        return -1;
    if (lsn_parse(value, lsn))
        result = 0;
    else
        log_error("unexpected answer from the server to \"%s\": \"%s\"", sql, value);
    free(value);
    return result;
}

static int ask_clock(struct server *server, int64_t *time)
{
    char *value = ask_value(server, "SELECT " CLOCK_MICROSECONDS);

    if (value == NULL)
        return -1;
    *time = strtoll(value, NULL, 10);
    free(value);
    return 0;
}

/* A backup runs for hours without a word from us: nothing may end the session meanwhile (rule 28). But if we
 * are killed while the server waits for a spread checkpoint, it shall not wait on for nobody. */
static int prepare_session(struct server *server, uint32_t version)
{
    static const struct {
        const char *sql;
        uint32_t since;
    } settings[] = {
        {"SELECT pg_catalog.set_config('search_path', '', false)", 0},
        {"SET statement_timeout = 0", 0},
        {"SET lock_timeout = 0", 0},
        {"SET idle_in_transaction_session_timeout = 0", 0},
        {"SET idle_session_timeout = 0", 140000},
        {"SET transaction_timeout = 0", 170000},
        {"SET client_connection_check_interval = '10s'", 140000},
    };

    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (version >= settings[i].since && ask(server, settings[i].sql, NULL) != 0)
            return -1;
    return 0;
}

static int read_recovery(struct server *server, bool *is_standby)
{
    char *value = ask_value(server, "SELECT pg_catalog.pg_is_in_recovery()");

    if (value == NULL)
        return -1;
    *is_standby = strcmp(value, "t") == 0;
    free(value);
    return 0;
}

static int take_setting(const char *name, const char *value, struct session_facts *facts)
{
    const struct {
        const char *name;
        char **place;
    } places[] = {
        {"data_directory", &facts->data_directory},
        {"config_file", &facts->config_file},
        {"hba_file", &facts->hba_file},
        {"ident_file", &facts->ident_file},
        {"stats_temp_directory", &facts->stats_directory},
    };

    if (strcmp(name, "archive_mode") == 0)
        facts->is_archiving = strcmp(value, "off") != 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strcmp(name, places[i].name) == 0 && (*places[i].place = string_copy(value)) == NULL)
            return -1;
    return 0;
}

static int read_settings(struct server *server, struct session_facts *facts)
{
    /* The view, unlike SHOW, only leaves out what this user may not see. */
    static const char sql[] = "SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN"
                              " ('data_directory', 'config_file', 'hba_file', 'ident_file', "
                              "'stats_temp_directory', 'archive_mode')";
    struct server_rows rows;
    int result = 0;

    if (ask(server, sql, &rows) != 0)
        return -1;
    for (size_t i = 0; i < rows.row_count && result == 0; i++)
        if (server_cell(&rows, i, 1) != NULL && *server_cell(&rows, i, 1) != '\0')
            result = take_setting(server_cell(&rows, i, 0), server_cell(&rows, i, 1), facts);
    server_rows_free(&rows);
    return result;
}

static int read_system_identifier(struct server *server, uint64_t *system_identifier)
{
    char *value = ask_value(server, "SELECT system_identifier FROM pg_catalog.pg_control_system()");

    if (value == NULL)
        return -1;
    *system_identifier = (uint64_t)strtoll(value, NULL, 10); /* SQL has no unsigned 64 bits */
    free(value);
    return 0;
}

int session_open(struct server *server, struct session_facts *facts)
{
    memset(facts, 0, sizeof *facts);
    facts->version = (uint32_t)server_version(server);
    facts->major = facts->version / 10000;
    if (facts->version < 130000) {
        log_error("the server is PostgreSQL %u.%u; 13 or later is needed", (unsigned)facts->major,
                  (unsigned)(facts->version % 100));
        return -1;
    }
    if (prepare_session(server, facts->version) == 0 && read_recovery(server, &facts->is_standby) == 0 &&
        read_system_identifier(server, &facts->system_identifier) == 0 && read_settings(server, facts) == 0)
        return 0;
    session_facts_free(facts);
    return -1;
}

void session_facts_free(struct session_facts *facts)
{
    if (facts == NULL)
        return;
    free(facts->data_directory);
    free(facts->config_file);
    free(facts->hba_file);
    free(facts->ident_file);
    free(facts->stats_directory);
    memset(facts, 0, sizeof *facts);
}

int session_require_archiving(const struct session_facts *facts)
{
    if (facts->is_archiving)
        return 0;
    log_error("the server archives no WAL (archive_mode is off), so the backup could never be restored");
    log_hint("Set archive_mode = on and archive_command = 'wal-push %%p' in postgresql.conf, then "
             "restart the server.");
    return -1;
}

/* Of the checkpoint, or restartpoint, that the server made last. */
static int read_timeline(struct server *server, uint32_t *timeline)
{
    char *value = ask_value(server, "SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()");

    if (value == NULL)
        return -1;
    *timeline = (uint32_t)strtoul(value, NULL, 10);
    free(value);
    return 0;
}

int session_start_backup(struct server *server, const struct session_wish *wish, struct session_start *start)
{
    const char *parameters[] = {wish->label, wish->fast_checkpoint ? "true" : "false"};
    struct server_query query = {
        .sql = server_version(server) >= 150000
                   ? "SELECT pg_catalog.pg_backup_start($1::pg_catalog.text, $2::pg_catalog.bool)"
                   : "SELECT pg_catalog.pg_start_backup($1::pg_catalog.text, $2::pg_catalog.bool, false)",
        .parameters = parameters,
        .parameter_count = 2,
        .timeout_seconds = START_SECONDS,
        .tick = wish->tick,
        .context = wish->context,
    };
    struct session_start started;
    struct server_rows rows;

    if (ask_clock(server, &started.time) != 0 || server_ask(server, &query, &rows) != SERVER_OK)
        return -1;
    bool good = rows.row_count == 1 && server_cell(&rows, 0, 0) != NULL &&
                lsn_parse(server_cell(&rows, 0, 0), &started.lsn);
    server_rows_free(&rows);
    if (!good) {
        log_error("unexpected answer from the server to \"%s\"", query.sql);
        return -1;
    }
    if (read_timeline(server, &started.timeline) != 0)
        return -1;
    *start = started;
    return 0;
}

int session_hold_wal(struct server *server, bool is_optional)
{
    struct server_query query = {
        .sql = "SELECT pg_catalog.pg_create_physical_replication_slot("
               "pg_catalog.concat('walferry_', pg_catalog.pg_backend_pid()), true, true)",
        .is_optional = is_optional,
    };

    switch (server_ask(server, &query, NULL)) {
    case SERVER_OK:
        return 0;
    case SERVER_REFUSED:
        return 1;
    case SERVER_LOST:
        break;
    }
    return -1;
}

static int take_stop(const struct server_rows *rows, struct session_stop *stop)
{
    if (rows->row_count != 1 || server_cell(rows, 0, 0) == NULL || server_cell(rows, 0, 1) == NULL ||
        !lsn_parse(server_cell(rows, 0, 0), &stop->lsn)) {
        log_error("unexpected answer from the server to the end of the backup");
        return -1;
    }
    const char *map = server_cell(rows, 0, 2);
    stop->backup_label = string_copy(server_cell(rows, 0, 1));
    if (map != NULL && *map != '\0')
        stop->tablespace_map = string_copy(map);
    return stop->backup_label == NULL || (map != NULL && *map != '\0' && stop->tablespace_map == NULL) ? -1
                                                                                                       : 0;
}

/* A standby's clock may be hours after the commits that it replays. What it has replayed last bounds them,
 * but for those that stand a little out of order; nothing is known of it right after a start. */
static int read_replayed_time(struct server *server, int64_t *time)
{
    struct server_rows rows;
    int result = -1;

    if (ask(server,
            "SELECT " CLOCK_MICROSECONDS ", " MICROSECONDS("pg_catalog.pg_last_xact_replay_timestamp()"),
            &rows) != 0)
        return -1;
    if (rows.row_count == 1 && server_cell(&rows, 0, 0) != NULL) {
        const char *replayed = server_cell(&rows, 0, 1);
        int64_t now = strtoll(server_cell(&rows, 0, 0), NULL, 10);
        int64_t newest = replayed == NULL ? now : strtoll(replayed, NULL, 10);
        *time = newest + OUT_OF_ORDER_MICROSECONDS < now ? newest + OUT_OF_ORDER_MICROSECONDS
                : newest < now                           ? now
                                                         : newest;
        result = 0;
    } else
        log_error("unexpected answer from the server to the question for its clock");
    server_rows_free(&rows);
    return result;
}

static int finish_standby(struct server *server, struct session_stop *stop)
{
    struct session_control control;

    if (session_read_control(server, &control) != 0 || read_replayed_time(server, &stop->time) != 0)
        return -1;
    stop->timeline = control.minimum_recovery_timeline;
    return 0;
}

int session_stop_backup(struct server *server, const struct session_facts *facts, struct session_stop *stop)
{
    struct server_query query = {
        .sql = server_version(server) >= 150000
                   ? "SELECT lsn, labelfile, spcmapfile FROM pg_catalog.pg_backup_stop(false)"
                   : "SELECT lsn, labelfile, spcmapfile FROM pg_catalog.pg_stop_backup(false, false)",
        .timeout_seconds = STOP_SECONDS,
    };
    struct server_rows rows;

    memset(stop, 0, sizeof *stop);
    /* What is committed while the server ends the backup, or before we ask again, may be behind lsn. */
    if ((!facts->is_standby && ask_clock(server, &stop->covered_until) != 0) ||
        server_ask(server, &query, &rows) != SERVER_OK)
        return -1;
    stop->covered_until -= facts->is_standby ? 0 : OUT_OF_ORDER_MICROSECONDS;
    int result = take_stop(&rows, stop);
    server_rows_free(&rows);
    if (result == 0)
        result = facts->is_standby ? finish_standby(server, stop) : ask_clock(server, &stop->time);
    if (result != 0)
        session_stop_free(stop);
    return result;
}

void session_stop_free(struct session_stop *stop)
{
    if (stop == NULL)
        return;
    free(stop->backup_label);
    free(stop->tablespace_map);
    memset(stop, 0, sizeof *stop);
}

int session_insert_lsn(void *context, uint64_t *lsn)
{
    return ask_lsn(context, "SELECT pg_catalog.pg_current_wal_insert_lsn()", lsn);
}

int session_replay_lsn(void *context, uint64_t *lsn)
{
    /* A page reaches the disk only after pg_control has its LSN, which may be before its record is done. */
    return ask_lsn(context,
                   "SELECT GREATEST(pg_catalog.pg_last_wal_replay_lsn(),"
                   " (SELECT min_recovery_end_lsn FROM pg_catalog.pg_control_recovery()))",
                   lsn);
}

int session_switch_wal(struct server *server)
{
    return ask(server, "SELECT pg_catalog.pg_switch_wal()", NULL);
}

int session_read_control(struct server *server, struct session_control *control)
{
    static const char sql[] =
        "SELECT c.checkpoint_lsn, r.min_recovery_end_lsn, r.min_recovery_end_timeline"
        " FROM pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery() r";
    struct server_rows rows;
    int result = -1;

    if (ask(server, sql, &rows) != 0)
        return -1;
    if (rows.row_count == 1 && server_cell(&rows, 0, 0) != NULL && server_cell(&rows, 0, 1) != NULL &&
        server_cell(&rows, 0, 2) != NULL && lsn_parse(server_cell(&rows, 0, 0), &control->checkpoint_lsn) &&
        lsn_parse(server_cell(&rows, 0, 1), &control->minimum_recovery_lsn)) {
        control->minimum_recovery_timeline = (uint32_t)strtoul(server_cell(&rows, 0, 2), NULL, 10);
        result = 0;
    } else
        log_error("unexpected answer from the server to \"%s\"", sql);
    server_rows_free(&rows);
    return result;
}

int session_check(struct server *server, const struct session_facts *facts)
{
    bool is_standby;

    if (read_recovery(server, &is_standby) != 0)
        return -1;
    if (is_standby == facts->is_standby)
        return 0;
    log_error("the standby was promoted while the backup was taken");
    log_hint("Take another backup.");
    return -1;
}

int session_tablespaces(struct server *server, struct server_rows *rows)
{
    return ask(server, "SELECT oid, spcname FROM pg_catalog.pg_tablespace", rows);
}

int session_databases(struct server *server, struct server_rows *rows)
{
    return ask(server, "SELECT oid, datname FROM pg_catalog.pg_database ORDER BY oid", rows);
}

int session_configuration_files(struct server *server, unsigned major, struct server_rows *rows)
{
    /* Superusers only, unless it was granted; without it the three files of the settings have to do. */
    struct server_query query = {
        .sql =
            major >= 16
                ? "SELECT sourcefile FROM pg_catalog.pg_file_settings WHERE sourcefile IS NOT NULL"
                  " UNION SELECT file_name FROM pg_catalog.pg_hba_file_rules WHERE file_name IS NOT NULL"
                  " UNION SELECT file_name FROM pg_catalog.pg_ident_file_mappings WHERE file_name IS NOT NULL"
                : "SELECT DISTINCT sourcefile FROM pg_catalog.pg_file_settings WHERE sourcefile IS NOT NULL",
        .is_optional = true,
    };

    switch (server_ask(server, &query, rows)) {
    case SERVER_OK:
        return 0;
    case SERVER_REFUSED:
        *rows = (struct server_rows){0, 0, NULL};
        return 0;
    case SERVER_LOST:
        break;
    }
    return -1;
}

char *session_describe_archiver(struct server *server)
{
    struct server_query query = {
        .sql = "SELECT last_archived_wal, failed_count, last_failed_wal FROM pg_catalog.pg_stat_archiver",
        .timeout_seconds = 10,
        .is_optional = true,
    };
    struct server_rows rows;
    char *text = NULL;

    if (server_ask(server, &query, &rows) != SERVER_OK)
        return NULL;
    if (rows.row_count == 1) {
        const char *archived = server_cell(&rows, 0, 0), *count = server_cell(&rows, 0, 1),
                   *failed = server_cell(&rows, 0, 2);
        text = string_printf("last archived: %s; failures: %s%s%s", archived == NULL ? "none" : archived,
                             count == NULL ? "0" : count, failed == NULL ? "" : ", last at ",
                             failed == NULL ? "" : failed);
    }
    server_rows_free(&rows);
    return text;
}
