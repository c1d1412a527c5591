/* A sink with a thread behind it: bytes that are written into it are handed on to another sink by that
 * thread, in order and in blocks, while more of them come. So getting an object and working on it overlap.
 * Used by one thread at a time; takes at most 1 MiB. Layer 0. */
#ifndef WALFERRY_RELAY_H
#define WALFERRY_RELAY_H

#include "buffer.h"

struct relay;

/* Starts the thread. NULL after logging. */
struct relay *relay_new(void);
void relay_free(struct relay *relay); /* ends it; NULL-safe */

/* From here to relay_end bytes go to this sink. */
void relay_begin(struct relay *relay, const struct sink *to);
/* Its write fails, without logging, once that of the sink behind it has failed. */
struct sink relay_sink(struct relay *relay);
/* The way to a sink for whoever may have no relay: through it, begun by the first call until relay_end; to
 * itself if relay is NULL. */
struct sink relay_through(struct relay *relay, const struct sink *to);
/* Waits until the sink behind has got all. 0, also when nothing was begun, or for NULL; -1 if it failed: its
 * error is then this thread's last one. What is no longer than a block is handed on here, by this thread. */
int relay_end(struct relay *relay);

#endif
