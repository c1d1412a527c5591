#include "backup.h"

#include "timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void backup_init(struct backup *backup)
{
    memset(backup, 0, sizeof *backup);
}

void backup_free(struct backup *backup)
{
    if (backup == NULL)
        return;
    for (size_t i = 0; i < backup->tablespace_count; i++) {
        free(backup->tablespaces[i].name);
        free(backup->tablespaces[i].location);
    }
    free(backup->tablespaces);
    for (size_t i = 0; i < backup->database_count; i++)
        free(backup->databases[i].name);
    free(backup->databases);
    for (size_t i = 0; i < backup->external_count; i++)
        free(backup->external[i]);
    free(backup->external);
    for (size_t i = 0; i < backup->annotation_count; i++) {
        free(backup->annotations[i].key);
        free(backup->annotations[i].value);
    }
    free(backup->annotations);
    for (size_t i = 0; i < backup->page_error_list_count; i++)
        free(backup->page_error_list[i].file);
    free(backup->page_error_list);
    free(backup->label);
    free(backup->host);
    backup_init(backup);
}

/* Ids and keys */

void backup_id_make(int64_t start_time, uint32_t timeline, uint64_t start_lsn, char out[BACKUP_ID_BYTES])
{
    char time[TIMESTAMP_TEXT_BYTES];

    timestamp_format_compact(start_time, time);
    snprintf(out, BACKUP_ID_BYTES, "%.16s-%08X-%016llX", time, timeline, (unsigned long long)start_lsn);
}

bool backup_id_is_valid(const char *id)
{
    /* d: a decimal digit, h: an upper case hex digit, anything else: itself */
    static const char shape[] = "ddddddddTddddddZ-hhhhhhhh-hhhhhhhhhhhhhhhh";

    if (strlen(id) != sizeof shape - 1)
        return false;
    for (size_t i = 0; i < sizeof shape - 1; i++) {
        bool digit = id[i] >= '0' && id[i] <= '9';
        bool right = shape[i] == 'd'   ? digit
                     : shape[i] == 'h' ? digit || (id[i] >= 'A' && id[i] <= 'F')
                                       : id[i] == shape[i];
        if (!right)
            return false;
    }
    return true;
}

bool backup_id_parse(const char *id, int64_t *start_time, uint32_t *timeline, uint64_t *start_lsn)
{
    char text[TIMESTAMP_TEXT_BYTES];

    if (!backup_id_is_valid(id))
        return false;
    snprintf(text, sizeof text, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", id, id + 4, id + 6, id + 9, id + 11,
             id + 13);
    *timeline = (uint32_t)strtoul(id + 17, NULL, 16);
    *start_lsn = strtoull(id + 26, NULL, 16);
    return timestamp_parse(text, start_time) == TIMESTAMP_OK;
}

char *backup_key(const struct repository *repository, uint64_t system_identifier, const char *id,
                 const char *file)
{
    char *rest = string_printf("base/%s/%s", id, file);
    char *key = rest == NULL ? NULL : repository_system_key(repository, system_identifier, rest);

    free(rest);
    return key;
}
