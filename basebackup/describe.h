/* Fills in what a backup's manifest says of the server and of the backup's beginning. */
#ifndef WALFERRY_DESCRIBE_H
#define WALFERRY_DESCRIBE_H

#include "annotation.h"
#include "common/backup.h"
#include "common/pg_control.h"
#include "session.h"
#include "tree.h"

/* Identity, start, versions, sizes. 0, or -1 after logging. */
int describe_start(const struct session_facts *facts, const struct session_start *start,
                   const struct pg_control *control, struct backup *backup);

/* What the user says of it; both are copied. 0, or -1 after logging. */
int describe_wishes(const char *label, const struct annotations *annotations, struct backup *backup);

/* The tablespaces that were copied, with their names. 0, or -1 after logging. */
int describe_tablespaces(struct server *server, const struct tree *tree, struct backup *backup);

/* The databases that the server has now. 0, or -1 after logging. */
int describe_databases(struct server *server, struct backup *backup);

#endif
