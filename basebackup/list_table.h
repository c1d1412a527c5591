/* The backups of a repository as a table for people, and how it writes its cells. */
#ifndef WALFERRY_LIST_TABLE_H
#define WALFERRY_LIST_TABLE_H

#include "common/backup.h"

/* A row for each backup, below a row of titles; list->count is not 0. 0, or -1 after logging. */
int list_table_print(const struct backup_list *list);

/* Cells, also of other tables. */
#define LIST_CELL_BYTES 160
void list_format_duration(uint64_t seconds, char out[LIST_CELL_BYTES]);           /* "0:07", "1:02:03" */
void list_format_time(int64_t time, char out[LIST_CELL_BYTES]);                   /* "2026-11-20 14:29:59" */
void list_format_version(const struct backup *backup, char out[LIST_CELL_BYTES]); /* "15.18" */
/* Text may hold anything; a terminal gets nothing to obey. Cut where it is too long; "" for NULL. */
void list_format_text(const char *text, char out[LIST_CELL_BYTES]);

#endif
