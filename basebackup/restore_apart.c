#include "restore_apart.h"

#include "common/buffer.h"
#include "common/file.h"
#include "common/log.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* By what the directories are, not by their names, which may be those of links or mounts. */
static bool leads_through(const char *path, const struct stat *directory)
{
    char *above = string_copy(path);
    struct stat status;
    bool found = false;

    while (above != NULL && !found) {
        found = stat(above, &status) == 0 && status.st_dev == directory->st_dev &&
                status.st_ino == directory->st_ino;
        if (strcmp(above, "/") == 0)
            break;
        char *next = path_directory(above);
        free(above);
        above = next;
    }
    free(above);
    return found;
}

/* directory: of which all may be removed. */
static int check(const char *what, const char *path, const char *directory)
{
    struct stat status;
    char *resolved;

    if (stat(directory, &status) != 0)
        return 0;
    resolved = realpath(path, NULL);
    bool lies_inside = leads_through(path, &status) || (resolved != NULL && leads_through(resolved, &status));
    free(resolved);
    if (!lies_inside)
        return 0;
    log_error("%s \"%s\" lies in \"%s\", where it would be removed", what, path, directory);
    log_hint("Move it away, and tell the configuration (or --config) where it is.");
    return -1;
}

static int check_all(const struct config *config, const char *directory)
{
    int result = check("configuration file", config->path, directory);

    if (check("[cluster] state_dir", config->state_dir, directory) != 0)
        result = -1;
    for (size_t i = 0; i < config->repository_count; i++)
        if (config->repositories[i].kind == REPOSITORY_FILE &&
            check("repository", config->repositories[i].path, directory) != 0)
            result = -1;
    return result;
}

int restore_check_apart(const struct config *config, const struct clean_settings *settings)
{
    const struct restore_places *places = settings->places;
    int result = 0;

    for (size_t i = 0; i < places->count; i++) {
        const struct restore_place *place = &places->items[i];
        if (restore_place_is_external(places, place)) /* nothing is removed there */
            continue;
        char *directory =
            place->oid == 0 ? string_copy(place->path) : path_join(place->path, settings->version_directory);
        if (directory == NULL || check_all(config, directory) != 0)
            result = -1;
        free(directory);
    }
    return result;
}
