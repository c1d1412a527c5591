/* What of a data directory does not belong into a backup, by name. Pure.
 * Source: PostgreSQL basebackup.c (excludeFiles, excludeDirContents, sendDir), reinit.c and file_utils.c of
 * 13 to 18. It excludes more than the documentation lists, and looks for these names at any depth. */
#ifndef WALFERRY_EXCLUDE_H
#define WALFERRY_EXCLUDE_H

#include <stdbool.h>
#include <stdint.h>

/* A file or directory that is left out altogether: postmaster.pid, pgsql_tmp*, pg_internal.init*, ...
 * directory: the path of the directory it lies in, relative to the data directory; "" for the top. */
bool exclude_name(const char *directory, const char *name);

/* A directory that is kept, empty: pg_notify, pg_replslot, ... */
bool exclude_contents(const char *name);

enum relation_fork { FORK_MAIN, FORK_FREE_SPACE_MAP, FORK_VISIBILITY_MAP, FORK_INIT };

/* 16384, 16384.1, 16384_fsm, 16384_vm.2, 16384_init */
struct relation_name {
    uint32_t number;
    enum relation_fork fork;
    uint32_t segment;
};
/* False for anything but the name of a permanent or unlogged relation's file. */
bool relation_name_parse(const char *name, struct relation_name *relation);

/* t3_16384, t3_16384_fsm.1: a temporary relation's. */
bool relation_name_is_temporary(const char *name);

#endif
