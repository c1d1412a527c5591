#include "restore_split.h"

#include "common/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int create_file(const struct restore_places *places, const struct restore_split *split)
{
    const char *name;
    int parent = restore_open_parent(split->place, split->rest,
                                     restore_place_is_external(places, split->place), &name);
    int fd =
        parent < 0 ? -1 : openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        log_error("could not create file \"%s/%s\": %m", split->place->path, split->rest);
    else
        close(fd);
    if (parent >= 0)
        close(parent);
    return fd < 0 ? -1 : 0;
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
    if (split->rest != NULL && is_possible(places, split) && create_file(places, split) == 0)
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
