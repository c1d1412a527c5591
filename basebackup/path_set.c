#include "path_set.h"

#include "common/digest.h"
#include "common/file.h"
#include "common/log.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct path_set {
    int fd; /* places of SHA256_BYTES each; all zero: free */
    uint64_t places;
    pthread_mutex_t lock;
};

struct path_set *path_set_new(const char *directory, uint64_t most)
{
    struct path_set *set = calloc(1, sizeof *set);

    if (set == NULL) {
        log_out_of_memory();
        return NULL;
    }
    pthread_mutex_init(&set->lock, NULL);
    set->places = 2 * most + 1; /* at most half of them are taken */
    set->fd = file_open_unnamed(directory);
    if (set->fd >= 0 && ftruncate(set->fd, (off_t)(set->places * SHA256_BYTES)) == 0)
        return set;
    if (set->fd >= 0)
        log_error("could not make a temporary file: %m");
    path_set_free(set);
    return NULL;
}

void path_set_free(struct path_set *set)
{
    if (set == NULL)
        return;
    if (set->fd >= 0)
        close(set->fd);
    pthread_mutex_destroy(&set->lock);
    free(set);
}

/* *place: where it is, or belongs. 1: it is there; 0: it is not; -1 after logging. */
static int look_up(const struct path_set *set, const unsigned char hash[SHA256_BYTES], uint64_t *place)
{
    static const unsigned char nothing[SHA256_BYTES];
    unsigned char found[SHA256_BYTES];

    memcpy(place, hash, sizeof *place);
    for (uint64_t tries = 0; tries < set->places; tries++) {
        *place = (*place + (tries > 0)) % set->places;
        if (file_pread_fully(set->fd, found, sizeof found, *place * SHA256_BYTES) != 0) {
            log_error("could not read a temporary file: %m");
            return -1;
        }
        if (memcmp(found, nothing, sizeof found) == 0)
            return 0;
        if (memcmp(found, hash, sizeof found) == 0)
            return 1;
    }
    log_error("internal error: more paths than were expected");
    return -1;
}

static int add_hash(struct path_set *set, const unsigned char hash[SHA256_BYTES])
{
    uint64_t place;
    int known = look_up(set, hash, &place);

    if (known != 0)
        return known < 0 ? -1 : 0;
    if (pwrite(set->fd, hash, SHA256_BYTES, (off_t)(place * SHA256_BYTES)) == SHA256_BYTES)
        return 0;
    log_error("could not write a temporary file: %m");
    return -1;
}

int path_set_add(struct path_set *set, const char *path)
{
    unsigned char hash[SHA256_BYTES];

    if (sha256_of(path, strlen(path), hash) != 0)
        return -1;
    pthread_mutex_lock(&set->lock);
    int result = add_hash(set, hash);
    pthread_mutex_unlock(&set->lock);
    return result;
}

int path_set_has(const struct path_set *set, const char *path)
{
    unsigned char hash[SHA256_BYTES];
    uint64_t place;

    return sha256_of(path, strlen(path), hash) == 0 ? look_up(set, hash, &place) : -1;
}
