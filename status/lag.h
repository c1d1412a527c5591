/* How far archiving is behind on this machine. */
#ifndef WALFERRY_LAG_H
#define WALFERRY_LAG_H

#include "picture.h"

/* pgdata: NULL when it is not configured. Not known: there is no server here, or this user may not look. 0,
 * or -1 after logging that it could not be read. */
int lag_find(const char *pgdata, struct picture_lag *lag);

#endif
