/* The command line that goes into restore_command. It is read three times: by PostgreSQL's configuration
 * lexer (settings_quote), by PostgreSQL itself, which replaces %f and %p and takes %% for a percent sign, and
 * by /bin/sh. This builds the text that the last two read. */
#ifndef WALFERRY_RESTORE_COMMAND_H
#define WALFERRY_RESTORE_COMMAND_H

#include "common/buffer.h"

struct restore_command {
    const char *program;             /* absolute path of wal-fetch */
    const char *config;              /* absolute path */
    const char *const *repositories; /* names, in any number; none: all */
    size_t repository_count;
    const char *timeline; /* NULL, or the number of the one that is recovered */
    const char *end_at;   /* NULL, or the segment from which on nothing is fetched any more */
};

/* Appends text so that the shell that PostgreSQL starts sees exactly these bytes as one word (or part of
 * one). 0, or -1 after logging: a line end can't stand in a setting. */
int restore_command_quote(const char *text, struct buffer *out);

/* Caller frees; NULL after logging. */
char *restore_command_build(const struct restore_command *command);

/* The wal-fetch that lies beside this program. Caller frees; NULL after logging that there is none that can
 * be run. */
char *restore_command_find_program(void);

#endif
