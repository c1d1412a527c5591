#include "server_log.h"

#include "common/buffer.h"
#include "common/file.h"
#include "common/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_MOST 20 /* are passed through */
#define STOPPING "LOG:  recovery stopping "

int server_log_open(const char *path, struct server_log *log)
{
    *log = (struct server_log){.path = string_copy(path)};
    return log->path == NULL ? -1 : 0;
}

void server_log_close(struct server_log *log)
{
    free(log->path);
    *log = (struct server_log){.path = NULL};
}

static const char *is_fatal(const char *line)
{
    const char *found = strstr(line, "FATAL:  ");

    return found != NULL ? found : strstr(line, "PANIC:  ");
}

static void take_line(struct server_log *log, const char *line)
{
    const char *found;

    if (strstr(line, "LOG:  starting ") != NULL && strstr(line, "recovery") != NULL)
        log->is_recovering = true;
    else if (strstr(line, "LOG:  consistent recovery state reached") != NULL)
        log->is_consistent = true;
    else if ((found = strstr(line, STOPPING)) != NULL) {
        log->has_stopped = true;
        snprintf(log->stop, sizeof log->stop, "%s", found + strlen(STOPPING));
    } else if ((found = is_fatal(line)) != NULL && *log->fatal == '\0')
        snprintf(log->fatal, sizeof log->fatal, "%s", found + 8);
}

void server_log_read(struct server_log *log)
{
    int fd = open(log->path, O_RDONLY | O_CLOEXEC);
    char block[16384];
    ssize_t got;

    while (fd >= 0 && (got = pread(fd, block, sizeof block - 1, (off_t)log->read)) > 0) {
        char *line = block, *end;
        block[got] = '\0';
        while ((end = strchr(line, '\n')) != NULL) {
            *end = '\0';
            take_line(log, line);
            line = end + 1;
        }
        if (line == block && got < (ssize_t)sizeof block - 1)
            break; /* the rest of the line is still to come */
        log->read += (uint64_t)(line == block ? got : line - block);
    }
    if (fd >= 0)
        close(fd);
}

/* "<time> [<pid>] LEVEL:  text", or a program's line. */
static bool is_worth_telling(const char *line)
{
    return is_fatal(line) != NULL || strncmp(line, "wal-fetch: error", 16) == 0 ||
           strncmp(line, "wal-fetch: hint", 15) == 0 || strstr(line, " HINT:  ") != NULL;
}

void server_log_tell(const struct server_log *log)
{
    struct buffer text = BUFFER_EMPTY;
    unsigned told = 0;

    if (file_read_all(log->path, 64u << 20, &text) != FILE_OK)
        return;
    for (char *line = (char *)text.data, *end; line != NULL && told < LINES_MOST; line = end) {
        end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        if (is_worth_telling(line)) {
            log_info("server: %s", line);
            told++;
        }
    }
    buffer_free(&text);
}
