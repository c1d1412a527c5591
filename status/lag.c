#include "lag.h"

#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READY ".ready"

static bool is_ready_file(const char *name)
{
    size_t length = strlen(name);

    return length > strlen(READY) && strcmp(name + length - strlen(READY), READY) == 0;
}

/* One that is archived in this moment is none any more. */
static void take_file(int directory, const char *name, struct picture_lag *lag)
{
    struct stat status;
    char file[256 + 4];
    size_t length = strlen(name) - strlen(READY);

    if (fstatat(directory, name, &status, 0) != 0)
        return;
    int64_t since = (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000;
    lag->segments++;
    if (lag->oldest == 0 || since < lag->oldest)
        lag->oldest = since;
    if (length + 4 > sizeof file)
        return;
    memcpy(file, "../", 3); /* archive_status lies in pg_wal */
    memcpy(file + 3, name, length);
    file[3 + length] = '\0';
    if (fstatat(directory, file, &status, 0) == 0)
        lag->bytes += (uint64_t)status.st_size;
}

static void take_directory(DIR *directory, struct picture_lag *lag)
{
    const struct dirent *entry;

    lag->is_known = true;
    while ((entry = readdir(directory)) != NULL)
        if (is_ready_file(entry->d_name))
            take_file(dirfd(directory), entry->d_name, lag);
}

void lag_find(const char *pgdata, struct picture_lag *lag, char *unknown, size_t size)
{
    *lag = (struct picture_lag){.is_known = false};
    char *path = pgdata == NULL ? NULL : path_join(pgdata, "pg_wal/archive_status");

    if (path == NULL)
        return;
    DIR *directory = opendir(path);
    if (directory != NULL) {
        take_directory(directory, lag);
        closedir(directory);
    } else {
        snprintf(unknown, size, "could not open directory \"%s\": %s", path, strerror(errno));
    }
    free(path);
}
