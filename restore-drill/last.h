/* What earlier drills that passed have found: of each check its value, out of the newest report that has it,
 * in whichever repository that lies. */
#ifndef WALFERRY_LAST_H
#define WALFERRY_LAST_H

#include "drill.h"

/* Fills in "last" of the checks that need it, as far as it is known. 0, or -1 after logging: the repository
 * that was restored from could not be asked. Another one that can't be is told of. */
int last_values(struct drill *drill);

#endif
