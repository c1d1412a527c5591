#include "list_table.h"

#include "backup_json.h"
#include "common/log.h"
#include "common/progress.h"
#include "common/timestamp.h"
#include "common/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum column { ID, ENDED, TIMELINE, START, STOP, SIZE, STORED, DURATION, VERSION, LABEL, COLUMNS };

static const char *const titles[COLUMNS] = {"id",   "ended (UTC)", "timeline", "start LSN",  "stop LSN",
                                            "size", "stored",      "duration", "PostgreSQL", "label"};
static const bool is_right_aligned[COLUMNS] = {
    [TIMELINE] = true, [SIZE] = true, [STORED] = true, [DURATION] = true, [VERSION] = true};

struct row {
    char cells[COLUMNS][LIST_CELL_BYTES];
};

void list_format_duration(uint64_t seconds, char out[LIST_CELL_BYTES])
{
    if (seconds >= 3600)
        snprintf(out, LIST_CELL_BYTES, "%" PRIu64 ":%02u:%02u", seconds / 3600, (unsigned)(seconds / 60 % 60),
                 (unsigned)(seconds % 60));
    else
        snprintf(out, LIST_CELL_BYTES, "%" PRIu64 ":%02u", seconds / 60, (unsigned)(seconds % 60));
}

void list_format_text(const char *text, char out[LIST_CELL_BYTES])
{
    snprintf(out, LIST_CELL_BYTES, "%s", text == NULL ? "" : text);
    while (!utf8_is_valid(out, strlen(out))) /* cut in mid-character, or never UTF-8 */
        out[strlen(out) - 1] = '\0';
    for (char *next = out; *next != '\0'; next++)
        if ((unsigned char)*next < 0x20 || *next == 0x7F)
            *next = '?';
}

void list_format_time(int64_t time, char out[LIST_CELL_BYTES])
{
    timestamp_format_iso(time, out);
    out[strcspn(out, "T")] = ' ';
    out[strcspn(out, "Z")] = '\0';
}

void list_format_version(const struct backup *backup, char out[LIST_CELL_BYTES])
{
    if (backup->server_version >= 100000)
        snprintf(out, LIST_CELL_BYTES, "%u.%u", (unsigned)(backup->server_version / 10000),
                 (unsigned)(backup->server_version % 10000));
    else
        snprintf(out, LIST_CELL_BYTES, "%u", backup->postgresql_version);
}

static void fill_row(const struct backup *backup, struct row *row)
{
    memset(row, 0, sizeof *row);
    snprintf(row->cells[ID], LIST_CELL_BYTES, "%s", backup->id);
    list_format_time(backup->stop_time, row->cells[ENDED]);
    snprintf(row->cells[TIMELINE], LIST_CELL_BYTES, "%u", (unsigned)backup->timeline);
    lsn_format(backup->start_lsn, row->cells[START]);
    lsn_format(backup->stop_lsn, row->cells[STOP]);
    progress_format_bytes(backup->plain_bytes, row->cells[SIZE]);
    progress_format_bytes(backup->stored_bytes, row->cells[STORED]);
    list_format_duration(backup_duration_seconds(backup), row->cells[DURATION]);
    list_format_version(backup, row->cells[VERSION]);
    list_format_text(backup->label, row->cells[LABEL]);
}

static void print_row(const char *const cells[COLUMNS], const int widths[COLUMNS])
{
    for (int i = 0; i < COLUMNS; i++)
        if (i == COLUMNS - 1)
            printf("%s", cells[i]); /* no blanks at the end of the line */
        else
            printf("%*s  ", is_right_aligned[i] ? widths[i] : -widths[i], cells[i]);
    putchar('\n');
}

int list_table_print(const struct backup_list *list)
{
    struct row *rows = calloc(list->count, sizeof *rows);
    const char *cells[COLUMNS];
    int widths[COLUMNS];

    if (rows == NULL)
        return log_out_of_memory();
    for (int i = 0; i < COLUMNS; i++)
        widths[i] = (int)strlen(titles[i]);
    for (size_t k = 0; k < list->count; k++) {
        fill_row(&list->backups[k], &rows[k]);
        for (int i = 0; i < COLUMNS; i++)
            if ((int)strlen(rows[k].cells[i]) > widths[i])
                widths[i] = (int)strlen(rows[k].cells[i]);
    }
    print_row(titles, widths);
    for (size_t k = 0; k < list->count; k++) {
        for (int i = 0; i < COLUMNS; i++)
            cells[i] = rows[k].cells[i];
        print_row(cells, widths);
    }
    free(rows);
    return 0;
}
