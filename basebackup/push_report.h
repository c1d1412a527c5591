/* What basebackup-push --json says of the backup. */
#ifndef WALFERRY_PUSH_REPORT_H
#define WALFERRY_PUSH_REPORT_H

#include "catalog.h"
#include "result.h"
#include "target.h"

/* After success and failure. is_stored: the manifest is in every target that lives; else what there is of the
 * backup is told, but it is no backup. */
void push_report(struct result *result, const struct backup *backup, const struct targets *targets,
                 bool is_stored);

#endif
