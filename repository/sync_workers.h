/* Copies objects with several workers, each with connections of its own. */
#ifndef WALFERRY_SYNC_WORKERS_H
#define WALFERRY_SYNC_WORKERS_H

#include "sync.h"
#include "sync_copy.h"

/* NULL after logging. */
struct sync_workers *sync_workers_start(struct sync *sync);

/* Hands an object over; key and part (which may be NULL) are the workers' from then on. Without workers (a
 * dry run) it is only counted. 0, or -1: stop. */
int sync_workers_copy(struct sync *sync, enum copy_kind kind, char *key, uint64_t bytes,
                      struct backup_part *part);
/* Could one not be read, or not be stored, since the last wait? */
bool sync_workers_have_failed(struct sync *sync);
/* Until all that was handed over is done. Adds what was copied and what could not be to *sync. 0, or -1:
 * stop. */
int sync_workers_wait(struct sync *sync);
/* NULL-safe. */
void sync_workers_stop(struct sync_workers *workers);

/* Something that was not copied, and was logged just now by this thread. */
void sync_problem(struct sync *sync, const char *object);
/* The same, where it could not be found out: that may be the object's own (its permissions, its storage
 * class, a bad sector), or a store's. 0: the object's, go on; -1 after logging: a store does not answer, or
 * interrupt_requested. */
int sync_failure(struct sync *sync, const char *object);

#endif
