/* Many small reads of repositories, several at once: workers with connections of their own, since a store
 * belongs to one thread, and over a line of 30 ms the trailers of a log, one after the other, take minutes.
 * Layer 3. */
#ifndef WALFERRY_READERS_H
#define WALFERRY_READERS_H

#include "repository.h"

struct readers;
struct reader; /* one of the workers; NULL: the thread of the caller, with the caller's own connections */

struct readers_settings {
    struct store_limits limits; /* of the workers' connections */
    bool (*goes_on)(void);      /* asked by the caller's thread, item by item; NULL: always */
    bool is_mute;               /* as log_mute_thread, of the workers */
};
/* Starts and asks nothing yet. Connections stay open until readers_free. NULL after logging. */
struct readers *readers_new(const struct readers_settings *settings);
void readers_free(struct readers *readers); /* NULL-safe */

/* The worker's connection to the place that this one leads to, which must live as long as the readers. NULL
 * after logging. */
struct repository *reader_repository(struct reader *reader, struct repository *same);

/* work for each of the items (pointers), by as many workers as are worth it, few by the caller's thread: 0,
 * or -1: the rest is left out. 0, or -1 when not all was done: a failure, or it was not to go on. */
int readers_run(struct readers *readers, void *const *items, size_t count,
                int (*work)(struct reader *reader, void *item));

#endif
