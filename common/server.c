#include "server.h"

#include "buffer.h"
#include "interrupt.h"
#include "log.h"
#include "timestamp.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_SECONDS 60
#define POLL_MILLISECONDS 200

struct server {
    PGconn *connection;
    pthread_mutex_t lock; /* one query at a time */
    bool is_lost;
};

/* libpq ends its messages with line ends, and some have several lines. */
static void one_line(const char *text, char *out, size_t out_bytes)
{
    size_t length = 0;

    for (; text != NULL && *text != '\0' && length + 1 < out_bytes; text++) {
        char c = *text == '\n' || *text == '\t' ? ' ' : *text;
        if (c == ' ' && (length == 0 || out[length - 1] == ' '))
            continue;
        out[length++] = c;
    }
    while (length > 0 && out[length - 1] == ' ')
        length--;
    out[length] = '\0';
}

static void log_notice(void *context, const char *message)
{
    char text[1024];

    (void)context;
    one_line(message, text, sizeof text);
    log_debug("server: %s", text);
}

static const char *find_setting(const PQconninfoOption *options, const char *keyword)
{
    for (; options != NULL && options->keyword != NULL; options++)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val;
    return NULL;
}

static bool is_given(const PQconninfoOption *options, const char *keyword)
{
    return find_setting(options, keyword) != NULL;
}

/* libpq's words may quote any part of it, and so may those of who fails to find a host that a password with
 * an '@' has become. */
static bool may_hold_password(const char *conninfo)
{
    return strcasestr(conninfo, "password") != NULL || strchr(conninfo, '@') != NULL;
}

static void log_malformed(const char *key, const char *conninfo, const char *problem)
{
    const char *where = strncmp(key, "--", 2) == 0 ? "" : " in section [cluster] of the configuration";
    char text[1024];

    one_line(problem, text, sizeof text);
    if (!may_hold_password(conninfo)) {
        log_error("%s%s is malformed: %s", key, where, text);
        return;
    }
    log_error("%s%s is malformed", key, where);
    log_hint(
        "Put values with blanks into single quotes, and write %%40 for @ and the like in the password of a "
        "URI. What libpq says of it is not shown, since it may quote the password.");
}

/* Caller frees with PQconninfoFree; NULL after logging. */
static PQconninfoOption *parse_conninfo(const char *key, const char *conninfo)
{
    char *problem = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &problem);
    const char *host = find_setting(options, "host");

    if (options == NULL) {
        log_malformed(key, conninfo, problem == NULL ? "out of memory" : problem);
    } else if (host != NULL && *host != '/' && *host != '@' && strchr(host, '@') != NULL) {
        log_malformed(key, conninfo, "");
        PQconninfoFree(options);
        options = NULL;
    }
    PQfreemem(problem);
    return options;
}

int server_check_conninfo(const char *key, const char *conninfo)
{
    PQconninfoOption *options = parse_conninfo(key, conninfo);

    PQconninfoFree(options);
    return options == NULL ? -1 : 0;
}

static PGconn *connect_with_defaults(const char *key, const char *conninfo)
{
    const char *keywords[6] = {NULL}, *values[6] = {NULL};
    PQconninfoOption *options = parse_conninfo(key, conninfo);
    size_t count = 0;

    if (options == NULL)
        return NULL;
#define ADD(keyword, value) (keywords[count] = (keyword), values[count] = (value), count++)
    ADD("dbname", conninfo); /* expanded */
    if (!is_given(options, "dbname") && getenv("PGDATABASE") == NULL)
        ADD("dbname", "postgres");
    if (!is_given(options, "connect_timeout") && getenv("PGCONNECT_TIMEOUT") == NULL)
        ADD("connect_timeout", "30");
    ADD("fallback_application_name", program_invocation_short_name);
    ADD("client_encoding", "SQL_ASCII"); /* paths and labels as they are, unconverted */
#undef ADD
    PQconninfoFree(options);
    PGconn *connection = PQconnectdbParams(keywords, values, 1);
    if (connection == NULL)
        log_out_of_memory();
    return connection;
}

