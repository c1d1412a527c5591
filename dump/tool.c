#include "tool.h"

#include "common/file.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/pg_programs.h"
#include "common/server.h"
#include "common/timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MILLISECONDS 50
#define END_SECONDS 10
#define VERSION_SECONDS 60
#define PIPE_BYTES (1 << 20) /* so that it works on while we store */

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int tool_start(const struct tool_wish *wish, struct tool *tool)
{
    static char *const own[] = {"LC_ALL=C", "LANGUAGE=C", NULL}; /* messages that find_reason understands */
    struct child_wish child = {.words = wish->words,
                               .extra = own,
                               .out = wish->out,
                               .environment = ENVIRONMENT_CLEAN,
                               .inherited = wish->inherited};
    int pipes[2] = {-1, -1}, complaints[2] = {-1, -1};
    bool it_writes = wish->side == TOOL_WRITES;

    *tool = (struct tool){.what = wish->what,
                          .pipe = -1,
                          .complaints = -1,
                          .stall_seconds = wish->stall_seconds,
                          .tick = wish->tick,
                          .context = wish->context};
    if (pipe2(pipes, O_CLOEXEC) != 0 || pipe2(complaints, O_CLOEXEC) != 0) {
        log_error("could not make a pipe: %m");
        close_one(&pipes[0]);
        close_one(&pipes[1]);
        return -1;
    }
    fcntl(pipes[0], F_SETPIPE_SZ, PIPE_BYTES); /* if this user may */
    child.complaints = complaints[1];
    child.death_signal = SIGTERM;
    if (it_writes)
        child.out = pipes[1];
    else
        child.in = pipes[0];
    int result = child_start(&child, &tool->pid);
    close_one(&pipes[it_writes ? 1 : 0]);
    close_one(&complaints[1]);
    tool->pipe = pipes[it_writes ? 0 : 1];
    tool->complaints = complaints[0];
    if (result == 0) {
        fcntl(tool->pipe, F_SETFL, O_NONBLOCK);
        fcntl(tool->complaints, F_SETFL, O_NONBLOCK);
        return 0;
    }
    tool->pid = 0;
    tool_stop(tool);
    return -1;
}

