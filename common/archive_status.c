#include "archive_status.h"

#include "buffer.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int archive_status_has(const char *pg_wal, const char *name, const char *suffix)
{
    char *path = string_printf("%s/archive_status/%s%s", pg_wal, name, suffix);
    int result = -1;

    if (path == NULL)
        return -1;
    if (access(path, F_OK) == 0)
        result = 1;
    else if (errno == ENOENT || errno == ENOTDIR)
        result = 0;
    else
        log_error("could not access file \"%s\": %m", path);
    free(path);
    return result;
}

bool archive_status_waits(const char *pg_wal, const char *name)
{
    return archive_status_has(pg_wal, name, ".ready") == 1;
}
