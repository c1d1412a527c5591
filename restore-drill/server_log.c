#include "server_log.h"

#include "common/buffer.h"
#include "common/file.h"
#include "common/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_MOST 20   /* are passed through */
#define LINE_MOST 16384 /* what is behind that in a line is not looked at */
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

/* Takes the whole lines in the block, which ends with a zero. How many bytes they are. */
static size_t take_block(struct server_log *log, char *block)
{
    char *line = block, *end;

    while ((end = strchr(line, '\n')) != NULL) {
        *end = '\0';
        if (!log->is_inside_line)
            take_line(log, line);
        log->is_inside_line = false;
        line = end + 1;
    }
    return (size_t)(line - block);
}

void server_log_read(struct server_log *log)
{
    int fd = open(log->path, O_RDONLY | O_CLOEXEC);
    char block[LINE_MOST + 1];
    ssize_t got;

    while (fd >= 0 && (got = pread(fd, block, LINE_MOST, (off_t)log->read)) > 0) {
        for (ssize_t i = 0; i < got; i++)
            if (block[i] == '\0')
                block[i] = ' ';
        block[got] = '\0';
        size_t taken = take_block(log, block);
        if (taken == 0 && got < LINE_MOST)
            break; /* the rest of the line is still to come */
        if (taken == 0) {
            if (!log->is_inside_line)
                take_line(log, block);
            log->is_inside_line = true;
            taken = (size_t)got;
        }
        log->read += taken;
    }
    if (fd >= 0)
        close(fd);
}

/* "<time> [<pid>] LEVEL:  text", or a program's line. */
static bool tells_of_end(const char *line)
{
    return is_fatal(line) != NULL || strncmp(line, "wal-fetch: error", 16) == 0 ||
           strncmp(line, "wal-fetch: hint", 15) == 0 || strstr(line, " HINT:  ") != NULL;
}

static bool is_warning(const char *line)
{
    return strncmp(line, "wal-fetch: warning", 18) == 0 || strncmp(line, "wal-fetch: error", 16) == 0;
}

static void tell(const struct server_log *log, bool (*is_told)(const char *line),
                 void (*say)(const char *format, ...))
{
    struct buffer text = BUFFER_EMPTY;
    unsigned told = 0;

    if (file_read_all(log->path, 64u << 20, &text) != FILE_OK)
        return;
    for (char *line = (char *)text.data, *end; line != NULL; line = end) {
        end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        if (is_told(line) && ++told <= LINES_MOST)
            say("server: %s", line);
    }
    if (told > LINES_MOST)
        say("server: and %u more of these", told - LINES_MOST);
    buffer_free(&text);
}

void server_log_tell(const struct server_log *log)
{
    tell(log, tells_of_end, log_info);
}

void server_log_warn(const struct server_log *log)
{
    tell(log, is_warning, log_warning);
}
