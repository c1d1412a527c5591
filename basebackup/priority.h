/* How much of the machine a backup asks for, beside the server that it reads. */
#ifndef WALFERRY_PRIORITY_H
#define WALFERRY_PRIORITY_H

#include "common/config.h"

/* For the whole process, before it has threads. Where the kernel refuses, a warning says so. */
void priority_set(enum config_priority priority);

#endif
