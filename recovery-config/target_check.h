/* Can the target be reached from this directory? The repository knows: it has the backup's manifest and the
 * timelines. */
#ifndef WALFERRY_TARGET_CHECK_H
#define WALFERRY_TARGET_CHECK_H

#include "data_directory.h"
#include "target.h"

#include "common/config.h"

/* Asks the repositories (repository: only that one; NULL: all of the configuration, the first that answers
 * will do), but only when there is something to be checked: a time, an LSN, a timeline by number, an accepted
 * end.
 *
 * 0 when the target can be reached as far as can be known; what can't be known is logged as a warning.
 * -1 after logging why it can't be reached and what can be done, or that no repository could be asked. */
int target_check(const struct config *config, const char *repository, const struct data_directory *directory,
                 const struct target *target);

#endif
