#include "source.h"

#include "common/archive_status.h"
#include "common/buffer.h"
#include "common/file.h"
#include "common/log.h"
#include "common/pg_control.h"
#include "common/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES (256 * 1024)
#define TEXT_MOST_BYTES (1024 * 1024) /* history and backup files */

static enum source_result refuse(const struct source *source, const char *why)
{
    log_error("\"%s\" is not archived: %s", source->path, why);
    return SOURCE_REFUSED;
}

static enum source_result could_not(const struct source *source, const char *what)
{
    log_error("could not %s file \"%s\": %m", what, source->path);
    return SOURCE_REFUSED;
}

/* The control file of the data directory in which the file lies, else of [cluster] pgdata: 0; 1 if there is
 * neither; -1. */
static int find_control(const struct source *source, const struct config *config, struct pg_control *control)
{
    char *data_directory = path_parent(source->directory);
    int result = -1;

    if (data_directory == NULL)
        return -1;
    result = pg_control_read(data_directory, control, NULL);
    free(data_directory);
    if (result == 1 && config->pgdata != NULL)
        result = pg_control_read(config->pgdata, control, NULL);
    return result;
}

/* A segment whose first pages were written by an ancestor: the fork must lie in this very segment (rule 14).
 */
static enum source_result check_ancestor(const struct source *source, const struct wal_page *page)
{
    char history_name[WAL_SEGMENT_NAME_BYTES];
    struct buffer text = BUFFER_EMPTY;
    struct timeline_history history;
    const char *problem;
    uint64_t end;
    enum source_result result = SOURCE_OK;

    if (page->timeline > source->parsed.timeline)
        return refuse(source, "its first page belongs to a later timeline than its name");
    wal_history_name(source->parsed.timeline, history_name);
    char *path = path_join(source->directory, history_name);
    if (path == NULL)
        return SOURCE_REFUSED;
    enum file_result read = file_read_all(path, TEXT_MOST_BYTES, &text);
    if (read == FILE_FAILED) {
        result = SOURCE_REFUSED;
    } else if (read == FILE_OK) { /* without that file there is nothing to hold against it */
        if (timeline_history_parse(source->parsed.timeline, buffer_string(&text), text.length, &history,
                                   &problem) != 0) {
            log_error("\"%s\" is malformed: %s", path, problem);
            result = SOURCE_REFUSED;
        } else {
            if (!timeline_history_find(&history, page->timeline, &end) || end <= page->address ||
                end >= page->address + page->segment_bytes)
                result = refuse(source,
                                "its first page belongs to a timeline that did not fork within this segment");
            timeline_history_free(&history);
        }
    }
    buffer_free(&text);
    free(path);
    return result;
}

static enum source_result check_page(struct source *source, const struct wal_page *page)
{
    uint64_t number;

    if ((uint64_t)source->status.st_size != page->segment_bytes)
        return refuse(source, "its size is not the segment size that its first page names (truncated?)");
    if (!wal_segment_number(&source->parsed, page->segment_bytes, &number))
        return refuse(source, "its name is impossible with the segment size that its first page names");
    if (page->address != number * page->segment_bytes)
        return refuse(source, "its first page is that of another segment (recycled, not yet written?)");
    if (page->timeline != source->parsed.timeline)
        return check_ancestor(source, page);
    return SOURCE_OK;
}

/* Rule 16: half a segment, pushed by hand, would keep the whole one out for ever. The server marks what it
 * has finished; it renames .ready to .done, so .ready is looked for first. Where marks have no place, no
 * server writes. */
static enum source_result check_finished(const struct source *source)
{
    int found = archive_status_has(source->directory, source->name, ".ready");

    if (found == 0)
        found = archive_status_has(source->directory, source->name, ".done");
    if (found != 0)
        return found > 0 ? SOURCE_OK : SOURCE_REFUSED;
    found = archive_status_has(source->directory, "", "");
    if (found <= 0)
        return found == 0 ? SOURCE_OK : SOURCE_REFUSED;
    refuse(source, "the server may still write to it (archive_status has neither .ready nor .done of it)");
    log_hint(
        "With archive_mode on, the server calls wal-push itself when the segment is finished; SELECT "
        "pg_switch_wal() finishes it now. From a server that is gone, copy it into pg_wal of the restored "
        "directory.");
    return SOURCE_REFUSED;
}

static enum source_result check_segment(struct source *source, const struct pg_control *control)
{
    struct wal_page page;

    if (file_pread_fully(source->fd, source->header, sizeof source->header, 0) != 0)
        return errno == 0 ? refuse(source, "it is too short to be a WAL segment") : could_not(source, "read");
    if (!wal_page_parse(source->header, sizeof source->header, &page))
        return refuse(source, "it does not begin with the header of a WAL segment");
    if (control != NULL && page.system_identifier != control->system_identifier)
        return refuse(source, "it belongs to another cluster (system identifier) than this data directory");
    if (control != NULL &&
        (page.segment_bytes != control->segment_bytes || page.block_bytes != control->wal_block_bytes))
        return refuse(source, "its segment or block size is not that of this data directory");
    source->system_identifier = page.system_identifier;
    source->segment_bytes = page.segment_bytes;
    source->postgresql_version = wal_magic_version(page.magic);
    if (check_page(source, &page) != SOURCE_OK)
        return SOURCE_REFUSED;
    return source->parsed.kind == WAL_SEGMENT ? check_finished(source) : SOURCE_OK;
}

static enum source_result check_backup_text(struct source *source, const char *text)
{
    char expected[64];

