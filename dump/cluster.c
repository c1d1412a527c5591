#include "cluster.h"

#include "common/buffer.h"
#include "common/log.h"
#include "common/server.h"

#include <stdlib.h>
#include <string.h>

#define OLDEST_VERSION 130000

/* One row of so many columns, none of them null. 0, or -1 after logging. */
static int ask_row(struct server *server, const char *sql, size_t columns, struct server_rows *rows)
{
    struct server_query query = {.sql = sql};
    bool good;

    if (server_ask(server, &query, rows) != SERVER_OK)
        return -1;
    good = rows->row_count == 1 && rows->column_count == columns;
    for (size_t i = 0; good && i < columns; i++)
        good = server_cell(rows, 0, i) != NULL;
    if (good)
        return 0;
    log_error("unexpected answer from the server to \"%s\"", sql);
    server_rows_free(rows);
    return -1;
}

static int read_system(struct server *server, struct cluster_facts *facts)
{
    static const char sql[] =
        "SELECT system_identifier, pg_catalog.pg_is_in_recovery(), pg_catalog.current_database(),"
        " pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')"
        " FROM pg_catalog.pg_control_system()";
    struct server_rows rows;

    if (ask_row(server, sql, 4, &rows) != 0)
        return -1;
    facts->system_identifier = (uint64_t)strtoll(server_cell(&rows, 0, 0), NULL, 10);
    facts->is_standby = strcmp(server_cell(&rows, 0, 1), "t") == 0;
    facts->session_database = string_copy(server_cell(&rows, 0, 2));
    facts->shows_passwords = strcmp(server_cell(&rows, 0, 3), "t") == 0;
    server_rows_free(&rows);
    return facts->session_database == NULL ? -1 : 0;
}

/* datconnlimit -2: its DROP was interrupted. */
static int read_databases(struct server *server, struct cluster_facts *facts)
{
    const struct server_query query = {
        .sql = "SELECT oid, datname, datistemplate, datallowconn AND datconnlimit <> -2"
               " FROM pg_catalog.pg_database ORDER BY oid"};
    struct server_rows rows;
    int result = 0;

    if (server_ask(server, &query, &rows) != SERVER_OK)
        return -1;
    facts->databases = calloc(rows.row_count + 1, sizeof *facts->databases);
    if (facts->databases == NULL)
        result = log_out_of_memory();
    for (size_t i = 0; i < rows.row_count && result == 0; i++) {
        struct cluster_database *database = &facts->databases[facts->database_count++];
        *database = (struct cluster_database){
            .oid = (uint32_t)strtoul(server_cell(&rows, i, 0), NULL, 10),
            .name = string_copy(server_cell(&rows, i, 1)),
            .is_template = strcmp(server_cell(&rows, i, 2), "t") == 0,
            .takes_sessions = strcmp(server_cell(&rows, i, 3), "t") == 0,
        };
        result = database->name == NULL ? -1 : 0;
    }
    server_rows_free(&rows);
    return result;
}

int cluster_facts_read(const char *conninfo, struct cluster_facts *facts)
{
    struct server *server = server_connect("conninfo", conninfo);
    int result = -1;

    *facts = (struct cluster_facts){0};
    if (server == NULL)
        return -1;
    facts->server_version = (uint32_t)server_version(server);
    if (facts->server_version < OLDEST_VERSION)
        log_error("the server is PostgreSQL %u; 13 or later is needed",
                  (unsigned)facts->server_version / 10000);
    else if (read_system(server, facts) == 0)
        result = read_databases(server, facts);
    server_close(server);
    return result;
}

void cluster_facts_free(struct cluster_facts *facts)
{
    for (size_t i = 0; i < facts->database_count; i++)
        free(facts->databases[i].name);
    free(facts->databases);
    free(facts->session_database);
    *facts = (struct cluster_facts){0};
}

#define MICROSECONDS(time)                                                                                   \
    "(pg_catalog.date_part('epoch', " time ") OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8"

static int ask_time(const char *conninfo, const char *sql, int64_t *time)
{
    struct server *server = server_connect("conninfo", conninfo);
    struct server_rows rows;
    int result = -1;

    if (server != NULL && ask_row(server, sql, 1, &rows) == 0) {
        *time = strtoll(server_cell(&rows, 0, 0), NULL, 10);
        server_rows_free(&rows);
        result = 0;
    }
    server_close(server);
    return result;
}

int cluster_clock(const char *conninfo, int64_t *time)
{
    return ask_time(conninfo, "SELECT " MICROSECONDS("pg_catalog.clock_timestamp()"), time);
}

/* A standby that has replayed no commit since it was started is beyond its last checkpoint at least. */
int cluster_committed(const char *conninfo, int64_t *time)
{
    return ask_time(
        conninfo,
        "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN " MICROSECONDS(
            "LEAST(pg_catalog.clock_timestamp(), COALESCE(pg_catalog.pg_last_xact_replay_timestamp(),"
            " (SELECT checkpoint_time FROM pg_catalog.pg_control_checkpoint())))") " ELSE " MICROSECONDS("pg_"
                                                                                                         "cat"
                                                                                                         "alo"
                                                                                                         "g."
                                                                                                         "clo"
                                                                                                         "ck_"
                                                                                                         "tim"
                                                                                                         "est"
                                                                                                         "amp"
                                                                                                         "()") " END",
        time);
}
