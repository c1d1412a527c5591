#include "scan.h"

#include "common/file.h"
#include "common/log.h"
#include "common/server.h"

#include <stdlib.h>
#include <string.h>

#define FINDINGS_MOST 20 /* of pg_amcheck's lines that are told */

/* Shared catalogs with the first database only. Nothing here opens a relation: of one that can't be, others
 * are still to be read. */
#define RELATIONS(more)                                                                                      \
    "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relpersistence, c.oid"                       \
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"                   \
    " WHERE c.relkind IN ('r', 't', 'm', 'S') AND c.relpersistence <> 't' AND c.relispopulated" more         \
    " ORDER BY c.oid"

/* A library is not there, or wants to be loaded with the server. By the message: a relation's own file that
 * is missing has the same SQLSTATE. */
static bool needs_library(const struct server_refusal *refusal)
{
    return strncmp(refusal->message, "could not access file \"", 23) == 0 ||
           strncmp(refusal->message, "could not load library \"", 24) == 0 ||
           strstr(refusal->message, "shared_preload_libraries") != NULL;
}

static void note_missing(struct drill *drill, const char *database, const char *relation,
                         const struct server_refusal *refusal)
{
    drill->facts.missing_count++;
    buffer_printf(&drill->facts.missing, "%s in database %s: %s\n", relation, database, refusal->message);
}

static void count_in(struct drill *drill, struct server_rows *rows)
{
    const char *pages = rows->row_count == 1 ? server_cell(rows, 0, 1) : NULL;

    drill->facts.relations++;
    drill->facts.pages += pages == NULL ? 0 : strtoull(pages, NULL, 10);
    server_rows_free(rows);
}

/* ONLY: its children are read by themselves, and one that is a foreign table would reach out. 0, or -1 after
 * logging. */
static int scan_one(struct drill *drill, struct server *server, const char *database, const char *relation,
                    const char *oid)
{
    struct server_refusal refusal = {.sqlstate = ""};
    struct server_query query = {.timeout_seconds = drill_seconds_left(drill), .refusal = &refusal};
    char *sql = string_printf("SELECT pg_catalog.count(*), pg_catalog.pg_relation_size(%s)"
                              " / pg_catalog.current_setting('block_size')::pg_catalog.int8 FROM ONLY %s",
                              oid, relation);
    enum server_result result = SERVER_LOST;
    struct server_rows rows;

    query.sql = sql;
    if (sql != NULL)
        result = server_ask(server, &query, &rows);
    free(sql);
    if (result == SERVER_OK) {
        count_in(drill, &rows);
        return 0;
    }
    if (result == SERVER_REFUSED && needs_library(&refusal)) {
        note_missing(drill, database, relation, &refusal);
        return 0;
    }
    if (result == SERVER_REFUSED)
        log_error("%s in database \"%s\" can't be read: %s", relation, database, refusal.message);
    else if (drill->look.look(drill->look.context) == 0)
        log_error("%s in database \"%s\" could not be read", relation, database);
    return -1;
}

static int prepare(struct server *server)
{
    static const char *const settings[] = {"SET enable_indexscan = off", "SET enable_indexonlyscan = off",
                                           "SET enable_bitmapscan = off", "SET statement_timeout = 0",
                                           "SET row_security = off"};

    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct server_query query = {.sql = settings[i]};
        if (server_ask(server, &query, NULL) != SERVER_OK)
            return -1;
    }
    return 0;
}

static int scan_all(struct drill *drill, struct server *server, const char *database)
{
    struct server_query query = {.sql = drill->facts.databases == 0 ? RELATIONS("")
                                                                    : RELATIONS(" AND NOT c.relisshared"),
                                 .timeout_seconds = drill_seconds_left(drill)};
    struct server_rows rows;
    int result = 0;

    if (prepare(server) != 0 || server_ask(server, &query, &rows) != SERVER_OK)
        return -1;
    for (size_t i = 0; i < rows.row_count && result == 0; i++) {
        if (strcmp(server_cell(&rows, i, 1), "u") == 0) {
            drill->facts.unlogged++;
            continue;
        }
        result = drill->look.look(drill->look.context) != 0
                     ? -1
                     : scan_one(drill, server, database, server_cell(&rows, i, 0), server_cell(&rows, i, 2));
    }
    server_rows_free(&rows);
    return result;
}

static int scan_database(struct drill *drill, const char *database)
{
    struct server *server = drill_connect(drill, database);
    int result = server == NULL ? -1 : scan_all(drill, server, database);

    server_close(server);
    if (result == 0)
        drill->facts.databases++;
    return result;
}

int scan_relations(struct drill *drill, const struct databases *databases)
{
    int result = 0;

    for (size_t i = 0; i < databases->rows.row_count && result == 0; i++)
        result = scan_database(drill, databases_name(databases, i));
    return result;
}

static void tell_findings(char *text)
{
    unsigned told = 0;

    for (char *line = text == NULL ? NULL : strtok(text, "\n"); line != NULL && told < FINDINGS_MOST;
         line = strtok(NULL, "\n")) {
        log_info("pg_amcheck: %s", line);
        told++;
    }
}

/* It makes its extension, so its sessions may write. 0, or -1 after logging. */
static int set_options(const struct drill *drill)
{
    char *options = postgres_session_options(&drill->postgres, true, drill_until(drill));
    int result = options == NULL ? -1 : setenv("PGOPTIONS", options, 1);

    free(options);
    return result;
}

int scan_with_amcheck(struct drill *drill, const struct databases *databases)
{
    char *path = path_join(drill->postgres.bin, "pg_amcheck");
    char *user = string_printf("--username=%s", drill->config->drill.user);
    char *host = string_printf("--host=%s", drill->scratch.path);
    char *first = string_printf("--maintenance-db=%s", databases_name(databases, 0));
    char *words[] = {path,  "--all", "--install-missing",     "--no-password",
                     first, host,    "--port=" POSTGRES_PORT, user,
                     NULL};
    struct buffer output = BUFFER_EMPTY;
    int status = path == NULL || user == NULL || host == NULL || first == NULL || set_options(drill) != 0
                     ? -1
                     : child_run(words, ENVIRONMENT_CLEAN_BUT_S3, &drill->look, &output);

    unsetenv("PGOPTIONS");
    if (status > 0) {
        tell_findings((char *)output.data);
        log_error("pg_amcheck ended with status %d", status);
    }
    buffer_free(&output);
    free(path);
    free(user);
    free(host);
    free(first);
    return status == 0 ? 0 : -1;
}
