#include "restore_file.h"

#include "common/file.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "restore_part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPY_BYTES (64u * 1024)

/* Finding it in the index */

struct search {
    const char *path; /* as in the index */
    bool is_external;
    struct backup_part *part;   /* at hand, without files */
    struct backup_part **parts; /* that hold it: several for a file in pieces */
    size_t count;
};

static int take_file(struct search *search, const struct index_entry *file)
{
    bool is_external = strncmp(search->part->name, "external-", strlen("external-")) == 0;

    if (is_external != search->is_external || strcmp(file->path, search->path) != 0)
        return 0;
    struct backup_part **parts = realloc(search->parts, (search->count + 1) * sizeof *parts);
    if (parts == NULL)
        return log_out_of_memory();
    search->parts = parts;
    if (backup_part_add(search->part, file) != 0)
        return -1;
    parts[search->count++] = search->part;
    search->part = NULL;
    return 0;
}

static int take_entry(void *context, struct index_entry *entry)
{
    struct search *search = context;

    if (interrupt_requested())
        return -1;
    if (entry->line == INDEX_PART) {
        backup_part_free(search->part);
        search->part = backup_part_new(entry);
        return search->part == NULL ? -1 : 0;
    }
    return entry->line == INDEX_FILE && search->part != NULL ? take_file(search, entry) : 0;
}

static int find(struct repository *repository, const struct backup *backup, struct search *search)
{
    int result = backup_index_load(repository, backup, take_entry, search) == REPOSITORY_OK ? 0 : -1;

    backup_part_free(search->part);
    search->part = NULL;
    if (result == 0 && search->count == 0) {
        log_error("backup %s has no file \"%s%s\"", backup->id, search->is_external ? "/" : "", search->path);
        log_hint("Write the path as it is in the data directory, \"base/16384/16397\", or, with a leading "
                 "slash, that of a file from outside of it.");
        result = -1;
    }
    return result;
}

/* Fetching it */

static int fetch(struct repository *repository, const struct backup *backup, const struct backup_part *part,
                 struct unpacker *unpacker)
{
    const struct index_entry *file = &part->files[0];
    struct part_range range = {file->offset, file->offset + file->stored, 0, 1};
    struct store_range wanted = {file->offset, file->stored, 0};
    struct store_object object = {.total_bytes = 0};
    struct sink sink = unpacker_sink(unpacker);
    char *key = backup_key(repository, backup->system_identifier, backup->id, part->name);
    char *what = key == NULL ? NULL : string_copy(store_describe(repository->store, key));
    int result = -1;

    if (what != NULL && unpacker_begin(unpacker, part, &range, what, &object.total_bytes) == 0) {
        enum store_result got = store_get(repository->store, key, &wanted, &sink, &object);
        if (got == STORE_ABSENT)
            log_error("%s is missing", what);
        if (got == STORE_SHORT)
            log_error("%s is damaged: it is shorter than its index says", what);
        result = unpacker_end(unpacker, got == STORE_OK);
    }
    free(key);
    free(what);
    return result;
}

static int fetch_all(struct repository *repository, const struct backup *backup, const struct search *search,
                     int fd, const char *name)
{
    struct unpacker *unpacker = unpacker_new_for_file(fd, name);
    int result = unpacker == NULL ? -1 : 0;

    for (size_t i = 0; result == 0 && i < search->count; i++)
        result = fetch(repository, backup, search->parts[i], unpacker);
    unpacker_free(unpacker);
    return result;
}

/* Handing it over */

static int copy_to_output(int fd)
{
    char chunk[COPY_BYTES];
    uint64_t offset = 0;
    ssize_t got;

    while ((got = pread(fd, chunk, sizeof chunk, (off_t)offset)) > 0) {
        if (interrupt_requested())
            return -1;
        if (file_write_fully(STDOUT_FILENO, chunk, (size_t)got) != 0) {
            log_error("could not write to standard output: %m");
            return -1;
        }
        offset += (uint64_t)got;
    }
    if (got < 0)
        log_error("could not read a temporary file: %m");
    return got < 0 ? -1 : 0;
}

static int fetch_to_output(struct repository *repository, const struct backup *backup,
                           const struct search *search)
{
    int fd = file_open_unnamed(NULL), result = -1;

    if (fd >= 0 && fetch_all(repository, backup, search, fd, "a temporary file") == 0)
        result = copy_to_output(fd);
    if (fd >= 0)
        close(fd);
    return result;
}

/* Not if there is something of that name by now. */
static int give_name(int fd, const char *temporary, const char *output)
{
    char *directory = path_directory(output);
    int result = -1;

    if (directory == NULL)
        return -1;
    if (fsync(fd) != 0)
        log_error("could not write file \"%s\" to disk: %m", temporary);
    else if (link(temporary, output) != 0)
        log_error("could not create file \"%s\": %m", output);
    else
        result = file_sync_directory(directory);
    free(directory);
    return result;
}

static int fetch_to_file(struct repository *repository, const struct backup *backup,
                         const struct search *search, const char *output)
{
    char *temporary = string_printf("%s.walferry", output);
    int result = -1;

    if (temporary == NULL)
        return -1;
    unlink(temporary); /* of a call that was killed */
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        log_error("could not create file \"%s\": %m", temporary);
    else if (fetch_all(repository, backup, search, fd, temporary) == 0)
        result = give_name(fd, temporary, output);
    if (fd >= 0) {
        close(fd);
        unlink(temporary);
    }
    free(temporary);
    return result;
}

int restore_one_file(struct repository *repository, const struct backup *backup, const char *path,
                     const char *output)
{
    struct search search = {.path = path + (*path == '/'), .is_external = *path == '/'};
    bool is_standard = strcmp(output, "-") == 0;
    int result = -1;

    if (!is_standard && file_exists(output)) {
        log_error("\"%s\" exists; nothing is overwritten", output);
        return -1;
    }
    if (find(repository, backup, &search) == 0)
        result = is_standard ? fetch_to_output(repository, backup, &search)
                             : fetch_to_file(repository, backup, &search, output);
    if (result == 0)
        log_info("\"%s\" of backup %s is in \"%s\"", path, backup->id,
                 is_standard ? "standard output" : output);
    for (size_t i = 0; i < search.count; i++)
        backup_part_free(search.parts[i]);
    free(search.parts);
    return result;
}
