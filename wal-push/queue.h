/* How much WAL waits, and what is done when it is too much: [wal-push] queue_limit and on_full. */
#ifndef WALFERRY_QUEUE_H
#define WALFERRY_QUEUE_H

#include "shipper.h"
#include "source.h"

/* When so much waits that this segment is to be let go of if it cannot be stored: the repositories that could
 * not be used a moment ago are left out. Else a dead one would cost each segment the whole time limit, and
 * the disk would fill all the same; the others get theirs. */
void queue_leave_out(const struct source *source, struct shipper *shipper);

/* After a failure of a store: the exit status, 1; or 0 when the segment was let go of, durably marked as a
 * gap. Logs how much waits when it is more than the limit. */
int queue_failed(const struct source *source, const struct shipper *shipper);
/* After a success. */
void queue_went_on(const struct shipper *shipper);

#endif
