#include "path_set.h"

#include "common/checksum.h"
#include "common/file.h"
#include "common/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEAST_SLOTS 4096u
#define PATH_BYTES 4096

/* A slot of zeros is free. */
struct slot {
    unsigned char checksum[CHECKSUM_BYTES];
};

/* Open addressing, at most half full. */
struct table {
    struct slot *slots; /* mapped */
    size_t count;       /* a power of two */
};

struct path_set {
    char *directory;
    struct table table;
    size_t used;
    pthread_mutex_t lock;
};

static const struct slot free_slot;

static int map_table(const char *directory, size_t count, struct table *table)
{
    size_t bytes = count * sizeof(struct slot);
    int fd = file_open_unnamed(directory);
    void *slots = MAP_FAILED;

    if (fd < 0)
        return -1;
    /* Room on the disk is taken now: a write to a mapped file that finds none is a SIGBUS. */
    int error = posix_fallocate(fd, 0, (off_t)bytes);
    if (error != 0)
        log_error("could not make room for a list of files in a temporary file: %s", strerror(error));
    else if ((slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED)
        log_error("could not map a temporary file: %m");
    close(fd);
    if (slots == MAP_FAILED)
        return -1;
    *table = (struct table){slots, count};
    return 0;
}

static void unmap_table(const struct table *table)
{
    if (table->slots != NULL)
        munmap(table->slots, table->count * sizeof(struct slot));
}

struct path_set *path_set_new(const char *directory)
{
    struct path_set *set = calloc(1, sizeof *set);

    if (set == NULL) {
        log_out_of_memory();
        return NULL;
    }
    pthread_mutex_init(&set->lock, NULL);
    if ((directory == NULL || (set->directory = string_copy(directory)) != NULL) &&
        map_table(directory, LEAST_SLOTS, &set->table) == 0)
        return set;
    path_set_free(set);
    return NULL;
}

void path_set_free(struct path_set *set)
{
    if (set == NULL)
        return;
    unmap_table(&set->table);
    pthread_mutex_destroy(&set->lock);
    free(set->directory);
    free(set);
}

/* The slot that holds this checksum, or the free one where it belongs. */
static struct slot *find(const struct table *table, const struct slot *wanted)
{
    size_t index;

    memcpy(&index, wanted->checksum, sizeof index);
    for (index &= table->count - 1;; index = (index + 1) & (table->count - 1))
        if (memcmp(&table->slots[index], wanted, sizeof *wanted) == 0 ||
            memcmp(&table->slots[index], &free_slot, sizeof free_slot) == 0)
            return &table->slots[index];
}

static int grow(struct path_set *set)
{
    struct table larger;

    if (map_table(set->directory, 2 * set->table.count, &larger) != 0)
        return -1;
    for (size_t i = 0; i < set->table.count; i++)
        if (memcmp(&set->table.slots[i], &free_slot, sizeof free_slot) != 0)
            *find(&larger, &set->table.slots[i]) = set->table.slots[i];
    unmap_table(&set->table);
    set->table = larger;
    return 0;
}

static struct slot make_slot(const char *path, uint64_t what)
{
    char key[sizeof what + PATH_BYTES];
    struct slot slot = {{0}};

    /* What lies in a directory may have a longer path than any file of a backup. */
    size_t length = strnlen(path, PATH_BYTES);
    memcpy(key, &what, sizeof what);
    memcpy(key + sizeof what, path, length);
    checksum_of(key, sizeof what + length, slot.checksum);
    return slot;
}

static int add_slot(struct path_set *set, const struct slot *slot, bool *is_new)
{
    struct slot *place = find(&set->table, slot);

    *is_new = memcmp(place, slot, sizeof *slot) != 0;
    if (!*is_new)
        return 0;
    if (2 * set->used >= set->table.count) {
        if (grow(set) != 0)
            return -1;
        place = find(&set->table, slot);
    }
    *place = *slot;
    set->used++;
    return 0;
}

int path_set_add(struct path_set *set, const char *path, uint64_t what, bool *is_new)
{
    struct slot slot = make_slot(path, what);
    bool ignored;

    pthread_mutex_lock(&set->lock);
    int result = add_slot(set, &slot, is_new == NULL ? &ignored : is_new);
    pthread_mutex_unlock(&set->lock);
    return result;
}

bool path_set_has(struct path_set *set, const char *path, uint64_t what)
{
    struct slot slot = make_slot(path, what);

    pthread_mutex_lock(&set->lock);
    bool has = memcmp(find(&set->table, &slot), &slot, sizeof slot) == 0;
    pthread_mutex_unlock(&set->lock);
    return has;
}
