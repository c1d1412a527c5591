#include "backup_label.h"

#include "common/log.h"
#include "common/wal.h"

#include <stdio.h>
#include <string.h>

int backup_label_check(const char *text, uint64_t start_lsn, uint32_t timeline)
{
    static const char word[] = "START WAL LOCATION: ";
    char lsn[24] = "", timeline_line[64];
    uint64_t start;
    const char *line = strstr(text, word);

    if (line != NULL)
        snprintf(lsn, sizeof lsn, "%.*s", (int)strcspn(line + strlen(word), " \n"), line + strlen(word));
    snprintf(timeline_line, sizeof timeline_line, "START TIMELINE: %u\n", (unsigned)timeline);
    /* As numbers: since 19 LSNs are written with leading zeros. */
    if (lsn_parse(lsn, &start) && start == start_lsn && strstr(text, timeline_line) != NULL)
        return 0;
    lsn_format(start_lsn, lsn);
    log_error("the server's backup_label is not of this backup, which began at %s on timeline %u", lsn,
              (unsigned)timeline);
    return -1;
}
