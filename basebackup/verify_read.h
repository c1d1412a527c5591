/* Reads every byte of backups and WAL, with several workers, and checks it as a restore and a recovery would.
 * How far it came stands in reports/. */
#ifndef WALFERRY_VERIFY_READ_H
#define WALFERRY_VERIFY_READ_H

#include "verify_plan.h"

/* Reads the units in their order, within the settings' limits; sets is_done of those that were read. 0; -1
 * after logging (without, when interrupt_requested): not all could be found out. */
int verify_read(struct verify *verify, struct verify_plan *plan);

#endif
