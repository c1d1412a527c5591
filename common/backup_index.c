#include "backup_index.h"

#include "file.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES (256 * 1024)

static int write_to_spool(void *context, const void *data, size_t length)
{
    const int *spool = context;

    if (file_write_fully(*spool, data, length) == 0)
        return 0;
    log_error("could not write a temporary file: %m");
    return -1;
}

/* Is it this backup's index, the very one that the manifest was written for? */
static int check_facts(const struct backup *backup, const struct object_facts *facts, const char *what)
{
    if (strcmp(facts->kind, INDEX_KIND) == 0 && strcmp(facts->name, backup->id) == 0 &&
        facts->system_identifier == backup->system_identifier &&
        memcmp(facts->sha256, backup->files_sha256, SHA256_BYTES) == 0 &&
        facts->frame_bytes + OBJECT_TRAILER_BYTES == backup->files_bytes)
        return 0;
    log_error("%s is damaged: it is not the index for which the manifest of backup %s was written", what,
              backup->id);
    return -1;
}

static enum repository_result fetch_index(struct repository *repository, const struct backup *backup,
                                          const char *key, const char *what, int spool)
{
    struct sink sink = {write_to_spool, &spool};
    struct object_facts facts;
    enum repository_result result = repository_get_object(repository, key, &sink, &facts);

    if (result == REPOSITORY_ABSENT) {
        log_error("backup %s is damaged: its index \"%s\" is missing", backup->id, what);
        return REPOSITORY_DAMAGED;
    }
    if (result == REPOSITORY_OK && check_facts(backup, &facts, what) != 0)
        return REPOSITORY_DAMAGED;
    return result;
}

static enum repository_result read_spool(int spool, struct index_reader *reader)
{
    struct sink sink = index_reader_sink(reader);
    char *chunk = malloc(READ_BYTES);
    enum repository_result result = REPOSITORY_OK;
    ssize_t got = -1;

    if (chunk == NULL) {
        log_out_of_memory();
        return REPOSITORY_FAILED;
    }
    if (lseek(spool, 0, SEEK_SET) == 0)
        while (result == REPOSITORY_OK && (got = read(spool, chunk, READ_BYTES)) > 0)
            if (sink_write(&sink, chunk, (size_t)got) != 0)
                result = REPOSITORY_SINK;
    if (result == REPOSITORY_OK && got < 0) {
        log_error("could not read a temporary file: %m");
        result = REPOSITORY_FAILED;
    }
    if (result == REPOSITORY_OK && index_reader_finish(reader) != 0)
        result = REPOSITORY_SINK;
    free(chunk);
    return result;
}

enum repository_result backup_index_open(struct repository *repository, const struct backup *backup,
                                         struct backup_index *index)
{
    enum repository_result result = REPOSITORY_FAILED;
    char *key = backup_key(repository, backup->system_identifier, backup->id, INDEX_KIND);

    *index = (struct backup_index)BACKUP_INDEX_CLOSED;
    if (key == NULL)
        return REPOSITORY_FAILED;
    index->backup_id = string_copy(backup->id);
    index->what = string_copy(store_describe(repository->store, key));
    index->spool = file_open_unnamed(NULL);
    if (index->backup_id != NULL && index->what != NULL && index->spool >= 0)
        result = fetch_index(repository, backup, key, index->what, index->spool);
    free(key);
    if (result != REPOSITORY_OK)
        backup_index_close(index);
    return result;
}

enum repository_result backup_index_read(const struct backup_index *index,
                                         int (*each)(void *context, struct index_entry *entry), void *context)
{
    struct index_reader *reader = index_reader_new(index->backup_id, index->what, each, context);
    enum repository_result result = reader == NULL ? REPOSITORY_FAILED : read_spool(index->spool, reader);

    index_reader_free(reader);
    return result;
}

void backup_index_close(struct backup_index *index)
{
    if (index == NULL)
        return;
    free(index->backup_id);
    free(index->what);
    if (index->spool >= 0)
        close(index->spool);
    *index = (struct backup_index)BACKUP_INDEX_CLOSED;
}

enum repository_result backup_index_load(struct repository *repository, const struct backup *backup,
                                         int (*each)(void *context, struct index_entry *entry), void *context)
{
    struct backup_index index;
    enum repository_result result = backup_index_open(repository, backup, &index);

    if (result == REPOSITORY_OK)
        result = backup_index_read(&index, each, context);
    backup_index_close(&index);
    return result;
}
