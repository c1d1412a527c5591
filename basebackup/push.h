/* Takes a base backup of a running server into the repositories. */
#ifndef WALFERRY_PUSH_H
#define WALFERRY_PUSH_H

#include "annotation.h"
#include "common/backup.h"
#include "common/result.h"

struct push_settings {
    const struct config *config;
    const char *repository; /* only this one; NULL: all of the configuration */
    const char *label;
    const struct annotations *annotations;
    bool fast_checkpoint;
    bool tolerates_page_errors; /* --page-errors=warn */
    bool includes_wal;          /* --wal=include */
    bool wants_progress;
    bool resumes; /* goes on from an interrupted backup, if there is one */
    unsigned jobs;
    uint64_t max_rate;     /* bytes of the data directory in a second; 0: no limit */
    struct result *result; /* told what was done, whatever the outcome */
};

/* id is set when 0 is returned: the backup is complete and durable in every required repository. -1 after
 * logging, or when interrupt_signal() tells why: no backup is visible in any repository that is not named as
 * complete, and the server is out of backup mode. */
int push_backup(const struct push_settings *settings, char id[BACKUP_ID_BYTES]);

#endif
