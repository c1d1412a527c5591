/* What lies in a repository and is of no use: it costs room, and loses nobody anything. */
#ifndef WALFERRY_VERIFY_ORPHANS_H
#define WALFERRY_VERIFY_ORPHANS_H

#include "verify.h"

/* Objects without a backup's names, temporary files, multipart uploads that nobody goes on with, and further
 * versions of what is written once. The inventory is loaded. 0, or -1 after logging. */
int verify_orphans(struct verify *verify);

#endif
