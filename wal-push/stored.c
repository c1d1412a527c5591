#include "stored.h"

#include "common/archive_status.h"
#include "common/file.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STORED_NAME "stored-ahead"
#define STORED_VERSION "walferry stored-ahead 1"
#define STORED_MOST_BYTES (4u * 1024 * 1024)
#define STORED_AGE_SECONDS 3600
#define LINE_BYTES 512

/* A check against torn lines; nobody but us can write there (FNV-1a). */
static uint64_t line_check(const char *line, size_t length)
{
    uint64_t check = 0xcbf29ce484222325u;

    for (size_t i = 0; i < length; i++)
        check = (check ^ (unsigned char)line[i]) * 0x100000001b3u;
    return check;
}

static int write_head(const struct config *config, struct buffer *out)
{
    if (buffer_printf(out, "%s\n", STORED_VERSION) != 0)
        return -1;
    for (size_t i = 0; i < config->repository_count; i++) {
        const struct repository_config *repository = &config->repositories[i];
        if (state_identity(config, repository, out) != 0 ||
            buffer_printf(out, "required %d\n", repository->required) != 0)
            return -1;
    }
    return buffer_append_string(out, "\n");
}

/* What the inode says of a file; and what it begins with, when it is a segment. */
static int write_identity(const struct stat *status, const unsigned char header[WAL_LONG_HEADER_BYTES],
                          char out[LINE_BYTES / 2])
{
    char header_hex[2 * WAL_LONG_HEADER_BYTES + 1];

    hex_encode(header, WAL_LONG_HEADER_BYTES, header_hex);
    return snprintf(out, LINE_BYTES / 2, "%ju %ju %jd %jd.%09ld %jd.%09ld %s", (uintmax_t)status->st_dev,
                    (uintmax_t)status->st_ino, (intmax_t)status->st_size, (intmax_t)status->st_mtim.tv_sec,
                    status->st_mtim.tv_nsec, (intmax_t)status->st_ctim.tv_sec, status->st_ctim.tv_nsec,
                    header_hex);
}

static bool read_identity(const char *path, char identity[LINE_BYTES / 2])
{
    unsigned char header[WAL_LONG_HEADER_BYTES];
    struct stat status;
    bool result = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return false;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        file_pread_fully(fd, header, sizeof header, 0) == 0)
        result = write_identity(&status, header, identity) > 0;
    close(fd);
    return result;
}

/* "NAME SECONDS SHA256 IDENTITY CHECK": its parts point into it. False when it is torn or too old. */
struct line {
    const char *name; /* 24 characters */
    const char *identity;
    size_t identity_length;
};
static bool parse_line(const char *text, size_t length, int64_t now, struct line *line)
{
    char check[17], *end;
    const char *last = length > 17 ? text + length - 17 : text;

    if (length < WAL_SEGMENT_NAME_BYTES + SHA256_HEX_BYTES || *last != ' ')
        return false;
    snprintf(check, sizeof check, "%016" PRIx64, line_check(text, length - 17));
    if (memcmp(check, last + 1, 16) != 0)
        return false;
    long long written = strtoll(text + WAL_SEGMENT_NAME_BYTES, &end, 10);
    if (*end != ' ' || written > now || written < now - STORED_AGE_SECONDS)
        return false;
    line->name = text;
    line->identity = end + 1 + SHA256_HEX_BYTES;
    line->identity_length = (size_t)(last - line->identity);
    return line->identity < last;
}

static bool next_line(const struct buffer *text, size_t *at, const char **line, size_t *length)
{
    const char *begin = buffer_string(text) + *at, *end;

    if (*at >= text->length || (end = memchr(begin, '\n', text->length - *at)) == NULL)
        return false; /* the last one is torn */
    *line = begin;
    *length = (size_t)(end - begin);
    *at += *length + 1;
    return true;
}

static bool knows(const struct buffer *lines, const char *path)
{
    char identity[LINE_BYTES / 2];
    const char *text, *name = path_name(path);
    size_t at = 0, length;
    struct line line;

    if (lines->length == 0 || strlen(name) != WAL_SEGMENT_NAME_BYTES - 1)
        return false;
    while (next_line(lines, &at, &text, &length))
        if (strncmp(text, name, WAL_SEGMENT_NAME_BYTES - 1) == 0 &&
            parse_line(text, length, (int64_t)time(NULL), &line))
            return read_identity(path, identity) && strlen(identity) == line.identity_length &&
                   memcmp(identity, line.identity, line.identity_length) == 0;
    return false;
}

/* The lines of the memory that is there, if it is of these repositories; else none. */
static void read_lines(const struct config *config, const struct state *state, struct buffer *lines)
{
    struct buffer head = BUFFER_EMPTY, all = BUFFER_EMPTY;
    int64_t age;

    if (state_read(state, STORED_NAME, &all, &age) == 0 && all.length <= STORED_MOST_BYTES &&
        write_head(config, &head) == 0 && all.length >= head.length &&
        memcmp(all.data, head.data, head.length) == 0)
        (void)buffer_append(lines, all.data + head.length, all.length - head.length);
    buffer_free(&head);
    buffer_free(&all);
}

