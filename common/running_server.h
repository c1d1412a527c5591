/* Which servers run on this machine, seen from outside: their processes have their data directory as working
 * directory, and are attached to its shared memory. Layer 1. */
#ifndef WALFERRY_RUNNING_SERVER_H
#define WALFERRY_RUNNING_SERVER_H

#include <stdint.h>

/* How certain it is that none runs there. postmaster.pid may be what a crash has left, or that of a server in
 * another container or on another machine, whose processes are not seen here. */
enum running_server { RUNNING_SERVER_NONE, RUNNING_SERVER_FOUND, RUNNING_SERVER_UNKNOWN };

/* A server whose data directory this is. *pid: its process, as postmaster.pid names it if it is not seen
 * here; 0: none is named. RUNNING_SERVER_NONE: there is no postmaster.pid, or nothing of that server is left.
 */
enum running_server running_server_in(const char *data_directory, int64_t *pid);
/* The same by postmaster.pid alone: not of a server that somebody has removed it from. */
enum running_server running_server_named(const char *data_directory, int64_t *pid);
/* Logs that it can't be known, and what to do. */
void running_server_tell_unknown(const char *data_directory, int64_t pid);
/* The process of one with a tablespace in this directory; 0: none that could be seen. */
int64_t running_server_with_tablespace(const char *directory);

#endif
