/* What walferry itself needs must not lie where a delta restore removes what the backup does not have. */
#ifndef WALFERRY_RESTORE_APART_H
#define WALFERRY_RESTORE_APART_H

#include "common/config.h"
#include "restore_clean.h"

/* The configuration file, state_dir and repositories that are directories. The places need not be open. 0, or
 * -1 after logging. */
int restore_check_apart(const struct config *config, const struct clean_settings *settings);

#endif
