/* Which servers run on this machine, seen from outside: their processes have their data directory as working
 * directory. */
#ifndef WALFERRY_RUNNING_SERVER_H
#define WALFERRY_RUNNING_SERVER_H

#include <stdint.h>

/* A process of PostgreSQL's whose data directory this is, or, whatever it is called, the one that its
 * postmaster.pid names and that works there; 0: none that could be seen. */
int64_t running_server_in(const char *data_directory);
/* One with a tablespace in this directory. */
int64_t running_server_with_tablespace(const char *directory);

#endif
