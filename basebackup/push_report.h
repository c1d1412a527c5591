/* What basebackup-push --json says of the backup. */
#ifndef WALFERRY_PUSH_REPORT_H
#define WALFERRY_PUSH_REPORT_H

#include "catalog.h"
#include "common/result.h"
#include "common/targets.h"

/* After success and failure. catalog: of the complete backup, whose manifest is in every target that lives;
 * NULL: there is no backup, but wrong pages that were found are told. */
void push_report(struct result *result, const struct backup *backup, const struct targets *targets,
                 struct catalog *catalog);

#endif
