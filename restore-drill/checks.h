/* The user's own checks. */
#ifndef WALFERRY_CHECKS_H
#define WALFERRY_CHECKS_H

#include "drill.h"

/* Makes drill->checks of the configuration. 0, or -1 after logging which is malformed. */
int checks_open(struct drill *drill);
void checks_close(struct drill *drill);

/* Runs all of them, also when one fails. 0, or -1 after logging each that does not hold. */
int checks_run(struct drill *drill);

#endif
