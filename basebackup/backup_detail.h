/* One backup in detail: basebackup-list --backup ID. */
#ifndef WALFERRY_BACKUP_DETAIL_H
#define WALFERRY_BACKUP_DETAIL_H

#include "common/backup.h"

/* What is in it: times, sizes, tablespaces and databases with their sizes, wrong pages. Printed for people,
 * or as one JSON document. 0, or -1 after logging. */
int backup_detail_print(struct repository *repository, const struct backup *backup, bool as_json);

/* Its files, in constant memory: "BYTES  PART  PATH" a line, or one JSON document. A file that lies in
 * pieces has a line for each. 0, or -1 after logging. */
int backup_files_print(struct repository *repository, const struct backup *backup, bool as_json);

#endif
