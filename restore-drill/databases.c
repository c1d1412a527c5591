#include "databases.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>

struct server *databases_connect(const struct drill *drill)
{
    static const char *const usual[] = {"postgres", "template1"};
    const size_t usual_count = sizeof usual / sizeof *usual, count = usual_count + drill->check_count;
    struct server *server = NULL;

    /* Any of them may have been dropped or closed. */
    for (size_t i = 0; i < count && server == NULL; i++) {
        bool was_muted = log_mute_thread(i + 1 < count);
        server =
            drill_connect(drill, i < usual_count ? usual[i] : drill->checks[i - usual_count].parts.database);
        log_mute_thread(was_muted);
    }
    return server;
}

/* One that was being dropped when the server crashed has the limit -2, and takes none. */
int databases_list(struct drill *drill, struct databases *databases)
{
    struct server_query query = {
        .sql = "SELECT datname FROM pg_catalog.pg_database"
               " WHERE datallowconn AND datconnlimit OPERATOR(pg_catalog.<>) -2 ORDER BY oid"};
    struct server_query count = {.sql = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_database"};
    struct server *server = databases_connect(drill);
    struct server_rows all;
    int result = -1;

    *databases = (struct databases){{0, 0, NULL}};
    if (server != NULL && server_ask(server, &query, &databases->rows) == SERVER_OK &&
        server_ask(server, &count, &all) == SERVER_OK) {
        drill->facts.closed_databases =
            strtoull(server_cell(&all, 0, 0), NULL, 10) - (uint64_t)databases->rows.row_count;
        server_rows_free(&all);
        result = 0;
    }
    server_close(server);
    return result;
}

const char *databases_name(const struct databases *databases, size_t i)
{
    return server_cell(&databases->rows, i, 0);
}

void databases_free(struct databases *databases)
{
    server_rows_free(&databases->rows);
}

/* The statements that one query gives are run one by one. How many; -1 after logging. */
static int64_t run_each(struct server *server, const char *sql)
{
    struct server_query query = {.sql = sql};
    struct server_rows statements;
    int64_t done = 0;

    if (server_ask(server, &query, &statements) != SERVER_OK)
        return -1;
    for (size_t i = 0; i < statements.row_count && done >= 0; i++) {
        query.sql = server_cell(&statements, i, 0);
        done = server_ask(server, &query, NULL) == SERVER_OK ? done + 1 : -1;
    }
    server_rows_free(&statements);
    return done;
}

static int clear(struct drill *drill, const char *database)
{
    struct server *server = drill_connect_to_write(drill, database);
    int64_t rolled_back, disabled = 0;

    if (server == NULL)
        return -1;
    rolled_back = run_each(server, "SELECT pg_catalog.format('ROLLBACK PREPARED %L', gid)"
                                   " FROM pg_catalog.pg_prepared_xacts"
                                   " WHERE database OPERATOR(pg_catalog.=) pg_catalog.current_database()");
    if (rolled_back >= 0 && drill->postgres.major < 17)
        disabled = run_each(server, "SELECT pg_catalog.format('ALTER EVENT TRIGGER %I DISABLE', evtname)"
                                    " FROM pg_catalog.pg_event_trigger");
    server_close(server);
    drill->facts.prepared += rolled_back < 0 ? 0 : (uint64_t)rolled_back;
    return rolled_back < 0 || disabled < 0 ? -1 : 0;
}

int databases_clear(struct drill *drill, const struct databases *databases)
{
    int result = 0;

    for (size_t i = 0; i < databases->rows.row_count && result == 0; i++)
        result = drill->look.look(drill->look.context) != 0 ? -1 : clear(drill, databases_name(databases, i));
    return result;
}
