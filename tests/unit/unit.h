/* The smallest unit test: CHECK counts, a failure says where and what, unit_done gives the exit status.
 * A program ends with "NAME: N passed, N failed". */
#ifndef WALFERRY_UNIT_H
#define WALFERRY_UNIT_H

#include <ftw.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int unit_passed, unit_failed;

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (condition)                                                                                       \
            unit_passed++;                                                                                   \
        else {                                                                                               \
            unit_failed++;                                                                                   \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                        \
        }                                                                                                    \
    } while (0)

/* Without which the test cannot go on. */
#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

#define CHECK_TEXT(actual, expected)                                                                         \
    do {                                                                                                     \
        const char *unit_actual = (actual), *unit_expected = (expected);                                     \
        if (unit_actual != NULL && strcmp(unit_actual, unit_expected) == 0)                                  \
            unit_passed++;                                                                                   \
        else {                                                                                               \
            unit_failed++;                                                                                   \
            fprintf(stderr, "%s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #actual,           \
                    unit_actual ? unit_actual : "(null)", unit_expected);                                    \
        }                                                                                                    \
    } while (0)

static inline int unit_remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

/* A path, good until the fourth one after it. */
__attribute__((format(printf, 1, 2))) static inline char *unit_path(const char *format, ...)
{
    static char paths[4][512];
    static unsigned next;
    char *out = paths[next++ % 4];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(out, sizeof paths[0], format, arguments);
    va_end(arguments);
    return out;
}

static FILE *unit_said;
static int unit_stderr = -1;

/* From here on standard error is kept, up to unit_heard. */
static inline void unit_listen(void)
{
    unit_said = tmpfile();
    unit_stderr = dup(STDERR_FILENO);
    fflush(stderr);
    CHECK(unit_said != NULL && unit_stderr >= 0 && dup2(fileno(unit_said), STDERR_FILENO) >= 0);
}

/* What was written there since unit_listen. */
static inline const char *unit_listened(void)
{
    static char said[20000];
    size_t length;

    fflush(stderr);
    dup2(unit_stderr, STDERR_FILENO);
    close(unit_stderr);
    rewind(unit_said);
    length = fread(said, 1, sizeof said - 1, unit_said);
    said[length] = '\0';
    fclose(unit_said);
    return said;
}

/* Was this written there since unit_listen? */
static inline bool unit_heard(const char *text)
{
    const char *said = unit_listened();

    if (strstr(said, text) == NULL)
        fprintf(stderr, "not \"%s\" was written, but:\n%s", text, said);
    return strstr(said, text) != NULL;
}

/* A directory and all in it. */
static inline void unit_remove_tree(const char *path)
{
    CHECK(nftw(path, unit_remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

/* A file of these bytes. */
static inline void unit_write(const char *path, const void *data, size_t length)
{
    FILE *file = fopen(path, "we");

    CHECK(file != NULL && fwrite(data, 1, length, file) == length && fclose(file) == 0);
}

/* Runs a program, found by $PATH, and reads what it writes to standard output, at most bytes - 1, into
 * output. Its exit status; -1 when there is none. */
static inline int unit_run(char *const arguments[], char *output, size_t bytes)
{
    int ends[2], status = -1;
    size_t length = 0;
    ssize_t got;

    output[0] = '\0';
    if (pipe(ends) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execvp(arguments[0], arguments);
        _exit(127);
    }
    close(ends[1]);
    while (pid > 0 && (got = read(ends[0], output + length, bytes - 1 - length)) > 0)
        length += (size_t)got;
    close(ends[0]);
    output[length] = '\0';
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int unit_done(const char *name)
{
    printf("%s: %d passed, %d failed\n", name, unit_passed, unit_failed);
    fflush(stdout); /* before a leak checker ends the process */
    return unit_failed != 0;
}

#endif
