/* A program of PostgreSQL's that runs beside us: we read what it writes, or it reads what we write. Bounded
 * memory; ended by a signal that ends us. */
#ifndef WALFERRY_TOOL_H
#define WALFERRY_TOOL_H

#include "common/child.h"
#include "common/config.h"

#define TOOL_MESSAGES_BYTES 8192

struct tool {
    const char *what;                   /* for messages: "pg_dump of database \"shop\"". Borrowed */
    pid_t pid;                          /* 0: it does not run */
    int pipe;                           /* its standard output, or input; -1 */
    int complaints;                     /* its standard error; -1 */
    char messages[TOOL_MESSAGES_BYTES]; /* the first ones, and the last */
    size_t length;
    unsigned stall_seconds;
    void (*tick)(void *context); /* several times a second; NULL */
    void *context;
};

/* What is told to it: words, the first of them a path; ends with NULL. */
enum tool_side { TOOL_WRITES, TOOL_READS };
struct tool_wish {
    const char *what;
    char *const *words;
    enum tool_side side;
    int out;                /* TOOL_READS: its standard output; -1: ours */
    int inherited;          /* as in child.h */
    unsigned stall_seconds; /* it is ended when it has neither written nor read, nor ended, for so long; 0:
                               never */
    void (*tick)(void *context);
    void *context;
};
/* 0, or -1 after logging. Then it has to be ended by tool_end or tool_stop. */
int tool_start(const struct tool_wish *wish, struct tool *tool);

/* How many bytes came, at most size; 0: it has written all; -1 after logging, also when we are to end (which
 * is not logged). */
ssize_t tool_read(struct tool *tool, void *out, size_t size);
/* 0; 1: it reads no more; -1 as tool_read. */
int tool_write(struct tool *tool, const void *data, size_t length);

/* Closes the pipe and waits for its end. 0: it has ended with status 0, its warnings are logged; -1 after
 * logging what it said. */
int tool_end(struct tool *tool);
/* Has it ended by itself, with status 0? */
bool tool_has_succeeded(struct tool *tool);
/* Ends it, at once: nothing of what it wrote or read is of use. NULL-safe for one that does not run. */
void tool_stop(struct tool *tool);

/* A password file that only our children see; -1 in *fd without a password. 0, or -1 after logging. */
int tool_open_passfile(const char *key, const char *conninfo, int *fd);
/* Where they see it: "/proc/self/fd/5". NULL for -1. */
const char *tool_passfile_path(int fd, char out[32]);

/* The path of a program of PostgreSQL's, of this major version or a later one; *major: which it is. Caller
 * frees. NULL after logging. */
char *tool_find(const struct config *config, const char *program, unsigned least, unsigned *major);

#endif
