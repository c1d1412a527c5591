#include "catalog.h"

#include "common/file.h"
#include "common/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES (256 * 1024)

struct catalog {
    int fd;
    uint64_t length;
    struct catalog_totals totals;
    pthread_mutex_t lock;
};

static int append(struct catalog *catalog, const struct buffer *text)
{
    if (file_write_fully(catalog->fd, text->data, text->length) != 0) {
        log_error("could not write the temporary file of the index: %m");
        return -1;
    }
    catalog->length += text->length;
    return 0;
}

struct catalog *catalog_open(const char *directory, const char *backup_id)
{
    struct catalog *catalog = calloc(1, sizeof *catalog);
    struct buffer header = BUFFER_EMPTY;

    if (catalog == NULL) {
        log_out_of_memory();
        return NULL;
    }
    pthread_mutex_init(&catalog->lock, NULL);
    catalog->fd = file_open_unnamed(directory);
    if (catalog->fd < 0 || index_header_write(backup_id, &header) != 0 || append(catalog, &header) != 0) {
        catalog_close(catalog);
        catalog = NULL;
    }
    buffer_free(&header);
    return catalog;
}

void catalog_close(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    if (catalog->fd >= 0)
        close(catalog->fd);
    pthread_mutex_destroy(&catalog->lock);
    free(catalog);
}

int catalog_add_directory(struct catalog *catalog, const char *path, unsigned mode)
{
    struct index_entry entry = {.line = INDEX_DIRECTORY, .mode = mode};
    struct buffer line = BUFFER_EMPTY;
    int result = -1;

    entry.path = string_copy(path);
    if (entry.path != NULL && index_entry_write(&entry, &line) == 0) {
        pthread_mutex_lock(&catalog->lock);
        result = append(catalog, &line);
        pthread_mutex_unlock(&catalog->lock);
    }
    index_entry_free(&entry);
    buffer_free(&line);
    return result;
}

int catalog_add_part(struct catalog *catalog, const struct index_entry *part, const struct buffer *lines,
                     uint64_t plain_bytes)
{
    struct buffer line = BUFFER_EMPTY;
    int result = index_entry_write(part, &line);

    if (result == 0) {
        pthread_mutex_lock(&catalog->lock);
        result = append(catalog, &line) == 0 && append(catalog, lines) == 0 ? 0 : -1;
        catalog->totals.parts++;
        catalog->totals.files += part->files;
        catalog->totals.plain_bytes += plain_bytes;
        catalog->totals.stored_bytes += part->bytes;
        pthread_mutex_unlock(&catalog->lock);
    }
    buffer_free(&line);
    return result;
}

struct catalog_totals catalog_totals(struct catalog *catalog)
{
    pthread_mutex_lock(&catalog->lock);
    struct catalog_totals totals = catalog->totals;
    pthread_mutex_unlock(&catalog->lock);
    return totals;
}

int catalog_read(struct catalog *catalog, const struct sink *sink)
{
    char *chunk = malloc(READ_BYTES);
    uint64_t done = 0;
    int result = chunk == NULL ? log_out_of_memory() : 0;

    while (result == 0 && done < catalog->length) {
        uint64_t left = catalog->length - done;
        size_t length = left < READ_BYTES ? (size_t)left : READ_BYTES;
        if (file_pread_fully(catalog->fd, chunk, length, done) != 0) {
            log_error("could not read the temporary file of the index: %m");
            result = -1;
        } else
            result = sink_write(sink, chunk, length);
        done += length;
    }
    free(chunk);
    return result;
}
