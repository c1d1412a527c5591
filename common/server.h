/* One session with a PostgreSQL server. The only user of libpq. Thread-safe: queries of several threads wait
 * for each other. Layer 0. */
#ifndef WALFERRY_SERVER_H
#define WALFERRY_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct server;

/* Is it well formed? Nothing is connected to. key: its name in the configuration. 0, or -1 after logging. */
int server_check_conninfo(const char *key, const char *conninfo);

/* conninfo: as libpq reads it; the database postgres and a connect timeout of 30 seconds where it says
 * nothing else. key: its name in the configuration. NULL after logging. */
struct server *server_connect(const char *key, const char *conninfo);

/* Does it lead to a database that somebody has named: dbname, a service, or $PGDATABASE? key, conninfo: as in
 * server_connect. 0, or -1 after logging. */
int server_check_database(const char *key, const char *conninfo);

/* What a program of PostgreSQL's is told, so that it gets to the server of conninfo (as libpq reads it), into
 * this database (NULL: that of conninfo): without a password, which others could see. passfile: the path of a
 * file that has it, NULL for none. key as in server_connect. Caller frees. NULL after logging. */
char *server_conninfo_for(const char *key, const char *conninfo, const char *database, const char *passfile);
/* The password in conninfo, else $PGPASSWORD, as a line of a password file; caller wipes and frees. *line
 * NULL: there is none. 0, or -1 after logging. */
int server_passfile_line(const char *key, const char *conninfo, char **line);

/* A server of our own: its socket, and what libpq is told; nothing of that comes from the environment, but
 * for what is not told here. options: "-c NAME=VALUE ...", which beat what a role or a database has set. */
struct server_place {
    const char *directory, *port, *user, *database, *options;
    const char *application;
};
/* NULL after logging. */
struct server *server_connect_to(const struct server_place *place);
void server_close(struct server *server); /* NULL-safe; the server ends backup mode when the session ends */

int server_version(const struct server *server); /* 150018 */

/* What the server answered instead of rows. */
struct server_refusal {
    char sqlstate[6];
    char message[512]; /* one line */
};

struct server_query {
    const char *sql;
    const char *const *parameters; /* texts for $1, $2, ...; NULL if there are none */
    int parameter_count;
    unsigned timeout_seconds;    /* 0: a minute */
    bool first_row_only;         /* the others are read and dropped: rows has one at most */
    bool is_optional;            /* an error that the server answers is logged at debug level only */
    void (*tick)(void *context); /* several times a second while it is waited for; may be NULL */
    void *context;
    struct server_refusal *refusal; /* receives an error that the server answers, as with is_optional; NULL */
};

/* Texts of the answer, row by row; NULL: an SQL null. */
struct server_rows {
    size_t row_count;
    size_t column_count;
    char **cells;
};
const char *server_cell(const struct server_rows *rows, size_t row, size_t column);
void server_rows_free(struct server_rows *rows);

enum server_result {
    SERVER_OK = 0,
    SERVER_REFUSED, /* logged: the server answered with an error; the session lives */
    SERVER_LOST,    /* logged, except after interrupt_requested(): no answer; the session is of no more use */
};

/* Asks and waits. *rows is set only when SERVER_OK; may be NULL. */
enum server_result server_ask(struct server *server, const struct server_query *query,
                              struct server_rows *rows);

#endif
