#include "wal_include.h"

#include "common/file.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum found { FOUND, ABSENT, FAILED };

struct segment {
    const struct wal_include *include;
    uint64_t number;
    char name[WAL_SEGMENT_NAME_BYTES];
    char path[sizeof "pg_wal/" + WAL_SEGMENT_NAME_BYTES]; /* in the backup */
    bool *is_silent; /* for each target: it could not be asked, and is not asked again */
};

/* Is what lies there the segment, and not one that was recycled? */
static bool header_is_right(const struct segment *segment, int fd)
{
    const struct backup *backup = segment->include->backup;
    unsigned char header[WAL_LONG_HEADER_BYTES];
    struct wal_page page;
    struct stat status;

    return fstat(fd, &status) == 0 && status.st_size == (off_t)backup->segment_bytes &&
           file_pread_fully(fd, header, sizeof header, 0) == 0 &&
           wal_page_parse(header, sizeof header, &page) &&
           page.address == segment->number * backup->segment_bytes &&
           page.system_identifier == backup->system_identifier && page.segment_bytes == backup->segment_bytes;
}

static int ship_file_content(const struct segment *segment, int fd)
{
    const struct wal_include *include = segment->include;
    struct ship_content content = {.series = include->series,
                                   .path = segment->path,
                                   .mode = include->directory->file_mode,
                                   .modified_seconds = timestamp_now() / 1000000,
                                   .fd = fd,
                                   .bytes = include->backup->segment_bytes};

    return ship_content(include->ship, &content);
}

static int ship_open_segment(const struct segment *segment, int fd, const char *path)
{
    if (!header_is_right(segment, fd)) {
        log_error("\"%s\" is not the WAL segment that its name says", path);
        return -1;
    }
    if (ship_file_content(segment, fd) != 0)
        return -1;
    if (header_is_right(segment, fd))
        return 0;
    log_error("WAL segment \"%s\" was recycled while it was read", path);
    log_hint("The server's max_slot_wal_keep_size may be too small for the WAL of one backup.");
    return -1;
}

static enum found ship_from_server(const struct segment *segment)
{
    char *path = path_join(segment->include->directory->path, segment->path);
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    enum found result = FAILED;

    if (fd >= 0) {
        result = ship_open_segment(segment, fd, path) == 0 ? FOUND : FAILED;
        close(fd);
    } else if (path != NULL && errno == ENOENT)
        result = ABSENT;
    else if (path != NULL)
        log_error("could not open file \"%s\": %m", path);
    free(path);
    return result;
}

static int write_to_fd(void *context, const void *data, size_t length)
{
    if (file_write_fully(*(int *)context, data, length) == 0)
        return 0;
    log_error("could not write a temporary file: %m");
    return -1;
}

/* ABSENT also where this repository cannot be asked: another one may, and pg_wal. Each question that is not
 * answered takes a whole time limit, so there is only one. */
static enum found ship_from_target(const struct segment *segment, size_t index)
{
    const struct wal_include *include = segment->include;
    struct target *target = &include->targets->items[index];
    int fd = file_open_unnamed(include->spool_directory);
    char *key = repository_wal_key(&target->repository, include->backup->system_identifier, segment->name);
    struct sink sink = {write_to_fd, &fd};
    struct object_facts facts;
    enum found result = fd < 0 || key == NULL ? FAILED : ABSENT;
    enum repository_result got =
        result == FAILED ? REPOSITORY_SINK : repository_get_object(&target->repository, key, &sink, &facts);

    segment->is_silent[index] = got == REPOSITORY_FAILED;
    if (got == REPOSITORY_OK && object_facts_check(&facts, wal_kind_name(WAL_SEGMENT), segment->name,
                                                   include->backup->system_identifier,
                                                   store_describe(target->repository.store, key)) == 0)
        result = ship_open_segment(segment, fd, store_describe(target->repository.store, key)) == 0 ? FOUND
                                                                                                    : FAILED;
    if (fd >= 0)
        close(fd);
    free(key);
    return result;
}

static enum found ship_from_repositories(const struct segment *segment)
{
    struct targets *targets = segment->include->targets;
    enum found result = ABSENT;

    for (size_t i = 0; i < targets->count && result == ABSENT; i++)
        if (target_is_alive(&targets->items[i]) && !segment->is_silent[i])
            result = ship_from_target(segment, i);
    return result;
}

static int ship_segment(const struct segment *segment)
{
    bool is_held = segment->include->is_held;
    enum found found = is_held ? ship_from_server(segment) : ship_from_repositories(segment);

    if (found == ABSENT)
        found = is_held ? ship_from_repositories(segment) : ship_from_server(segment);
    if (found == ABSENT) {
        log_error("WAL segment %s, which the backup needs, is neither in pg_wal nor in a repository",
                  segment->name);
        log_hint("The server's max_slot_wal_keep_size may be too small for the WAL of one backup.");
    }
    return found == FOUND ? 0 : -1;
}

/* The server can do without; a standby of it could not. */
static int ship_history(const struct wal_include *include)
{
    char name[WAL_SEGMENT_NAME_BYTES], member[sizeof "pg_wal/" + WAL_SEGMENT_NAME_BYTES];
    struct buffer text = BUFFER_EMPTY;
    int result = -1;

    if (include->backup->timeline == 1)
        return 0;
    wal_history_name(include->backup->timeline, name);
    snprintf(member, sizeof member, "pg_wal/%s", name);
    char *path = path_join(include->directory->path, member);
    enum file_result read =
        path == NULL ? FILE_FAILED : file_read_all(path, TIMELINE_HISTORY_MOST_BYTES, &text);
    if (read == FILE_OK) {
        struct ship_content content = {.series = include->series,
                                       .path = member,
                                       .mode = include->directory->file_mode,
                                       .modified_seconds = timestamp_now() / 1000000,
                                       .data = text.data,
                                       .bytes = text.length};
        result = ship_content(include->ship, &content);
    } else if (read == FILE_ABSENT)
        result = 0;
    buffer_free(&text);
    free(path);
    return result;
}

static int ship_segments(const struct wal_include *include, bool *is_silent)
{
    const struct backup *backup = include->backup;
    struct segment segment = {
        .include = include, .number = backup->start_lsn / backup->segment_bytes, .is_silent = is_silent};

    for (; segment.number <= (backup->stop_lsn - 1) / backup->segment_bytes; segment.number++) {
        wal_segment_name(backup->timeline, segment.number, backup->segment_bytes, segment.name);
        snprintf(segment.path, sizeof segment.path, "pg_wal/%s", segment.name);
        if (interrupt_requested() || include->tick(include->context) != 0 || ship_segment(&segment) != 0)
            return -1;
    }
    return 0;
}

int wal_include_ship(const struct wal_include *include)
{
    bool *is_silent = calloc(include->targets->count, sizeof *is_silent);
    int result = is_silent == NULL ? log_out_of_memory() : ship_segments(include, is_silent);

    free(is_silent);
    return result == 0 ? ship_history(include) : -1;
}
