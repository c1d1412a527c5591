/* The server's backup_label, given at the end of a backup. */
#ifndef WALFERRY_BACKUP_LABEL_H
#define WALFERRY_BACKUP_LABEL_H

#include <stdint.h>

/* Does it speak of the backup that was started there? A failover in between would show here. 0, or -1 after
 * logging. */
int backup_label_check(const char *text, uint64_t start_lsn, uint32_t timeline);

#endif
