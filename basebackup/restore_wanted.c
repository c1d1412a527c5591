#include "restore_wanted.h"

#include "common/checksum.h"
#include "common/file.h"
#include "common/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEAST_SLOTS 4096u
#define KEY_BYTES (4096 + 32) /* a path and a size */

/* A table with open addressing, at most half full. A slot of zeros is free. */
struct slot {
    unsigned char checksum[CHECKSUM_BYTES];
};

struct wanted {
    struct slot *slots; /* mapped */
    size_t slot_count;  /* a power of two */
    size_t used;
};

static struct slot *map_slots(size_t count)
{
    int fd = file_open_unnamed(NULL);
    void *slots = MAP_FAILED;

    if (fd < 0)
        return NULL;
    /* Room on the disk is taken now: a write to a mapped file that finds none is a SIGBUS. */
    int error = posix_fallocate(fd, 0, (off_t)(count * sizeof(struct slot)));
    if (error != 0)
        log_error("could not make room for the list of the backup's files in a temporary file: %s",
                  strerror(error));
    else if ((slots = mmap(NULL, count * sizeof(struct slot), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) ==
             MAP_FAILED)
        log_error("could not map a temporary file: %m");
    close(fd);
    return slots == MAP_FAILED ? NULL : slots;
}

struct wanted *wanted_new(void)
{
    struct wanted *wanted = calloc(1, sizeof *wanted);

    if (wanted == NULL) {
        log_out_of_memory();
        return NULL;
    }
    wanted->slots = map_slots(LEAST_SLOTS);
    wanted->slot_count = LEAST_SLOTS;
    if (wanted->slots != NULL)
        return wanted;
    free(wanted);
    return NULL;
}

void wanted_free(struct wanted *wanted)
{
    if (wanted == NULL)
        return;
    munmap(wanted->slots, wanted->slot_count * sizeof(struct slot));
    free(wanted);
}

/* The slot that holds this checksum, or the free one where it belongs. */
static struct slot *find(struct slot *slots, size_t count, const struct slot *wanted)
{
    static const struct slot free_slot;
    size_t index;

    memcpy(&index, wanted->checksum, sizeof index);
    for (index &= count - 1;; index = (index + 1) & (count - 1))
        if (memcmp(&slots[index], wanted, sizeof *wanted) == 0 ||
            memcmp(&slots[index], &free_slot, sizeof free_slot) == 0)
            return &slots[index];
}

static int grow(struct wanted *wanted)
{
    static const struct slot free_slot;
    size_t count = 2 * wanted->slot_count;
    struct slot *slots = map_slots(count);

    if (slots == NULL)
        return -1;
    for (size_t i = 0; i < wanted->slot_count; i++)
        if (memcmp(&wanted->slots[i], &free_slot, sizeof free_slot) != 0)
            *find(slots, count, &wanted->slots[i]) = wanted->slots[i];
    munmap(wanted->slots, wanted->slot_count * sizeof(struct slot));
    wanted->slots = slots;
    wanted->slot_count = count;
    return 0;
}

/* kind: "d" for a directory, a size for a file; a path holds no zero, which divides the two. */
static struct slot make_slot(const char *path, const char *kind)
{
    char key[KEY_BYTES];
    struct slot slot = {{0}};
    size_t length = (size_t)snprintf(key, sizeof key, "%s%c%s", path, '\0', kind);

    /* What lies in a directory may have a longer path than any file of a backup. */
    checksum_of(key, length < sizeof key ? length : sizeof key, slot.checksum);
    return slot;
}

static struct slot file_slot(const char *path, uint64_t bytes)
{
    char size[24];

    snprintf(size, sizeof size, "%llu", (unsigned long long)bytes);
    return make_slot(path, size);
}

static int add(struct wanted *wanted, struct slot slot)
{
    if (2 * wanted->used >= wanted->slot_count && grow(wanted) != 0)
        return -1;
    *find(wanted->slots, wanted->slot_count, &slot) = slot;
    wanted->used++;
    return 0;
}

static bool has(const struct wanted *wanted, struct slot slot)
{
    return memcmp(find(wanted->slots, wanted->slot_count, &slot), &slot, sizeof slot) == 0;
}

int wanted_add_file(struct wanted *wanted, const char *path, uint64_t bytes)
{
    return add(wanted, file_slot(path, bytes));
}

int wanted_add_directory(struct wanted *wanted, const char *path)
{
    return add(wanted, make_slot(path, "d"));
}

bool wanted_has_file(const struct wanted *wanted, const char *path, uint64_t bytes)
{
    return has(wanted, file_slot(path, bytes));
}

bool wanted_has_directory(const struct wanted *wanted, const char *path)
{
    return has(wanted, make_slot(path, "d"));
}
