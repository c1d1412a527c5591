#include "restore_split.h"

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A former one stays in a delta restore, for its pieces are compared one by one; it has the right size, and
 * no second name (restore_clean.h). A new one gets its size at once, so that an interrupted restore has it.
 */
static int create_file(const struct restore_places *places, const struct restore_split *split,
                       const struct index_entry *first)
{
    int flags = O_WRONLY | O_CREAT | (places->is_delta ? 0 : O_EXCL) | O_NOFOLLOW | O_CLOEXEC, fd = -1;
    struct restore_parent parent = RESTORE_PARENT_CLOSED;
    const char *name;
    int result = restore_parent_enter(&parent, places, split->place, split->rest, &name);

    if (result == 0) {
        fd = openat(parent.fd, name, flags, 0600);
        if (fd < 0 && places->is_delta && errno == EACCES && fchmodat(parent.fd, name, 0600, 0) == 0)
            fd = openat(parent.fd, name, flags, 0600);
        parent.is_changed = true;
        result = fd >= 0 && ftruncate(fd, (off_t)first->of) == 0 ? 0 : -1;
    }
    if (restore_parent_leave(&parent, places) != 0 || result != 0) {
        log_error("could not create file \"%s/%s\": %m", split->place->path, split->rest);
        result = -1;
    }
    if (fd >= 0)
        close(fd);
    return result;
}

/* Only what can be large comes in pieces. */
static bool is_possible(const struct restore_places *places, const struct restore_split *split)
{
    if (restore_name_is_allowed(places, split->place, split->rest) &&
        (split->place != places->items || strcmp(split->rest, RESTORE_CONTROL) != 0))
        return true;
    log_error("the backup's index has pieces of \"%s\", which a base backup does not hold", split->rest);
    return false;
}

static struct restore_split *split_new(const struct restore_places *places, const char *part,
                                       const struct index_entry *first)
{
    struct restore_split *split = calloc(1, sizeof *split);
    const char *rest;

    if (split == NULL) {
        log_out_of_memory();
        return NULL;
    }
    atomic_init(&split->bytes_left, first->of);
    atomic_init(&split->references, 1);
    split->place = restore_places_find(places, part, first->path, &rest);
    split->rest = split->place == NULL ? NULL : string_copy(rest);
    if (split->rest != NULL && is_possible(places, split) && create_file(places, split, first) == 0)
        return split;
    restore_split_release(split);
    return NULL;
}

struct restore_split *restore_split_for(struct restore_split **current, const struct restore_places *places,
                                        const char *part, const struct index_entry *piece)
{
    struct restore_split *split;

    if (index_entry_begins_file(piece))
        *current = split_new(places, part, piece);
    split = *current;
    if (split == NULL)
        return NULL;
    if (index_entry_ends_file(piece))
        *current = NULL; /* that reference is handed over */
    else
        atomic_fetch_add(&split->references, 1);
    return split;
}

void restore_split_release(struct restore_split *split)
{
    if (split == NULL || atomic_fetch_sub(&split->references, 1) != 1)
        return;
    free(split->rest);
    free(split);
}

bool restore_split_done(struct restore_split *split, uint64_t bytes)
{
    return atomic_fetch_sub(&split->bytes_left, bytes) == bytes;
}
