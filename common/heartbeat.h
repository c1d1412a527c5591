/* Tells every repository, every few minutes, that the backup, or dump, is still being made: heartbeat.json.
 */
#ifndef WALFERRY_HEARTBEAT_H
#define WALFERRY_HEARTBEAT_H

#include "targets.h"

struct heartbeat {
    struct targets *targets;
    int64_t next; /* monotonic */
};

/* targets: borrowed; their id is set. The first one is due after some minutes. */
void heartbeat_begin(struct heartbeat *heartbeat, struct targets *targets);
/* Writes it, if it is time. A repository that cannot be told gets a warning, no more. */
void heartbeat_tick(struct heartbeat *heartbeat);

#endif