bool stored_has(const struct config *config, const struct state *state, const char *path)
{
    struct buffer lines = BUFFER_EMPTY;
    bool result;

    if (wal_name_parse(path_name(path)).kind != WAL_SEGMENT)
        return false;
    read_lines(config, state, &lines);
    result = knows(&lines, path);
    buffer_free(&lines);
    return result;
}

uint64_t stored_behind(const struct config *config, const struct state *state, const struct source *source,
                       uint64_t reach)
{
    struct buffer lines = BUFFER_EMPTY;
    char name[WAL_SEGMENT_NAME_BYTES];
    const char *text;
    size_t at = 0, length;
    uint64_t asked, number, count = 0;

    if (!wal_segment_number(&source->parsed, source->segment_bytes, &asked))
        return 0;
    read_lines(config, state, &lines);
    while (next_line(&lines, &at, &text, &length)) {
        snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name), text);
        struct wal_name parsed = wal_name_parse(name);
        if (parsed.kind != WAL_SEGMENT || parsed.timeline != source->parsed.timeline ||
            !wal_segment_number(&parsed, source->segment_bytes, &number) || number <= asked ||
            number - asked > reach)
            continue;
        char *path = path_join(source->directory, name);
        count += path != NULL && knows(&lines, path);
        free(path);
    }
    buffer_free(&lines);
    return count;
}

bool stored_had(const struct stored *stored, const char *path)
{
    return knows(&stored->earlier, path);
}

/* What PostgreSQL has been told of is not asked for again: only what still waits is kept. */
static bool still_waits(const char *directory, const char *line)
{
    char name[WAL_SEGMENT_NAME_BYTES];

    snprintf(name, sizeof name, "%.24s", line);
    return archive_status_waits(directory, name);
}

static int write_new(struct stored *stored, const struct buffer *text)
{
    unlink(stored->path); /* a memory that cannot be replaced is worse than none */
    stored->fd = open(stored->path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (stored->fd >= 0 && file_write_fully(stored->fd, text->data, text->length) == 0)
        return 0;
    log_debug("could not write file \"%s\": %m; nothing is stored ahead", stored->path);
    if (stored->fd >= 0)
        close(stored->fd);
    return -1;
}

int stored_begin(const struct config *config, const struct state *state, const char *directory,
                 struct stored *stored)
{
    struct buffer text = BUFFER_EMPTY;
    int64_t now = (int64_t)time(NULL);
    const char *begin;
    size_t at = 0, length;
    struct line line;
    int result = -1;

    *stored = (struct stored){.fd = -1, .earlier = BUFFER_EMPTY};
    if (state->directory == NULL)
        return -1;
    read_lines(config, state, &stored->earlier);
    if (write_head(config, &text) != 0 || (stored->path = path_join(state->directory, STORED_NAME)) == NULL)
        goto done;
    while (next_line(&stored->earlier, &at, &begin, &length))
        if (parse_line(begin, length, now, &line) && still_waits(directory, begin) &&
            buffer_append(&text, begin, length + 1) != 0)
            goto done;
    result = write_new(stored, &text);
done:
    buffer_free(&text);
    if (result != 0) {
        buffer_free(&stored->earlier);
        free(stored->path);
    } else {
        pthread_mutex_init(&stored->lock, NULL);
    }
    return result;
}

void stored_add(struct stored *stored, const struct source *source, const unsigned char sha256[SHA256_BYTES])
{
    char identity[LINE_BYTES / 2], hash[SHA256_HEX_BYTES], line[LINE_BYTES];

    write_identity(&source->status, source->header, identity);
    hex_encode(sha256, SHA256_BYTES, hash);
    int length =
        snprintf(line, sizeof line, "%.24s %jd %s %s", source->name, (intmax_t)time(NULL), hash, identity);
    if (length < 0 || (size_t)length + 19 > sizeof line)
        return;
    length += snprintf(line + length, sizeof line - (size_t)length, " %016" PRIx64 "\n",
                       line_check(line, (size_t)length));
    pthread_mutex_lock(&stored->lock);
    if (file_write_fully(stored->fd, line, (size_t)length) != 0)
        log_debug("could not write file \"%s\": %m", stored->path);
    pthread_mutex_unlock(&stored->lock);
}

void stored_end(struct stored *stored)
{
    if (fdatasync(stored->fd) != 0)
        log_debug("could not fsync file \"%s\": %m", stored->path);
    close(stored->fd);
    pthread_mutex_destroy(&stored->lock);
    buffer_free(&stored->earlier);
    free(stored->path);
}
