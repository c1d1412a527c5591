#include "restore_compare.h"

#include "common/file.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "file_hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
    const struct backup_part *part;
    const struct index_entry *entry;
    const struct restore_place *place;
    const char *rest; /* its path in the place */
    const char *name; /* in its directory, which the comparer has open */
};

static int could_not(const struct file *file, const char *verb)
{
    log_error("could not %s file \"%s/%s\": %m", verb, file->place->path, file->rest);
    return -1;
}

/* The file, or the piece of it. */
static bool is_right(const struct file *file, int fd, const struct stat *status)
{
    const struct index_entry *entry = file->entry;
    unsigned char sha256[SHA256_BYTES];

    return S_ISREG(status->st_mode) && status->st_nlink == 1 &&
           (uint64_t)status->st_size == (entry->of == 0 ? entry->bytes : entry->of) &&
           file_hash(fd, entry->at, entry->bytes, sha256) == 0 &&
           memcmp(sha256, entry->sha256, SHA256_BYTES) == 0;
}

/* 1; 0 if it can't be: then it is fetched; -1 with errno set. */
static int keep(const struct comparer *comparer, const struct file *file, int fd, const struct stat *status)
{
    struct restore_split *split = restore_part_split(file->part);
    unsigned mode = file->entry->mode & 0777;

    if (split != NULL && !restore_split_done(split, file->entry->bytes))
        return 1; /* the last piece to come sets the mode */
    if ((status->st_mode & 07777) != mode && fchmod(fd, mode) != 0)
        return split == NULL ? 0 : -1;
    return restore_sync_done(comparer->places->sync, fd) == 0 ? 1 : -1;
}

/* 1: it is there; 0: it is not, nor anything in its way; -1 after logging. */
static int compare(struct comparer *comparer, const struct file *file)
{
    int parent = comparer->parent.fd, result = 0;
    int fd = openat(parent, file->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status;

    comparer->parent.is_changed = true; /* or was, by a restore that was killed before it had synced it */
    if (fd >= 0 && fstat(fd, &status) == 0 && is_right(file, fd, &status))
        result = keep(comparer, file, fd, &status);
    if (result < 0)
        could_not(file, "set permissions of, or sync,");
    if (fd >= 0)
        close(fd);
    if (result != 0 || restore_part_split(file->part) != NULL) /* pieces are written where they belong */
        return result;
    if (unlinkat(parent, file->name, 0) != 0 && errno != ENOENT)
        return could_not(file, "remove");
    return 0;
}

/* A hole as long as the file, but PG_VERSION tells why nobody can connect. 0, or -1 after logging. */
static int make_blank(struct comparer *comparer, const struct file *file)
{
    const struct index_entry *entry = file->entry;
    int parent = comparer->parent.fd, result;

    comparer->parent.is_changed = true;
    if (comparer->places->is_delta && unlinkat(parent, file->name, 0) != 0 && errno != ENOENT)
        return could_not(file, "remove");
    int fd = openat(parent, file->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return could_not(file, "create");
    if (strcmp(file->name, "PG_VERSION") == 0)
        result = file_write_fully(fd, BLANK_VERSION, strlen(BLANK_VERSION));
    else
        result = ftruncate(fd, (off_t)(entry->of == 0 ? entry->bytes : entry->of));
    if (result != 0 || fchmod(fd, entry->mode & 0777) != 0 ||
        restore_sync_done(comparer->places->sync, fd) != 0)
        result = could_not(file, "write");
    close(fd);
    return result;
}

/* pg_control comes last and under another name, and what may not be there at all is for the unpacker to find.
 */
static bool is_always_fetched(const struct comparer *comparer, const struct file *file)
{
    return !restore_name_is_allowed(comparer->places, file->place, file->rest) ||
           (file->place == comparer->places->items && strcmp(file->rest, RESTORE_CONTROL) == 0);
}

static int take_file(struct comparer *comparer, struct backup_part *part, size_t index)
{
    struct file file = {.part = part, .entry = &part->files[index]};
    bool is_external = strncmp(part->name, "external-", strlen("external-")) == 0;
    bool is_blank = !is_external && database_choice_is_blank(comparer->choice, file.entry->path);
    int result;

    if (!is_blank && !comparer->places->is_delta)
        return 0;
    file.place = restore_places_find(comparer->places, part->name, file.entry->path, &file.rest);
    if (file.place == NULL)
        return -1;
    if (is_always_fetched(comparer, &file))
        return 0;
    if (restore_parent_enter(&comparer->parent, comparer->places, file.place, file.rest, &file.name) != 0)
        return could_not(&file, "find the directory of");
    if (is_blank) {
        part->left_out[index] = true;
        return index_entry_begins_file(file.entry) ? make_blank(comparer, &file) : 0;
    }
    result = compare(comparer, &file);
    if (result != 1)
        return result;
    part->left_out[index] = true;
    comparer->kept_files += index_entry_begins_file(file.entry) ? 1 : 0;
    comparer->kept_bytes += file.entry->bytes;
    if (comparer->progress != NULL)
        progress_add(comparer->progress, file.entry->bytes);
    return 0;
}

int compare_part(struct comparer *comparer, struct backup_part *part)
{
    int result = 0;

    if (comparer->choice->is_all && !comparer->places->is_delta)
        return 0;
    for (size_t i = 0; result == 0 && i < part->count; i++)
        result = interrupt_requested() ? -1 : take_file(comparer, part, i);
    if (restore_parent_leave(&comparer->parent, comparer->places) != 0 && result == 0) {
        log_error("could not write a directory of part \"%s\" to disk: %m", part->name);
        result = -1;
    }
    return result;
}
