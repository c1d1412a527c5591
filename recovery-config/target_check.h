/* Can the target be reached from this directory? The repository knows: it has the backup's manifest, the
 * timelines, and what there is of WAL. */
#ifndef WALFERRY_TARGET_CHECK_H
#define WALFERRY_TARGET_CHECK_H

#include "data_directory.h"
#include "target.h"

#include "common/config.h"

/* Asks the repositories of the configuration, of which those that answer count, but only when there is
 * something to be checked: a target but the newest, the backup's end and a standby; a timeline by number; an
 * accepted end.
 *
 * 0 when the target can be reached as far as can be known; what can't be known is logged as a warning. A time
 * behind the last commit of an idle server becomes an LSN.
 * -1 after logging why it can't be reached and what can be done, or that no repository could be asked. */
int target_check(const struct config *config, const struct data_directory *directory, struct target *target);

#endif
