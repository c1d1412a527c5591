/* Is everything there that a backup consists of, in the right length? By listings and the manifest; its index
 * is read only where these differ, to say what is wrong. */
#ifndef WALFERRY_VERIFY_BACKUPS_H
#define WALFERRY_VERIFY_BACKUPS_H

#include "verify.h"

/* Reads the inventory and the manifests: what is no complete backup is told. 0, or -1 after logging. */
int verify_backups_load(struct verify *verify);
/* Looks at the selected ones. 0, or -1 after logging. */
int verify_backups(struct verify *verify);
void verify_backups_free(struct verify *verify);

#endif
