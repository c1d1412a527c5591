/* The marker of a restore that is at work: at the top of the data directory from its beginning to its end, so
 * that a later call knows that it may go on, for which system, and in which tablespaces' places. */
#ifndef WALFERRY_RESTORE_MARKER_H
#define WALFERRY_RESTORE_MARKER_H

#include "common/backup.h"

#include <stdbool.h>
#include <stdint.h>

#define RESTORE_MARKER "restore.walferry"

struct restore_places;

/* aside: where pg_wal of the former cluster goes next, or NULL. 0, or -1 after logging. */
int restore_marker_put(const struct restore_places *places, const struct backup *backup, const char *aside);
int restore_marker_remove(const struct restore_places *places); /* 0, or -1 after logging */

/* Is it what the writing of a marker that was cut short has left (file_replace)? That is nothing of
 * anybody's.
 */
bool restore_marker_is_leftover(const char *name);

/* The system that it names. 0; 1 if there is no marker; -1 after logging. */
int restore_marker_read_system(const char *data_directory, uint64_t *system_identifier);
/* Does it name this tablespace's directory? Between the removal of the former links and the making of the new
 * ones no link tells. */
bool restore_marker_has_place(const char *data_directory, const char *place);
/* Has pg_wal been moved aside, where that was to be done? */
bool restore_marker_is_past_wal(const char *data_directory);

#endif
