/* --database: only some databases' files come with their content. Those of the others are there with their
 * size, since recovery touches them, but are holes: PostgreSQL refuses to connect to such a database, and it
 * can be dropped. */
#ifndef WALFERRY_RESTORE_DATABASES_H
#define WALFERRY_RESTORE_DATABASES_H

#include "common/backup.h"

/* What a file PG_VERSION of such a database says, so that PostgreSQL's own message tells why. */
#define BLANK_VERSION "0-not-restored--drop-this-database\n"

struct database_choice {
    uint32_t *oids; /* owned: with content; in ascending order */
    size_t count;
    bool is_all; /* nothing was chosen */
};

/* names: none means all. Besides those named it is the system's own: template0, template1, postgres and what
 * initdb made. 0, or -1 after logging. */
int database_choice_make(const struct backup *backup, char *const *names, size_t name_count,
                         struct database_choice *choice);
void database_choice_free(struct database_choice *choice); /* NULL-safe */

/* Is it a file of a database that was not chosen? path as in the index, of the data directory or a
 * tablespace. */
bool database_choice_is_blank(const struct database_choice *choice, const char *path);

/* Says which databases are to be dropped. */
void database_choice_tell(const struct database_choice *choice, const struct backup *backup);

#endif
