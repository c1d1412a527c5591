#include "backup_part.h"

#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What lies between two files that are to be fetched is fetched with them if it is not more than this, or
 * than this part of what is wanted before: a request has its price, too. */
#define GAP_BYTES (64u * 1024)
#define GAP_SHARE 4u

/* Parts */

bool backup_part_name_parse(const char *name, size_t *series, uint64_t *number)
{
    const char *dash = strchr(name, '-');
    char *end;

    if (dash == NULL || strspn(dash + 1, "0123456789") < 8 || strlen(dash + 1) > 10)
        return false;
    *series = (size_t)(dash - name);
    *number = strtoull(dash + 1, &end, 10);
    bool is_oid = *series > 0 && strspn(name, "0123456789") == *series;
    return *end == '\0' && (is_oid || strncmp(name, "main-", *series + 1) == 0 ||
                            strncmp(name, "external-", *series + 1) == 0);
}

bool backup_part_follows(struct backup_part_run *run, const char *name, size_t series, uint64_t number)
{
    if (series >= sizeof run->series)
        return false;
    if (strlen(run->series) != series || strncmp(run->series, name, series) != 0) {
        snprintf(run->series, sizeof run->series, "%.*s", (int)series, name);
        run->number = 0;
    }
    bool follows = number == run->number + 1;
    run->number = number;
    return follows;
}

struct backup_part *backup_part_new(const struct index_entry *entry)
{
    struct backup_part *part = calloc(1, sizeof *part);

    if (part == NULL) {
        log_out_of_memory();
        return NULL;
    }
    part->bytes = entry->bytes;
    part->codec = entry->codec;
    part->name = string_copy(entry->path);
    if (part->name == NULL) {
        free(part);
        return NULL;
    }
    return part;
}

int backup_part_add(struct backup_part *part, const struct index_entry *file)
{
    char *path = string_copy(file->path);

    if (path == NULL)
        return -1;
    if (part->count == part->capacity) {
        size_t capacity = part->capacity == 0 ? 64 : 2 * part->capacity;
        struct index_entry *files = realloc(part->files, capacity * sizeof *files);
        if (files != NULL)
            part->files = files;
        bool *left_out = realloc(part->left_out, capacity * sizeof *left_out);
        if (left_out != NULL)
            part->left_out = left_out;
        if (files == NULL || left_out == NULL) {
            free(path);
            return log_out_of_memory();
        }
        part->capacity = capacity;
    }
    part->left_out[part->count] = false;
    part->files[part->count] = *file;
    part->files[part->count++].path = path;
    return 0;
}

void backup_part_free(struct backup_part *part)
{
    if (part == NULL)
        return;
    for (size_t i = 0; i < part->count; i++)
        index_entry_free(&part->files[i]);
    if (part->attached != NULL)
        part->detach(part->attached);
    free(part->files);
    free(part->left_out);
    free(part->name);
    free(part);
}

/* Ranges */

static size_t next_wanted(const struct backup_part *part, size_t file)
{
    while (file < part->count && part->left_out[file])
        file++;
    return file;
}

bool backup_part_range(const struct backup_part *part, size_t first, struct part_range *range)
{
    uint64_t wanted = 0;
    size_t next = next_wanted(part, first);

    if (next == part->count)
        return false;
    *range = (struct part_range){part->files[next].offset, 0, next, next};
    while (next < part->count) {
        const struct index_entry *file = &part->files[next];
        uint64_t gap = next == range->first || file->offset < range->end ? 0 : file->offset - range->end;
        if (gap > GAP_BYTES && gap > wanted / GAP_SHARE)
            break;
        wanted += file->stored;
        range->end = file->offset + file->stored;
        range->last = next + 1;
        next = next_wanted(part, next + 1);
    }
    if (range->first == 0 && range->last == part->count) { /* directory members, too */
        range->offset = 0;
        range->end = part->bytes;
    }
    return true;
}

struct part_range backup_part_whole(const struct backup_part *part)
{
    return (struct part_range){0, part->bytes, 0, part->count};
}