int server_check_database(const char *key, const char *conninfo)
{
    PQconninfoOption *options = parse_conninfo(key, conninfo);
    const char *name = options == NULL ? NULL : find_setting(options, "dbname");
    int result = -1;

    if ((name != NULL && *name != '\0') ||
        (options != NULL && (is_given(options, "service") || getenv("PGSERVICE") != NULL ||
                             (name == NULL && getenv("PGDATABASE") != NULL))))
        result = 0;
    else if (options != NULL)
        log_error("%s names no database", key);
    if (options != NULL && result != 0)
        log_hint("Add dbname=NAME: without it libpq takes the database that has the user's name.");
    PQconninfoFree(options);
    return result;
}

/* name='value', in libpq's quotes. */
static int append_setting(struct buffer *out, const char *name, const char *value)
{
    int result = buffer_printf(out, "%s%s='", out->length == 0 ? "" : " ", name);

    for (; result == 0 && *value != '\0'; value++)
        result = buffer_printf(out, "%s%c", strchr("'\\", *value) != NULL ? "\\" : "", *value);
    return result == 0 ? buffer_append(out, "'", 1) : -1;
}

/* sslpassword and the like: there is no file that they could be in. */
static bool is_secret(const PQconninfoOption *option)
{
    return strchr(option->dispchar, '*') != NULL;
}

static int append_settings(struct buffer *out, const PQconninfoOption *options, bool has_passfile,
                           bool has_database)
{
    int result = 0;

    for (; result == 0 && options->keyword != NULL; options++) {
        bool is_password = strcmp(options->keyword, "password") == 0;
        if (options->val == NULL || is_password ||
            (has_database && strcmp(options->keyword, "dbname") == 0) ||
            (has_passfile && strcmp(options->keyword, "passfile") == 0))
            continue;
        if (is_secret(options)) {
            log_error("\"%s\" can't be handed to PostgreSQL's own programs without being seen by others",
                      options->keyword);
            log_hint(
                "Use a key without a passphrase that only this user can read, or another way to log in.");
            return -1;
        }
        result = append_setting(out, options->keyword, options->val);
    }
    return result;
}

/* So that a peer that is gone is noticed in minutes. No tcp_user_timeout: Linux counts the time in which a
 * server takes no more, while it is busy, against it. */
static int append_keepalives(struct buffer *out, const PQconninfoOption *options)
{
    static const char *const settings[][2] = {
        {"keepalives_idle", "60"}, {"keepalives_interval", "10"}, {"keepalives_count", "6"}};
    int result = 0;

    for (size_t i = 0; i < sizeof settings / sizeof *settings && result == 0; i++)
        if (!is_given(options, settings[i][0]))
            result = append_setting(out, settings[i][0], settings[i][1]);
    return result;
}

char *server_conninfo_for(const char *key, const char *conninfo, const char *database, const char *passfile)
{
    PQconninfoOption *options = parse_conninfo(key, conninfo);
    struct buffer text = BUFFER_EMPTY;
    char *copy = NULL;

    if (options != NULL && append_settings(&text, options, passfile != NULL, database != NULL) == 0 &&
        (passfile == NULL || append_setting(&text, "passfile", passfile) == 0) &&
        (database == NULL || append_setting(&text, "dbname", database) == 0) &&
        (is_given(options, "connect_timeout") || getenv("PGCONNECT_TIMEOUT") != NULL ||
         append_setting(&text, "connect_timeout", "30") == 0) &&
        append_keepalives(&text, options) == 0)
        copy = string_copy(buffer_string(&text));
    PQconninfoFree(options);
    buffer_free(&text);
    return copy;
}

int server_passfile_line(const char *key, const char *conninfo, char **line)
{
    PQconninfoOption *options = parse_conninfo(key, conninfo);
    struct buffer text = BUFFER_EMPTY;
    const char *password;
    int result = 0;

    *line = NULL;
    if (options == NULL)
        return -1;
    password = find_setting(options, "password");
    if (password == NULL)
        password = getenv("PGPASSWORD");
    if (password != NULL) {
        result = buffer_append_string(&text, "*:*:*:*:");
        for (; result == 0 && *password != '\0'; password++)
            result = buffer_printf(&text, "%s%c", strchr(":\\", *password) != NULL ? "\\" : "", *password);
        *line = result == 0 ? string_printf("%s\n", buffer_string(&text)) : NULL;
        result = *line == NULL ? -1 : 0;
    }
    PQconninfoFree(options);
    buffer_wipe(&text);
    return result;
}

