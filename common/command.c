#include "command.h"

#include "interrupt.h"
#include "log.h"
#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMPLAINT_BYTES 300
#define LOOK_MILLISECONDS 200 /* at the clock, and for a signal */

/* Copies one word to *out, which moves behind it; false when a quote is not closed. */
static bool split_word(const char **next, char **out)
{
    const char *in = *next;
    char quote = '\0';

    for (; *in != '\0' && (quote != '\0' || strchr(" \t\r\n", *in) == NULL); in++) {
        if (quote == '\0' && (*in == '"' || *in == '\'')) {
            quote = *in;
        } else if (*in == quote && quote != '\0') {
            quote = '\0';
        } else if (*in == '\\' &&
                   (quote == '\0' || (quote == '"' && in[1] != '\0' && strchr("\"\\", in[1]) != NULL))) {
            if (in[1] == '\0')
                return false;
            *(*out)++ = *++in;
        } else {
            *(*out)++ = *in;
        }
    }
    *next = in;
    *(*out)++ = '\0';
    return quote == '\0';
}

int command_split(const char *line, char **memory, char *words[COMMAND_WORDS_MOST + 1], const char **problem)
{
    char *out = malloc(strlen(line) + 2);
    int count = 0;

    *memory = out;
    *problem = "out of memory";
    if (out == NULL)
        return log_out_of_memory();
    for (;;) {
        line += strspn(line, " \t\r\n");
        if (*line == '\0')
            break;
        *problem = "it has too many words";
        if (count == COMMAND_WORDS_MOST)
            return -1;
        words[count++] = out;
        *problem = "a quote in it is not closed";
        if (!split_word(&line, &out))
            return -1;
    }
    words[count] = NULL;
    *problem = "it is empty";
    return count > 0 && words[0][0] != '\0' ? count : -1;
}

/* "https://user:password@host", as a proxy's also without "https://", or "host=db password=..." */
static bool holds_password(const char *value, bool is_proxy)
{
    const char *authority = strstr(value, "://"), *at, *colon;

    if (strcasestr(value, "password=") != NULL)
        return true;
    if (authority == NULL && !is_proxy)
        return false;
    authority = authority != NULL ? authority + 3 : value;
    at = strchr(authority, '@');
    colon = strchr(authority, ':');
    return at != NULL && colon != NULL && colon < at;
}

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), end_length = strlen(end);

    return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

bool command_may_be_secret(const char *variable)
{
    static const char *const words[] = {"SECRET",     "TOKEN",      "PASSWORD",
                                        "PASSWD",     "PASSPHRASE", "PRIVATE_KEY",
                                        "ACCESS_KEY", "API_KEY",    "ENCRYPTION_KEY"};
    static const char *const ends[] = {"_KEY", "_PASS", "_PWD"};
    size_t length = strcspn(variable, "=");
    char name[256];

    if (length >= sizeof name)
        return true;
    for (size_t i = 0; i < length; i++)
        name[i] = variable[i] >= 'a' && variable[i] <= 'z' ? (char)(variable[i] - 'a' + 'A') : variable[i];
    name[length] = '\0';
    if (variable[length] == '=' && holds_password(variable + length + 1, ends_with(name, "PROXY")))
        return true;
    if (ends_with(name, "_FILE"))
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (ends_with(name, ends[i]))
            return true;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(name, words[i]) != NULL)
            return true;
    return false;
}

/* Caller frees the list alone. NULL after logging. */
static char **clean_environment(void)
{
    size_t count = 0, kept = 0;
    char **list;

    while (environ != NULL && environ[count] != NULL)
        count++;
    list = calloc(count + 1, sizeof *list);
    if (list == NULL)
        log_out_of_memory();
    for (size_t i = 0; list != NULL && i < count; i++)
        if (!command_may_be_secret(environ[i]))
            list[kept++] = environ[i];
    return list;
}

