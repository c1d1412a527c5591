/* What ends a backup, in the last main part: backup_label, PostgreSQL's backup_manifest of all that went
 * before and, very last, global/pg_control. */
#ifndef WALFERRY_LAST_PART_H
#define WALFERRY_LAST_PART_H

#include "copy.h"
#include "data_directory.h"

struct last_part {
    struct copy *copy;
    struct part_series *series;
    struct catalog *catalog;
    size_t lane; /* whose lines backup_manifest is written from */
    const struct backup *backup;
    const char *backup_label;
    const struct data_directory *directory; /* its pg_control is kept */
    const char *spool_directory;            /* for an unnamed file; NULL: $TMPDIR or /tmp */
};

/* Everything else has been shipped. 0: the part is durable in every target that lives; or -1 after logging.
 */
int last_part_ship(const struct last_part *last);

#endif