/* Takes the connection; NULL after logging. key: as server_connect; NULL. */
static struct server *new_server(PGconn *connection, const char *key)
{
    struct server *server = connection == NULL ? NULL : calloc(1, sizeof *server);
    char text[1024];

    if (server == NULL) {
        PQfinish(connection);
        log_out_of_memory();
        return NULL;
    }
    pthread_mutex_init(&server->lock, NULL);
    server->connection = connection;
    if (PQstatus(connection) == CONNECTION_OK) {
        PQsetNoticeProcessor(connection, log_notice, NULL);
        return server;
    }
    one_line(PQerrorMessage(connection), text, sizeof text);
    log_error("could not connect to the server: %s", text);
    log_tell_kind("server");
    if (key != NULL)
        log_hint("The settings come from %s in section [cluster] of the configuration.", key);
    server_close(server);
    return NULL;
}

struct server *server_connect(const char *key, const char *conninfo)
{
    PGconn *connection = connect_with_defaults(key, conninfo);

    return connection == NULL ? NULL : new_server(connection, key);
}

struct server *server_connect_to(const struct server_place *place)
{
    const char *const keywords[] = {"host",
                                    "port",
                                    "user",
                                    "dbname",
                                    "options",
                                    "application_name",
                                    "sslmode",
                                    "client_encoding",
                                    "connect_timeout",
                                    NULL};
    const char *const values[] = {place->directory,
                                  place->port,
                                  place->user,
                                  place->database,
                                  place->options,
                                  place->application,
                                  "disable",
                                  "SQL_ASCII",
                                  "30",
                                  NULL};

    return new_server(PQconnectdbParams(keywords, values, 0), NULL);
}