/* A child in a process group of its own, with default signals. 0, or errno. */
static int spawn(char *const words[], int out, int complaints, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char **list = clean_environment();
    sigset_t none, all;
    int error = ENOMEM;

    if (list == NULL)
        return ENOMEM;
    if (posix_spawn_file_actions_init(&actions) == 0) {
        if (posix_spawnattr_init(&attributes) == 0) {
            sigemptyset(&none);
            sigfillset(&all);
            posix_spawnattr_setsigmask(&attributes, &none);
            posix_spawnattr_setsigdefault(&attributes, &all);
            posix_spawnattr_setflags(&attributes,
                                     POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
            error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
            if (error == 0)
                error = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
            if (error == 0)
                error = posix_spawn_file_actions_adddup2(&actions, complaints, STDERR_FILENO);
            if (error == 0) /* libcurl's sockets, for example */
                error = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
            if (error == 0)
                error = posix_spawnp(pid, words[0], &actions, &attributes, words, list);
            posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    free(list);
    return error;
}

struct complaint { /* the end of what it wrote to standard error */
    char text[COMPLAINT_BYTES];
    size_t length;
};

static void take_complaint(struct complaint *complaint, const char *data, size_t length)
{
    size_t most = sizeof complaint->text - 1;

    if (length > most) {
        data += length - most;
        length = most;
    }
    if (complaint->length + length > most) {
        size_t gone = complaint->length + length - most;
        memmove(complaint->text, complaint->text + gone, complaint->length - gone);
        complaint->length -= gone;
    }
    memcpy(complaint->text + complaint->length, data, length);
    complaint->length += length;
    complaint->text[complaint->length] = '\0';
}

/* Its last line. */
static const char *last_line(struct complaint *complaint)
{
    char *text = complaint->text;

    while (complaint->length > 0 && strchr(" \t\r\n", text[complaint->length - 1]) != NULL)
        text[--complaint->length] = '\0';
    return strrchr(text, '\n') != NULL ? strrchr(text, '\n') + 1 : text;
}

/* Until both pipes are closed. NULL, or why it was given up, in words. */
static const char *collect(int out, int complaints, int64_t deadline, size_t most, struct buffer *output,
                           struct complaint *complaint)
{
    struct pollfd ends[2] = {{out, POLLIN, 0}, {complaints, POLLIN, 0}};
    const char *problem = NULL;
    char block[4096];
    size_t taken = 0;

    while (problem == NULL && (ends[0].fd >= 0 || ends[1].fd >= 0)) {
        if (interrupt_requested())
            problem = "it was interrupted";
        else if (monotonic_now() >= deadline)
            problem = "it took too long";
        else if (poll(ends, 2, LOOK_MILLISECONDS) < 0 && errno != EINTR)
            problem = "its output could not be waited for";
        for (int i = 0; problem == NULL && i < 2; i++) {
            if (ends[i].fd < 0 || ends[i].revents == 0)
                continue;
            ssize_t got = read(ends[i].fd, block, sizeof block);
            if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) {
                ends[i].fd = -1; /* poll passes over it */
            } else if (got > 0 && i == 1) {
                take_complaint(complaint, block, (size_t)got);
            } else if (got > 0) {
                taken += (size_t)got;
                if (taken > most)
                    problem = "it wrote too much";
                else if (buffer_append(output, block, (size_t)got) != 0)
                    problem = "out of memory";
            }
        }
    }
    explicit_bzero(block, sizeof block);
    return problem;
}

/* Waits for its end, which comes soon: its output is closed, or it is killed. */
static int await(pid_t pid, int64_t deadline)
{
    const struct timespec pause = {0, 5 * 1000000};
    int status = 0;
    pid_t ended;

    while ((ended = waitpid(pid, &status, WNOHANG)) == 0 || (ended < 0 && errno == EINTR)) {
        if (monotonic_now() >= deadline)
            kill(-pid, SIGKILL);
        nanosleep(&pause, NULL);
    }
    return ended == pid ? status : -1;
}

static int run_words(const char *what, char *const words[], unsigned seconds, size_t most,
                     struct buffer *output)
{
    int64_t deadline = monotonic_now() + (int64_t)seconds * 1000000;
    struct complaint complaint = {.length = 0, .text = ""};
    int out[2] = {-1, -1}, complaints[2] = {-1, -1}, error, status, result = -1;
    const char *problem;
    pid_t pid;

    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(complaints, O_CLOEXEC) != 0) {
        log_error("could not run %s: %m", what);
        goto done;
    }
    error = spawn(words, out[1], complaints[1], &pid);
    if (error != 0) {
        errno = error;
        log_error("could not run %s (\"%s\"): %m", what, words[0]);
        goto done;
    }
    close(out[1]);
    close(complaints[1]);
    out[1] = complaints[1] = -1;
    problem = collect(out[0], complaints[0], deadline, most, output, &complaint);
    if (problem != NULL)
        kill(-pid, SIGKILL);
    status = await(pid, deadline);
    if (problem != NULL)
        log_error("gave %s (\"%s\") up: %s", what, words[0], problem);
    else if (WIFSIGNALED(status))
        log_error("%s (\"%s\") was ended by signal %d", what, words[0], WTERMSIG(status));
    else if (status != 0)
        log_error("%s (\"%s\") failed with exit status %d%s%s", what, words[0], WEXITSTATUS(status),
                  complaint.length > 0 ? ": " : "", last_line(&complaint));
    else
        result = 0;
done:
    for (int i = 0; i < 2; i++) {
        if (out[i] >= 0)
            close(out[i]);
        if (complaints[i] >= 0)
            close(complaints[i]);
    }
    return result;
}

int command_run(const char *what, const char *line, unsigned seconds, size_t most, struct buffer *output)
{
    char *words[COMMAND_WORDS_MOST + 1], *memory;
    const char *problem;
    size_t length = strlen(line);
    int result = -1;

    if (command_split(line, &memory, words, &problem) < 0)
        log_error("could not run %s: %s", what, problem);
    else
        result = run_words(what, words, seconds, most, output);
    if (memory != NULL)
        explicit_bzero(memory, length + 2);
    free(memory);
    return result;
}
