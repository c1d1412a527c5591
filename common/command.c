#include "command.h"

#include "child.h"
#include "interrupt.h"
#include "log.h"
#include "timestamp.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define PROBLEM_BYTES 1024
#define TOLD_BYTES (64u * 1024)
#define GRACE_SECONDS 5

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

struct limit { /* of a command */
    int64_t deadline;
    bool ends_with_us; /* it is given up when we are asked to end */
    const char *problem;
};

static int look_at_limit(void *context)
{
    struct limit *limit = context;

    if (limit->ends_with_us && interrupt_requested())
        limit->problem = "it was interrupted";
    else if (monotonic_now() >= limit->deadline)
        limit->problem = "it took too long";
    return limit->problem == NULL ? 0 : -1;
}

/* What is wrong with its end; "": nothing. */
static void describe_end(const struct child_call *call, const struct limit *limit, bool has_ended,
                         struct child_tail *tail, char *out, size_t bytes)
{
    const char *what = call->wish.what, *word = call->wish.words[0];

    *out = '\0';
    if (!has_ended)
        snprintf(out, bytes, "gave %s (\"%s\") up: %s", what, word,
                 call->problem != NULL ? call->problem : limit->problem);
    else if (WIFSIGNALED(call->status))
        snprintf(out, bytes, "%s (\"%s\") was ended by signal %d", what, word, WTERMSIG(call->status));
    else if (call->status != 0)
        snprintf(out, bytes, "%s (\"%s\") failed with exit status %d%s%s", what, word,
                 WEXITSTATUS(call->status), tail->length > 0 ? ": " : "", child_tail_line(tail));
}

/* call: wish and what becomes of the output. 0; -1: problem says why; "": that is logged. */
static int run_call(struct child_call *call, struct limit *limit, unsigned seconds, char *problem,
                    size_t bytes)
{
    const struct look look = {look_at_limit, limit};
    struct child_tail none = {.length = 0, .text = ""}, *tail = call->tail != NULL ? call->tail : &none;
    pid_t pid;

    limit->deadline = monotonic_now() + (int64_t)seconds * 1000000;
    call->look = &look;
    bool has_ended = child_collect(call, &pid) == 0;
    call->look = NULL;
    *problem = '\0';
    if (pid != 0)
        describe_end(call, limit, has_ended, tail, problem, bytes);
    return has_ended && *problem == '\0' ? 0 : -1;
}

static int run_words(const char *what, char *const words[], unsigned seconds, size_t most,
                     struct buffer *output)
{
    struct limit limit = {.ends_with_us = true};
    struct child_tail tail = {.length = 0, .text = ""};
    struct child_call call = {
        .wish = {.what = what, .words = words, .environment = ENVIRONMENT_CLEAN, .death_signal = SIGKILL},
        .output = output,
        .most = most,
        .is_bounded = true,
        .tail = &tail,
    };
    char problem[PROBLEM_BYTES];
    int result = run_call(&call, &limit, seconds, problem, sizeof problem);

    if (*problem != '\0')
        log_error("%s", problem);
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

static void log_lines(const char *what, char *text)
{
    char *place = NULL;

    for (char *line = strtok_r(text, "\r\n", &place); line != NULL; line = strtok_r(NULL, "\r\n", &place))
        log_info("%s: %s", what, line);
}

static int tell_words(const char *what, char *const words[], unsigned seconds, char *const *extra)
{
    struct limit limit = {.ends_with_us = false};
    struct buffer output = BUFFER_EMPTY;
    struct child_call call = {
        .wish = {.what = what,
                 .words = words,
                 .environment = ENVIRONMENT_CLEAN,
                 .extra = extra,
                 .death_signal = SIGTERM,
                 .is_minor = true},
        .output = &output,
        .most = TOLD_BYTES,
        .joins = true,
        .grace_seconds = GRACE_SECONDS,
    };
    char problem[PROBLEM_BYTES];
    int result = run_call(&call, &limit, seconds, problem, sizeof problem);

    if (output.length > 0)
        log_lines(what, (char *)output.data);
    if (*problem != '\0')
        log_warning("%s", problem);
    buffer_free(&output);
    return result;
}

int command_tell(const char *what, const char *line, unsigned seconds, char *const *extra)
{
    char *words[COMMAND_WORDS_MOST + 1], *memory;
    const char *problem;
    int result = -1;

    if (command_split(line, &memory, words, &problem) < 0)
        log_warning("could not run %s: %s", what, problem);
    else
        result = tell_words(what, words, seconds, extra);
    free(memory);
    return result;
}