void server_close(struct server *server)
{
    if (server == NULL)
        return;
    PQfinish(server->connection);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

int server_version(const struct server *server)
{
    return PQserverVersion(server->connection);
}

const char *server_cell(const struct server_rows *rows, size_t row, size_t column)
{
    return rows->cells[row * rows->column_count + column];
}

void server_rows_free(struct server_rows *rows)
{
    for (size_t i = 0; rows->cells != NULL && i < rows->row_count * rows->column_count; i++)
        free(rows->cells[i]);
    free(rows->cells);
    *rows = (struct server_rows){0, 0, NULL};
}

static enum server_result take_rows(const PGresult *result, struct server_rows *rows)
{
    struct server_rows taken = {(size_t)PQntuples(result), (size_t)PQnfields(result), NULL};

    taken.cells = calloc(taken.row_count * taken.column_count + 1, sizeof *taken.cells);
    if (taken.cells == NULL) {
        log_out_of_memory();
        return SERVER_LOST;
    }
    for (int row = 0; row < PQntuples(result); row++)
        for (int column = 0; column < PQnfields(result); column++) {
            if (PQgetisnull(result, row, column))
                continue;
            char *copy = strdup(PQgetvalue(result, row, column));
            taken.cells[(size_t)row * taken.column_count + (size_t)column] = copy;
            if (copy == NULL) {
                log_out_of_memory();
                server_rows_free(&taken);
                return SERVER_LOST;
            }
        }
    *rows = taken;
    return SERVER_OK;
}

static void log_refusal(const struct server_query *query, const PGresult *result)
{
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    char text[1024];

    one_line(message != NULL ? message : PQresultErrorMessage(result), text, sizeof text);
    if (query->refusal != NULL) {
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        snprintf(query->refusal->sqlstate, sizeof query->refusal->sqlstate, "%s",
                 sqlstate == NULL ? "" : sqlstate);
        one_line(text, query->refusal->message, sizeof query->refusal->message);
    }
    if (query->is_optional || query->refusal != NULL) {
        log_debug("the server refused \"%s\": %s", query->sql, text);
        return;
    }
    log_error("the server refused \"%s\": %s%s%s", query->sql, text, detail != NULL ? ": " : "",
              detail != NULL ? detail : "");
    log_tell_kind("server");
    if (hint != NULL)
        log_hint("%s", hint);
}

/* Asks the server to give up the query, so that it does not go on waiting for a checkpoint on our behalf. */
static void cancel(struct server *server)
{
    char text[256];
    PGcancel *handle = PQgetCancel(server->connection);

    if (handle != NULL && !PQcancel(handle, text, sizeof text))
        log_debug("could not cancel the query: %s", text);
    PQfreeCancel(handle);
}

static void log_loss(const char *message)
{
    char text[1024];

    one_line(message, text, sizeof text);
    log_error("the session with the server has ended: %s", text);
    log_tell_kind("server");
}

static bool is_fatal(const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

    return severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

/* Until a result can be taken without waiting. False after logging, or when interrupted. */
static bool wait_for_result(struct server *server, const struct server_query *query)
{
    unsigned seconds = query->timeout_seconds == 0 ? TIMEOUT_SECONDS : query->timeout_seconds;
    int64_t deadline = monotonic_now() + (int64_t)seconds * 1000000;

    while (PQisBusy(server->connection)) {
        struct pollfd wait = {PQsocket(server->connection), POLLIN, 0};
        if (interrupt_requested()) {
            cancel(server);
            return false;
        }
        if (query->tick != NULL)
            query->tick(query->context);
        if (monotonic_now() > deadline) {
            log_error("no answer from the server within %u seconds to \"%s\"", seconds, query->sql);
            log_tell_kind("server");
            cancel(server);
            return false;
        }
        if (poll(&wait, 1, POLL_MILLISECONDS) > 0 && !PQconsumeInput(server->connection)) {
            log_loss(PQerrorMessage(server->connection));
            return false;
        }
    }
    return true;
}

/* Of one result, of which single rows have one each; *rows is empty before the first. */
static enum server_result take_result(struct server *server, const struct server_query *query,
                                      const PGresult *result, struct server_rows *rows)
{
    switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        return rows->cells == NULL ? take_rows(result, rows) : SERVER_OK;
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_COPY_BOTH:
        log_error("\"%s\" copies, and gives no rows", query->sql);
        return SERVER_LOST;
    default:
        break;
    }
    if (is_fatal(result) || PQstatus(server->connection) == CONNECTION_BAD) {
        log_loss(PQresultErrorMessage(result));
        return SERVER_LOST;
    }
    log_refusal(query, result);
    return SERVER_REFUSED;
}

static enum server_result ask_locked(struct server *server, const struct server_query *query,
                                     struct server_rows *rows)
{
    enum server_result outcome = SERVER_LOST;
    struct server_rows taken = {0, 0, NULL};
    PGresult *result;

    if (!PQsendQueryParams(server->connection, query->sql, query->parameter_count, NULL, query->parameters,
                           NULL, NULL, 0)) {
        log_loss(PQerrorMessage(server->connection));
        return SERVER_LOST;
    }
    if (query->first_row_only)
        PQsetSingleRowMode(server->connection);
    do {
        if (!wait_for_result(server, query)) {
            outcome = SERVER_LOST;
            break;
        }
        result = PQgetResult(server->connection);
        if (result != NULL)
            outcome = take_result(server, query, result, &taken);
        PQclear(result);
    } while (result != NULL && outcome != SERVER_LOST);
    if (outcome == SERVER_OK && rows != NULL)
        *rows = taken;
    else
        server_rows_free(&taken);
    return outcome;
}

enum server_result server_ask(struct server *server, const struct server_query *query,
                              struct server_rows *rows)
{
    enum server_result result = SERVER_LOST;

    pthread_mutex_lock(&server->lock);
    if (!server->is_lost) /* the first to notice has logged it */
        result = ask_locked(server, query, rows);
    if (result == SERVER_LOST)
        server->is_lost = true;
    pthread_mutex_unlock(&server->lock);
    return result;
}
