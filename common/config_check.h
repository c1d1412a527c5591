/* Checks what was read from the configuration file, and fills in what depends on it. For config.c alone.
 * Layer 1. */
#ifndef WALFERRY_CONFIG_CHECK_H
#define WALFERRY_CONFIG_CHECK_H

#include "config.h"
#include "config_keys.h"

/* repositories_seen: which keys each of the repositories has given. 0, or -1 after logging. */
int config_check(struct config *config, const struct config_seen *repositories_seen);

#endif
