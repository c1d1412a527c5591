#include "restore_sync.h"

#include "common/file.h"
#include "common/log.h"
#include "restore_place.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Since 5.8 the kernel remembers a failed write for the file system (735e4ae5ba28), not for the file alone.
 */
static bool kernel_tells(void)
{
    struct utsname name;
    unsigned major, minor;

    return uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
           (major > 5 || (major == 5 && minor >= 8));
}

void restore_sync_begin(struct restore_sync *sync, const struct restore_places *places)
{
    /* Others, as overlayfs, FUSE or NFS, hand on to somebody else, of whose failures syncfs does not hear, or
     * not for certain. */
    sync->each = !kernel_tells();
    for (size_t i = 0; i < places->count; i++)
        sync->each = sync->each || !file_is_on_own_device(places->items[i].fd);
}

int restore_sync_done(const struct restore_sync *sync, int fd)
{
    return sync != NULL && sync->each ? fsync(fd) : 0;
}

static bool is_synced_with_another(const struct restore_places *places, size_t place)
{
    struct stat status, other;

    for (size_t i = 0; i < place; i++)
        if (fstat(places->items[i].fd, &other) == 0 && fstat(places->items[place].fd, &status) == 0 &&
            other.st_dev == status.st_dev)
            return true;
    return false;
}

int restore_sync_end(const struct restore_sync *sync, const struct restore_places *places)
{
    bool whole = !sync->each;

    for (size_t i = 0; i < places->count; i++) {
        int fd = places->items[i].fd;
        if (whole && is_synced_with_another(places, i))
            continue;
        if ((whole ? syncfs(fd) : fsync(fd)) != 0) {
            log_error("could not write everything in \"%s\" to disk: %m", places->items[i].path);
            return -1;
        }
    }
    return 0;
}
