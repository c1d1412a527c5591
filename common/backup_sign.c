#include "backup_sign.h"

#include "document.h"
#include "timestamp.h"

#include <stdio.h>
#include <stdlib.h>

/* The first of them that is there tells: when it was stored, whatever clock its writer has. */
int sign_last(struct repository *repository, uint64_t system_identifier, const char *folder, int64_t *time)
{
    static const char *const files[] = {"heartbeat.json", "started.json"};
    int result = 0;

    *time = 0;
    for (size_t i = 0; i < sizeof files / sizeof files[0] && result == 0 && *time == 0; i++) {
        char *rest = string_printf("%s/%s", folder, files[i]);
        char *key = rest == NULL ? NULL : repository_system_key(repository, system_identifier, rest);
        result = key == NULL || store_time_of(repository->store, key, time) < 0 ? -1 : 0;
        free(key);
        free(rest);
    }
    return result;
}

int backup_last_sign(struct repository *repository, uint64_t system_identifier, const char *id, int64_t *time)
{
    char folder[BACKUP_ID_BYTES + 8];

    snprintf(folder, sizeof folder, "base/%s", id);
    return sign_last(repository, system_identifier, folder, time);
}

int backup_heartbeat_seal(const char *id, int64_t now, struct buffer *out)
{
    struct json *document = document_new("heartbeat");
    char time[TIMESTAMP_TEXT_BYTES];

    timestamp_format_iso_micros(now, time);
    json_set_string(document, "backup", id);
    json_set_string(document, "time", time);
    return document_seal(document, out);
}
