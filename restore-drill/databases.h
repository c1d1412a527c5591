/* The databases of a drill's server, and what stands in the way of those who read them: locks of prepared
 * transactions, and event triggers that object to what pg_amcheck makes. */
#ifndef WALFERRY_DATABASES_H
#define WALFERRY_DATABASES_H

#include "drill.h"

#include "common/server.h"

/* Those that take sessions, in the order of their oids. */
struct databases {
    struct server_rows rows; /* owned; the name is the first cell */
};

/* Notes in the drill's facts how many take none. 0, or -1 after logging; databases_free in any case. */
int databases_list(struct drill *drill, struct databases *databases);
const char *databases_name(const struct databases *databases, size_t i);
void databases_free(struct databases *databases);

/* A session in whichever database takes one. NULL after logging. */
struct server *databases_connect(const struct drill *drill);

/* Rolls back what is prepared, which no commit has made visible, but which holds its locks; noted in the
 * drill's facts. And disables event triggers where the server has no setting that does (before 17). 0, or -1
 * after logging. */
int databases_clear(struct drill *drill, const struct databases *databases);

#endif
