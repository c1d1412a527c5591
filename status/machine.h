/* What this machine tells: WAL that waits for archive_command, and what came of the last runs. */
#ifndef WALFERRY_MACHINE_H
#define WALFERRY_MACHINE_H

#include "picture.h"

/* Fills lag, runs and what of them is not known, and why. In threads of its own, that are waited for a third
 * of [status] timeout at most: either may lie on storage that hangs. *pgdata_hangs: nobody should look into
 * it. 0, or -1 after logging (memory). */
int machine_ask(struct picture *picture, bool *pgdata_hangs);

#endif
