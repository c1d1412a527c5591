/* What recovery-config tells: the settings on standard output, the way on as messages. */
#ifndef WALFERRY_REPORT_H
#define WALFERRY_REPORT_H

#include "data_directory.h"
#include "settings.h"
#include "target.h"

/* --dry-run: what would be written. settings: as they would be. 0, or -1 after logging. */
int report_dry_run(const struct data_directory *directory, const struct settings *settings,
                   enum server_mode mode);

/* --show: the settings in force and the signal files; warns of what is left over from an earlier recovery. */
int report_show(const struct data_directory *directory, const struct settings *settings);

/* After all is written: how to go on. */
void report_written(const struct data_directory *directory, const struct target *target,
                    const struct settings *settings);

/* --accept-end, before anything is written: what it gives up. */
void report_accepted_end(const struct target *target);

#endif
