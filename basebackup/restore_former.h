/* What is in a data directory before something is restored into it: nothing, or, for --delta, a cluster that
 * is to be brought to the state of a backup, or what a restore left that was interrupted. */
#ifndef WALFERRY_RESTORE_FORMER_H
#define WALFERRY_RESTORE_FORMER_H

#include "common/backup.h"

#include <limits.h>

enum former_kind { FORMER_NOTHING, FORMER_CLUSTER, FORMER_HALF_DONE };

struct former {
    enum former_kind kind;
    uint64_t system_identifier; /* 0: nothing */
    const char *path;           /* of the data directory; borrowed */
};

/* Worth asking before anything is fetched. Without is_delta only nothing will do. 0, or -1 after logging why
 * nothing can be restored here. */
int former_look(const char *data_directory, bool is_delta, struct former *former);
/* Does it belong to the system that the backup is of? 0, or -1 after logging. */
int former_check_system(const struct former *former, const struct backup *backup);

/* Is what is in its pg_wal of the restore's own writing? Not if that was cut short while pg_wal of the former
 * cluster was still to be moved aside. */
bool former_has_written(const struct former *former);

/* Does a link in its pg_tblspc lead to this directory (absolute, without links), or did the restore that was
 * interrupted there use it? */
bool former_has_tablespace(const struct former *former, const char *directory);
/* Nobody else uses that directory, as far as can be seen: a copy of a data directory has links to the
 * original's tablespaces. 0, or -1 after logging. */
int former_check_tablespace(const char *data_directory, const char *directory);

struct restore_places;
/* Keeps other restores out of all places until the program ends (a file system that knows no locks is no
 * reason to refuse), and looks at them again. 0, or -1 after logging: one is at work in one of them, a server
 * has begun, or what was there, the former, is not what is there. */
int former_lock(const struct restore_places *places, const struct former *former);
/* Takes pg_control its name, and puts the marker. aside: where pg_wal goes next, or NULL. 0: no server can
 * start there any more, whatever comes. -1 after logging: all is as it was. */
int former_begin(const struct restore_places *places, const struct backup *backup, const char *aside);
/* Takes that back, as long as nothing else was changed. */
void former_give_back(const struct restore_places *places, const struct former *former);
/* The name of something in a directory; "" when it is empty (but for what a marker's writing may have left,
 * which restore_marker_put removes) or not there. 0, or -1 after logging. */
int restore_look_into(const char *path, char found[NAME_MAX + 1]);
void restore_hint_mount_point(const char *found, const char *hint);

#endif
