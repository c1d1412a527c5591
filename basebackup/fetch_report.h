/* What basebackup-fetch --json says of a restore. */
#ifndef WALFERRY_FETCH_REPORT_H
#define WALFERRY_FETCH_REPORT_H

#include "common/result.h"
#include "restore.h"

/* What is restored, and where. */
void fetch_report_begin(struct result *result, const struct repository *repository,
                        const struct backup *backup, const struct restore_places *places);
/* It is done. */
void fetch_report_end(struct result *result, const struct restore_outcome *outcome);

#endif
