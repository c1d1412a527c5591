#include "unchanged.h"

#include "common/crc32c.h"
#include "common/file.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "exclude.h"
#include "source_file.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct unchanged {
    const struct tree *tree;
    const struct page_check *pages;
    struct rate *rate;
    struct source_file *source;
    struct sha256 hash;
    unsigned char *buffer;
    uint64_t zero_pages;
    /* the file at work */
    int fd; /* -1: none */
    bool has_pages;
    uint32_t first_block;
};

struct unchanged *unchanged_new(const struct tree *tree, const struct page_check *pages, struct rate *rate)
{
    struct unchanged *unchanged = calloc(1, sizeof *unchanged);

    if (unchanged != NULL) {
        *unchanged = (struct unchanged){.tree = tree, .pages = pages, .rate = rate, .fd = -1};
        unchanged->buffer = malloc(SOURCE_WINDOW_BYTES);
    }
    if (unchanged == NULL || unchanged->buffer == NULL)
        log_out_of_memory();
    else if ((unchanged->source = source_file_new()) != NULL)
        return unchanged;
    unchanged_free(unchanged);
    return NULL;
}

void unchanged_reset(struct unchanged *unchanged)
{
    if (unchanged->fd >= 0)
        close(unchanged->fd);
    unchanged->fd = -1;
}

void unchanged_free(struct unchanged *unchanged)
{
    if (unchanged == NULL)
        return;
    unchanged_reset(unchanged);
    source_file_free(unchanged->source);
    sha256_free(&unchanged->hash);
    free(unchanged->buffer);
    free(unchanged);
}

uint64_t unchanged_zero_pages(struct unchanged *unchanged)
{
    uint64_t zero_pages = unchanged->zero_pages;

    unchanged->zero_pages = 0;
    return zero_pages;
}

/* Would it be handed out by the walk? path: in its root. Also tells of its pages. */
static bool belongs_into_backup(struct unchanged *unchanged, const struct tree_root *root, const char *path)
{
    char *directory = path_directory(path);
    const char *name = path_name(path);
    struct relation_name relation;
    bool result;

    if (directory == NULL)
        return false;
    if (strchr(path, '/') == NULL)
        *directory = '\0';
    /* The control file comes last, and WAL is none of the data directory's content (--wal=include). */
    result = strcmp(path, "global/pg_control") != 0 && strcmp(directory, "pg_wal") != 0 &&
             !exclude_name(directory, name) && tree_has_directory(unchanged->tree, root, directory);
    unchanged->has_pages = unchanged->pages != NULL &&
                           tree_holds_relations(unchanged->tree, root, directory) &&
                           relation_name_parse(name, &relation);
    unchanged->first_block = unchanged->has_pages ? relation.segment * unchanged->pages->segment_blocks : 0;
    free(directory);
    return result;
}

static bool begin_file(struct unchanged *unchanged, const struct tree_root *root,
                       const struct index_entry *entry)
{
    size_t prefix = strlen(root->prefix);
    uint64_t bytes = entry->of != 0 ? entry->of : entry->bytes;
    struct stat status;

    unchanged_reset(unchanged);
    if (strncmp(entry->path, root->prefix, prefix) != 0 ||
        !belongs_into_backup(unchanged, root, entry->path + prefix))
        return false;
    unchanged->fd = openat(root->fd, entry->path + prefix, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    return unchanged->fd >= 0 && fstat(unchanged->fd, &status) == 0 && S_ISREG(status.st_mode) &&
           (uint64_t)status.st_size == bytes && (status.st_mode & 07777) == entry->mode;
}

static bool pages_look_right(struct unchanged *unchanged, size_t length, uint64_t offset)
{
    if (!unchanged->has_pages)
        return true;
    uint32_t block = unchanged->first_block + (uint32_t)(offset / unchanged->pages->block_bytes);
    return page_check_quietly(unchanged->pages, unchanged->buffer, length, block, &unchanged->zero_pages);
}

/* Whole windows but the last; a piece begins with one. */
static bool hash_content(struct unchanged *unchanged, const struct index_entry *entry, uint32_t *crc)
{
    *crc = 0;
    for (uint64_t done = 0; done < entry->bytes;) {
        uint64_t left = entry->bytes - done;
        size_t length = left < SOURCE_WINDOW_BYTES ? (size_t)left : SOURCE_WINDOW_BYTES;
        if (interrupt_requested() ||
            source_file_read(unchanged->source, unchanged->buffer) != (ssize_t)length ||
            !pages_look_right(unchanged, length, entry->at + done))
            return false;
        rate_take(unchanged->rate, length);
        sha256_update(&unchanged->hash, unchanged->buffer, length);
        if (entry->of != 0)
            *crc = crc32c_extend(*crc, unchanged->buffer, length);
        done += length;
    }
    return true;
}

static bool has_same_content(struct unchanged *unchanged, const struct index_entry *entry)
{
    unsigned char digest[SHA256_BYTES];
    uint32_t crc;

    /* Pieces of another backup may have begun anywhere, by its split_size. */
    if (entry->at % SOURCE_WINDOW_BYTES != 0 || sha256_begin(&unchanged->hash) != 0)
        return false;
    source_file_begin(unchanged->source, unchanged->fd, entry->at, entry->at + entry->bytes);
    bool is_read = hash_content(unchanged, entry, &crc);
    source_file_end(unchanged->source);
    if (!is_read)
        return false;
    sha256_finish(&unchanged->hash, digest);
    return memcmp(digest, entry->sha256, SHA256_BYTES) == 0 && (entry->of == 0 || crc == entry->crc32c);
}

/* It may have grown since it was begun. */
static bool has_size(const struct unchanged *unchanged, uint64_t bytes)
{
    struct stat status;

    return fstat(unchanged->fd, &status) == 0 && (uint64_t)status.st_size == bytes;
}

bool unchanged_next(struct unchanged *unchanged, const struct tree_root *root,
                    const struct index_entry *entry)
{
    if (index_entry_begins_file(entry) && !begin_file(unchanged, root, entry))
        return false;
    if (unchanged->fd < 0 || !has_same_content(unchanged, entry))
        return false;
    if (!index_entry_ends_file(entry))
        return true;
    bool result = has_size(unchanged, entry->at + entry->bytes);
    unchanged_reset(unchanged);
    return result;
}
