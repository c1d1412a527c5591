#include "restore_space.h"

#include "common/file.h"
#include "common/log.h"
#include "common/progress.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define BLOCK_BYTES 4096u /* of most file systems */

struct file_system {
    struct stat status;
    struct statvfs system;
};

void restore_space_add(struct restore_place *place, uint64_t bytes, bool is_sparse)
{
    place->files++;
    if (!is_sparse)
        place->bytes += (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

/* That on which a place lies, or will lie when it is made. */
static int find_file_system(const struct restore_place *place, struct file_system *found)
{
    char *path = string_copy(place->path);

    while (path != NULL && stat(path, &found->status) != 0 && path[1] != '\0') {
        char *parent = path_directory(path);
        free(path);
        path = parent;
    }
    int result = path != NULL && statvfs(path, &found->system) == 0 ? 0 : -1;
    if (result != 0)
        log_error("could not find out how much room there is for \"%s\": %m", place->path);
    free(path);
    return result;
}

/* The places from the first one on that lie on the same file system. */
struct sum {
    uint64_t bytes;
    uint64_t files;
    uint64_t freed;
};

static int add_place(const struct clean_settings *settings, const struct restore_place *place,
                     bool with_freed, struct sum *sum)
{
    uint64_t freed = 0;

    sum->bytes += place->bytes;
    sum->files += place->files;
    if (with_freed && !restore_place_is_external(settings->places, place) &&
        restore_measure(settings, place, &freed) != 0)
        return -1;
    sum->freed += freed;
    return 0;
}

static int sum_places(const struct clean_settings *settings, const struct file_system *systems, size_t first,
                      bool with_freed, struct sum *sum)
{
    *sum = (struct sum){0, 0, 0};
    for (size_t i = first; i < settings->places->count; i++)
        if (systems[i].status.st_dev == systems[first].status.st_dev &&
            add_place(settings, &settings->places->items[i], with_freed, sum) != 0)
            return -1;
    return 0;
}

static int check_file_system(const struct clean_settings *settings, const struct file_system *systems,
                             size_t first)
{
    const char *path = settings->places->items[first].path;
    const struct statvfs *system = &systems[first].system;
    uint64_t room = (uint64_t)system->f_bavail * system->f_frsize;
    char needed[32], there[32];
    struct sum sum;

    if (sum_places(settings, systems, first, false, &sum) != 0)
        return -1;
    /* Only then, since it takes as long as to look at each file. */
    if (settings->wanted != NULL && sum.bytes > room && sum_places(settings, systems, first, true, &sum) != 0)
        return -1;
    progress_format_bytes(sum.bytes, needed);
    progress_format_bytes(room + sum.freed, there);
    if (sum.bytes > room + sum.freed) {
        log_error("the restore needs %s on the file system of \"%s\", where %s are free", needed, path,
                  there);
        log_hint("Make room, or choose another place; --ignore-space goes on all the same, as it may where "
                 "the file system compresses.");
        return -1;
    }
    if (settings->wanted == NULL && system->f_files > 0 && sum.files > system->f_favail) {
        log_error("the restore needs %llu files on the file system of \"%s\", which has inodes for %llu more",
                  (unsigned long long)sum.files, path, (unsigned long long)system->f_favail);
        return -1;
    }
    return 0;
}

int restore_space_check(const struct clean_settings *settings)
{
    const struct restore_places *places = settings->places;
    struct file_system *systems = calloc(places->count, sizeof *systems);
    int result = systems == NULL ? log_out_of_memory() : 0;

    for (size_t i = 0; result == 0 && i < places->count; i++)
        result = find_file_system(&places->items[i], &systems[i]);
    for (size_t i = 0; result == 0 && i < places->count; i++) {
        bool is_first = true;
        for (size_t k = 0; k < i; k++)
            is_first = is_first && systems[k].status.st_dev != systems[i].status.st_dev;
        if (is_first)
            result = check_file_system(settings, systems, i);
    }
    free(systems);
    return result;
}
