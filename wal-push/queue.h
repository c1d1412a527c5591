/* How much WAL waits, and what is done when it is too much: [wal-push] queue_limit and on_full. */
#ifndef WALFERRY_QUEUE_H
#define WALFERRY_QUEUE_H

#include "source.h"

#include "common/config.h"
#include "common/state.h"

/* Does so much wait that this segment is to be let go of without another try, since the last one failed a
 * moment ago? Else a dead store would cost each segment the whole time limit, and the disk would fill all the
 * same. */
bool queue_skips_try(const struct config *config, const struct state *state, const struct source *source);

/* After a failure of a store, or without a try: the exit status, 1; or 0 when the segment was let go of,
 * durably marked as a gap. Logs how much waits when it is more than the limit. */
int queue_failed(const struct config *config, const struct state *state, const struct source *source,
                 bool was_tried);
/* After a success. */
void queue_went_on(const struct config *config, const struct state *state);

#endif
