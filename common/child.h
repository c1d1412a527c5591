/* Programs that we run for long: without a shell, each in a process group of its own, ended with us whatever
 * ends us. Layer 0. */
#ifndef WALFERRY_CHILD_H
#define WALFERRY_CHILD_H

#include "buffer.h"

#include <stdbool.h>
#include <sys/types.h>

/* Its environment is ours; that of a program which is not walferry's is without what may be a secret
 * (command.h), but for what S3 tools read: the server's wal-fetch may need it. */
struct child_wish {
    char *const *words;  /* the first is a path, or a name to be found by $PATH; ends with NULL */
    int out, complaints; /* standard output and error; -1: ours */
    int in;              /* standard input; 0: /dev/null */
    int inherited;       /* one more descriptor that it has under the same number; 0: none */
    bool is_foreign;
    int death_signal; /* when we are gone, however that came */
};

/* 0, or -1 after logging. */
int child_start(const struct child_wish *wish, pid_t *pid);

/* Has it ended? *status as waitpid(2) has it. */
bool child_has_ended(pid_t pid, int *status);

/* Ends it and its group: with this signal, after so many seconds with SIGKILL. True unless it had to be
 * killed. */
bool child_end(pid_t pid, int number, unsigned seconds);

/* Several times a second while something is waited for: -1 ends that: logged, but for a signal that came. */
struct look {
    int (*look)(void *context);
    void *context;
};

/* Runs it to its end; its messages are passed through, what it writes to standard output is appended to
 * *output (at most 16 MiB). Its exit status; -1 after logging: it did not run, was given up or ended by a
 * signal. */
int child_run(char *const *words, bool is_foreign, const struct look *look, struct buffer *output);

#endif
