/* Where a backup is restored to: the data directory, a directory for each tablespace, and one for the files
 * that were outside the data directory. Refuses every place where anything is that could be harmed. Nothing
 * is ever written outside of the places. */
#ifndef WALFERRY_RESTORE_PLACE_H
#define WALFERRY_RESTORE_PLACE_H

#include "common/backup.h"
#include "restore_former.h"
#include "restore_mapping.h"
#include "restore_sync.h"

/* The name of global/pg_control until everything else is on disk: a server cannot be started without it. */
#define RESTORE_CONTROL "global/pg_control"
#define RESTORE_CONTROL_TEMPORARY "global/pg_control.walferry"

struct restore_place {
    uint32_t oid; /* of the tablespace; 0: not a tablespace */
    char *path;   /* absolute, links resolved */
    char
        *location; /* a tablespace's path as it was given or recorded: what the link in pg_tblspc points to */
    int fd;        /* of the directory, from restore_places_make on; else -1 */
    /* what the backup has for it (restore_space.h) */
    uint64_t bytes;
    uint64_t files;
};

/* The data directory first, then the tablespaces, then, if has_external, the place of the external files. */
struct restore_places {
    struct restore_place *items;
    size_t count;
    bool has_external;
    bool is_delta;             /* what is there and right stays */
    struct restore_sync *sync; /* borrowed; NULL: nothing is synced */
};

/* Decides on the places and looks at all of them; makes nothing. external_directory NULL: <data
 * directory>.external. former: what is in the data directory already; unless it is nothing, its tablespaces
 * and the external files may be where they were. 0, or -1 after logging every reason to refuse. */
int restore_places_plan(const struct backup *backup, const char *data_directory,
                        const char *external_directory, struct mappings *mappings,
                        const struct former *former, struct restore_places *places);
void restore_places_free(struct restore_places *places); /* NULL-safe */

/* Makes those that do not exist, 0700, and opens all; the data directory and the tablespaces get that mode in
 * any case. Before anything is written, so that restore_sync_end hears of every failed write. 0, or -1 after
 * logging. */
int restore_places_make(struct restore_places *places);

/* The place where an entry of the index belongs, and the path in it ("" for a tablespace's own directory).
 * part: the name of the part that a file is in, NULL for a directory. NULL after logging: a tablespace's file
 * outside of it, or the other way round. */
const struct restore_place *restore_places_find(const struct restore_places *places, const char *part,
                                                const char *path, const char **rest);

/* Is it that of the external files? Their directories are not in the index. */
bool restore_place_is_external(const struct restore_places *places, const struct restore_place *place);
/* May there be a file of this name? Not if it would change how the restored server starts (rule 24). */
bool restore_name_is_allowed(const struct restore_places *places, const struct restore_place *place,
                             const char *rest);

/* Opens the directory in which path lies, following no link; with make, missing directories are made (0700).
 * *name: the last component, borrowed from path. A descriptor, or -1 with errno set and nothing logged. */
int restore_open_parent(const struct restore_place *place, const char *path, bool make, const char **name);

/* The directory in which the last file lay, kept open since the next one mostly lies there too. */
struct restore_parent {
    const struct restore_place *place; /* NULL: none is open */
    char *path;
    int fd;
    bool is_changed; /* by the caller: it is synced when it is left */
};
#define RESTORE_PARENT_CLOSED                                                                                \
    {                                                                                                        \
        NULL, NULL, -1, false                                                                                \
    }
/* A descriptor of the directory in which rest lies, in parent->fd; *name as above. 0, or -1 with errno set
 * and nothing logged. */
int restore_parent_enter(struct restore_parent *parent, const struct restore_places *places,
                         const struct restore_place *place, const char *rest, const char **name);
/* 0, or -1 with errno set: it could not be synced. */
int restore_parent_leave(struct restore_parent *parent, const struct restore_places *places);

/* Makes a directory of the index, whose parent is there, with this mode. The data directory and the
 * tablespaces become accessible to the group if "global" is. 0, or -1 after logging. */
int restore_make_directory(const struct restore_places *places, const char *path, unsigned mode);

/* Those that the manifest lists with a closing slash: empty, but a server's include_dir must exist. 0, or -1
 * after logging. */
int restore_make_external_directories(const struct restore_places *places, const struct backup *backup);

/* pg_tblspc/<oid> of every tablespace, on disk: with them, or by its marker, a restore that was interrupted
 * finds its own again. 0, or -1 after logging. */
int restore_places_link(const struct restore_places *places);

#endif
