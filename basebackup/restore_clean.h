/* Removes from the places of a restore what the backup does not have, before the rest comes. Never outside of
 * them: links are removed, not followed, and in a tablespace only the directory of this version of PostgreSQL
 * is looked at. */
#ifndef WALFERRY_RESTORE_CLEAN_H
#define WALFERRY_RESTORE_CLEAN_H

#include "path_set.h"
#include "restore_place.h"

/* PG_<major>_<catalog version>: the directory in a tablespace that belongs to one version of PostgreSQL. */
#define VERSION_DIRECTORY_BYTES 32

struct clean_settings {
    const struct restore_places *places;
    struct path_set *wanted;
    char version_directory[VERSION_DIRECTORY_BYTES];
};

/* Nobody else uses a tablespace that it would empty, as far as can be seen. The places are open. 0, or -1
 * after logging. */
int restore_clean_check(const struct restore_places *places);

/* What is left afterwards: directories that the backup has, and regular files of a name and size that it has,
 * under no second name, that belong to the caller. The marker stays. 0, or -1 after logging (without, when
 * interrupt_requested). */
int restore_clean(const struct clean_settings *settings);

/* How many bytes of the disk that would look at, in a place that need not be open. 0, or -1 after logging. */
int restore_measure(const struct clean_settings *settings, const struct restore_place *place,
                    uint64_t *bytes);

#endif
