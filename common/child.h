/* Programs that we run: without a shell, each in a process group of its own, with default signals and no
 * descriptor of ours that it is not given, ended with us whatever ends us. Layer 0. */
#ifndef WALFERRY_CHILD_H
#define WALFERRY_CHILD_H

#include "buffer.h"
#include "environment.h"

#include <stdbool.h>
#include <sys/types.h>

struct child_wish {
    const char *what;    /* it is called so in a message; NULL: by the first word alone */
    char *const *words;  /* the first is a path, or a name to be found by $PATH; ends with NULL */
    int in;              /* standard input; 0: /dev/null */
    int out, complaints; /* standard output and error; -1: ours */
    int inherited;       /* one more descriptor that it has under its number; 0: none */
    enum environment environment;
    char *const *extra; /* variables: environment.h; NULL: none */
    int death_signal;   /* when we are gone, however that came */
    bool is_minor;      /* if it cannot be run, that is a warning */
};

/* 0, or -1 after logging. */
int child_start(const struct child_wish *wish, pid_t *pid);

/* Has it ended? *status as waitpid(2) has it. */
bool child_has_ended(pid_t pid, int *status);

/* Ends it and its group: with this signal, after so many seconds with SIGKILL. True unless it had to be
 * killed. */
bool child_end(pid_t pid, int number, unsigned seconds);

/* Several times a second while something is waited for: not 0 ends that. It has logged why, unless a signal
 * came or whoever waits knows. */
struct look {
    int (*look)(void *context);
    void *context;
};

#define CHILD_TAIL_BYTES 300
struct child_tail { /* the end of what it wrote to standard error */
    char text[CHILD_TAIL_BYTES];
    size_t length;
};
/* Its last line, borrowed; "": there is none. */
const char *child_tail_line(struct child_tail *tail);

/* Runs a program to its end, and takes what it writes; descriptors of the wish are set here. */
struct child_call {
    struct child_wish wish;
    const struct look *look;
    struct buffer *output;   /* what it writes to standard output is appended */
    size_t most;             /* bytes of it; the rest is dropped */
    bool is_bounded;         /* the rest is not dropped: it is given up */
    bool joins;              /* output has what it writes to standard error, too */
    struct child_tail *tail; /* of standard error; NULL: that is ours */
    unsigned grace_seconds;  /* it is given up with SIGTERM, and killed after so long; 0: at once */
    const char *problem;     /* set: why it was given up, in words; NULL: look knows */
    int status;              /* set: as waitpid(2) has it */
};

/* 0: it has ended, by itself. -1: it was not started (logged; pid is 0), or given up with all its group. */
int child_collect(struct child_call *call, pid_t *pid);

/* The same in short: messages are passed through, of the output at most 16 MiB are kept. Its exit status; -1
 * after logging: it did not run, was given up or ended by a signal. */
int child_run(char *const *words, enum environment environment, const struct look *look,
              struct buffer *output);

#endif
