/* How far archiving is behind on this machine. */
#ifndef WALFERRY_LAG_H
#define WALFERRY_LAG_H

#include "picture.h"

/* pgdata: NULL when it is not configured. Where it is, and can't be looked into, unknown says why, else it is
 * left as it is. */
void lag_find(const char *pgdata, struct picture_lag *lag, char *unknown, size_t size);

#endif
