/* Files that the server is configured by but that lie outside its data directory, as on Debian (rule 30):
 * without them a restored directory cannot be started on a bare machine. Keys and certificates are not among
 * them. */
#ifndef WALFERRY_EXTERNAL_H
#define WALFERRY_EXTERNAL_H

#include "session.h"
#include "ship.h"

struct external {
    char **paths; /* absolute, each once, in byte order; a directory (of include_dir) ends with a slash */
    size_t count;
};

/* Asks the server, and looks into the files for included ones. data_directory: absolute.
 * A file that cannot be read is left out with a warning. 0, or -1 after logging. */
int external_find(struct server *server, const struct session_facts *facts, const char *data_directory,
                  struct external *external);
void external_free(struct external *external); /* NULL-safe */

/* Ships them; those that vanished meanwhile are removed from the list. 0, or -1 after logging. */
int external_ship(struct external *external, struct ship *ship, struct part_series *series);

#endif