    snprintf(expected, sizeof expected, "(file %.24s)", source->name);
    if (strncmp(text, "START WAL LOCATION: ", 20) != 0 || strstr(text, expected) == NULL)
        return refuse(source, "it is no backup history file of the segment in its name");
    return SOURCE_OK;
}

static enum source_result check_history_text(struct source *source, const struct buffer *text)
{
    struct timeline_history history;
    const char *problem;

    if (timeline_history_parse(source->parsed.timeline, buffer_string(text), text->length, &history,
                               &problem) != 0)
        return refuse(source, problem);
    timeline_history_free(&history);
    return SOURCE_OK;
}

/* .history and .backup files name no system: it is that of the data directory in which they lie. */
static enum source_result check_text(struct source *source, const struct pg_control *control)
{
    struct buffer text = BUFFER_EMPTY;
    enum source_result result = SOURCE_REFUSED;

    if (control == NULL)
        return refuse(
            source,
            "its cluster cannot be told: it lies in no data directory, and [cluster] pgdata names none");
    source->system_identifier = control->system_identifier;
    source->segment_bytes = control->segment_bytes;
    if (source->status.st_size > TEXT_MOST_BYTES)
        return refuse(source, "it is far too long for a file of its kind");
    if (buffer_reserve(&text, (size_t)source->status.st_size) != 0)
        return SOURCE_REFUSED;
    text.length = (size_t)source->status.st_size;
    text.data[text.length] = '\0';
    if (file_pread_fully(source->fd, text.data, text.length, 0) != 0)
        could_not(source, "read");
    else
        result = source->parsed.kind == WAL_HISTORY ? check_history_text(source, &text)
                                                    : check_backup_text(source, buffer_string(&text));
    buffer_free(&text);
    return result;
}

static enum source_result open_file(struct source *source)
{
    source->fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (source->fd < 0) {
        log_error("could not open file \"%s\": %m", source->path);
        if (errno == ENOENT && strchr(source->path, '/') == NULL)
            log_hint("A path was expected: is it archive_command = 'wal-push %%p'? %%f is only the name.");
        return SOURCE_REFUSED;
    }
    if (fstat(source->fd, &source->status) != 0)
        return could_not(source, "stat");
    if (!S_ISREG(source->status.st_mode))
        return refuse(source, "it is not a regular file");
    return SOURCE_OK;
}

enum source_result source_open(const char *path, const struct config *config, struct source *source)
{
    struct pg_control control;
    int found;
    enum source_result result;

    *source = (struct source){.path = path, .name = path_name(path), .fd = -1};
    source->parsed = wal_name_parse(source->name);
    if (source->parsed.kind == WAL_NOT) {
        log_error("\"%s\" is not the name of a WAL segment, history, backup or partial file", source->name);
        log_hint("This program is meant for archive_command = 'wal-push %%p'.");
        return SOURCE_USAGE;
    }
    source->directory = path_directory(path);
    if (source->directory == NULL)
        return SOURCE_REFUSED;
    result = open_file(source);
    if (result != SOURCE_OK)
        return result;
    found = find_control(source, config, &control);
    if (found < 0)
        return SOURCE_REFUSED;
    if (source->parsed.kind == WAL_SEGMENT || source->parsed.kind == WAL_PARTIAL)
        return check_segment(source, found == 0 ? &control : NULL);
    return check_text(source, found == 0 ? &control : NULL);
}

/* Rule 16: a wal-push that outlived its archiver may read a segment that is being recycled under it. 0, or -1
 * after logging. */
static int check_unchanged(const struct source *source)
{
    struct stat by_fd, by_name = {.st_ino = 0};
    unsigned char header[WAL_LONG_HEADER_BYTES] = {0};

    if (fstat(source->fd, &by_fd) != 0 || (stat(source->path, &by_name) != 0 && errno != ENOENT)) {
        log_error("could not stat file \"%s\": %m", source->path);
        return -1;
    }
    if (by_fd.st_ino != by_name.st_ino || by_fd.st_dev != by_name.st_dev ||
        by_fd.st_size != source->status.st_size || by_fd.st_ctim.tv_sec != source->status.st_ctim.tv_sec ||
        by_fd.st_ctim.tv_nsec != source->status.st_ctim.tv_nsec)
        goto changed;
    if (source->parsed.kind != WAL_SEGMENT && source->parsed.kind != WAL_PARTIAL)
        return 0;
    if (file_pread_fully(source->fd, header, sizeof header, 0) != 0 && errno != 0) {
        log_error("could not read file \"%s\": %m", source->path);
        return -1;
    }
    if (memcmp(header, source->header, sizeof header) == 0)
        return 0;
changed:
    refuse(source, "it changed while it was read");
    return -1;
}

int source_read(struct source *source, const struct sink *sink)
{
    uint64_t offset = 0, size = (uint64_t)source->status.st_size;
    unsigned char *chunk = malloc(CHUNK_BYTES);
    int result = -1;

    if (chunk == NULL)
        return log_out_of_memory();
    while (offset < size) {
        size_t length = size - offset < CHUNK_BYTES ? (size_t)(size - offset) : CHUNK_BYTES;
        if (file_pread_fully(source->fd, chunk, length, offset) != 0) {
            log_error("could not read file \"%s\": %s", source->path,
                      errno == 0 ? "it became shorter" : strerror(errno));
            goto done;
        }
        if (sink_write(sink, chunk, length) != 0)
            goto done;
        offset += length;
    }
    result = check_unchanged(source);
done:
    free(chunk);
    return result;
}

void source_close(struct source *source)
{
    if (source->fd >= 0)
        close(source->fd);
    source->fd = -1;
    free(source->directory);
    source->directory = NULL;
}