/* The first of them are kept, and the last. False: there will be no more. */
static bool take_messages(struct tool *tool)
{
    char block[1024];
    ssize_t got;

    while ((got = read(tool->complaints, block, sizeof block)) > 0) {
        size_t room = sizeof tool->messages - 1 - tool->length;
        size_t gone = (size_t)got > room ? (size_t)got - room : 0;
        char *tail = tool->messages + sizeof tool->messages / 2;
        if (gone > 0) {
            tool->length -= gone;
            memmove(tail, tail + gone, (size_t)(tool->messages + tool->length - tail));
        }
        memcpy(tool->messages + tool->length, block, (size_t)got);
        tool->length += (size_t)got;
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Until the pipe is ready, or a while. since: when we began to wait. -1: we are to end, or it stands still,
 * which is logged. */
static int wait_for(struct tool *tool, short events, int64_t since)
{
    struct pollfd ends[2] = {{tool->pipe, events, 0}, {tool->complaints, POLLIN, 0}};

    if (interrupt_requested())
        return -1;
    if (tool->stall_seconds > 0 && monotonic_now() > since + (int64_t)tool->stall_seconds * 1000000) {
        log_error("%s has stood still for %u seconds and is ended", tool->what, tool->stall_seconds);
        return -1;
    }
    if (tool->tick != NULL)
        tool->tick(tool->context);
    if (poll(ends, 2, LOOK_MILLISECONDS) > 0 && ends[1].revents != 0 && !take_messages(tool))
        close_one(&tool->complaints);
    return 0;
}

ssize_t tool_read(struct tool *tool, void *out, size_t size)
{
    int64_t since = monotonic_now();

    for (;;) {
        ssize_t got = read(tool->pipe, out, size);
        if (got >= 0)
            return got;
        if (errno != EAGAIN && errno != EINTR) {
            log_error("could not read from %s: %m", tool->what);
            return -1;
        }
        if (wait_for(tool, POLLIN, since) != 0)
            return -1;
    }
}

int tool_write(struct tool *tool, const void *data, size_t length)
{
    int64_t since = monotonic_now();
    const char *bytes = data;

    while (length > 0) {
        ssize_t done = write(tool->pipe, bytes, length);
        if (done > 0) {
            bytes += done;
            length -= (size_t)done;
            since = monotonic_now();
        } else if (done < 0 && errno == EPIPE) {
            return 1;
        } else if (done < 0 && errno != EAGAIN && errno != EINTR) {
            log_error("could not write to %s: %m", tool->what);
            return -1;
        } else if (wait_for(tool, POLLOUT, since) != 0) {
            return -1;
        }
    }
    return 0;
}

/* The line that says why, else the last one. Cuts the messages into lines. */
static const char *find_reason(char *messages)
{
    const char *last = "";
    char *rest;

    for (char *line = strtok_r(messages, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (strstr(line, "error: ") != NULL || strstr(line, "FATAL: ") != NULL)
            return line;
        last = line;
    }
    return last;
}

static void tell_warnings(char *messages)
{
    char *rest;

    for (char *line = strtok_r(messages, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        log_warning("%s", line);
}

static int judge(struct tool *tool, int status)
{
    tool->messages[tool->length] = '\0';
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        tell_warnings(tool->messages);
        return 0;
    }
    const char *reason = find_reason(tool->messages);
    if (WIFSIGNALED(status))
        log_error("%s was ended by signal %d%s%s", tool->what, WTERMSIG(status), *reason != '\0' ? ": " : "",
                  reason);
    else
        log_error("%s failed with exit status %d%s%s", tool->what, WEXITSTATUS(status),
                  *reason != '\0' ? ": " : "", reason);
    return -1;
}

int tool_end(struct tool *tool)
{
    int64_t since = monotonic_now();
    int status;

    close_one(&tool->pipe);
    while (!child_has_ended(tool->pid, &status))
        if (wait_for(tool, 0, since) != 0) {
            tool_stop(tool);
            return -1;
        }
    tool->pid = 0;
    if (tool->complaints >= 0)
        take_messages(tool);
    close_one(&tool->complaints);
    return judge(tool, status);
}

bool tool_has_succeeded(struct tool *tool)
{
    int status;

    if (tool->pid == 0 || !child_has_ended(tool->pid, &status))
        return false;
    tool->pid = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void tool_stop(struct tool *tool)
{
    if (tool->pid != 0)
        child_end(tool->pid, SIGTERM, END_SECONDS);
    tool->pid = 0;
    close_one(&tool->pipe);
    close_one(&tool->complaints);
}

int tool_open_passfile(const char *key, const char *conninfo, int *fd)
{
    char *line;

    *fd = -1;
    if (server_passfile_line(key, conninfo, &line) != 0)
        return -1;
    if (line == NULL)
        return 0;
    *fd = memfd_create("passfile", MFD_CLOEXEC);
    /* libpq passes over one that others may read */
    bool good = *fd >= 0 && fchmod(*fd, 0600) == 0 && file_write_fully(*fd, line, strlen(line)) == 0;
    explicit_bzero(line, strlen(line));
    free(line);
    if (good)
        return 0;
    log_error("could not make a password file in memory: %m");
    close_one(fd);
    return -1;
}

const char *tool_passfile_path(int fd, char out[32])
{
    if (fd < 0)
        return NULL;
    snprintf(out, 32, "/proc/self/fd/%d", fd);
    return out;
}

/* context: until when it may take. */
static int look_at_clock(void *context)
{
    return interrupt_requested() || monotonic_now() > *(const int64_t *)context ? -1 : 0;
}

char *tool_find(const struct config *config, const char *program, unsigned least, unsigned *major)
{
    int64_t deadline = monotonic_now() + VERSION_SECONDS * 1000000ll;
    const struct look look = {look_at_clock, &deadline};
    unsigned number; /* as PG_VERSION_NUM */
    char *directory =
        pg_programs_find(program, least, PG_PROGRAMS_NEWEST, config->dump_pg_bin, &look, &number);
    *major = number / 10000;
    if (*major == 0 && directory != NULL && monotonic_now() > deadline)
        log_warning("%s in \"%s\" has not told its version within %d seconds", program, directory,
                    VERSION_SECONDS);
    char *path = directory == NULL || *major < least ? NULL : path_join(directory, program);

    if (path == NULL && *major != 0 && *major < least)
        log_error("%s in \"%s\" is of PostgreSQL %u, but %u or later is needed", program, directory, *major,
                  least);
    else if (path == NULL)
        log_error("%s of PostgreSQL %u or later was not found", program, least);
    if (path == NULL)
        log_hint(
            "Install the client programs of PostgreSQL %u, or name their directory with pg_bin in section "
            "[dump] of the configuration.",
            least);
    free(directory);
    return path;
}
