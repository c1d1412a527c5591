/* A user's command, run without a shell. Layer 0. Its environment is a clean one (environment.h), its
 * standard input /dev/null; no descriptor of ours is inherited. */
#ifndef WALFERRY_COMMAND_H
#define WALFERRY_COMMAND_H

#include "buffer.h"

#include <stddef.h>

#define COMMAND_WORDS_MOST 64

/* Cuts a line into words at blanks, as a POSIX shell does and AWS's tools do for credential_process: "..."
 * (within which a backslash keeps a quote or a backslash) and '...' hold blanks together, a backslash outside
 * keeps the next character; nothing else means anything. words ends with NULL and points into *memory (caller
 * wipes and frees). Returns the number of words; -1 with *problem when a quote is not closed, or there are
 * none or too many words; also without memory, logged. */
int command_split(const char *line, char **memory, char *words[COMMAND_WORDS_MOST + 1], const char **problem);

/* Runs line, whose first word is a path or a name to be found by $PATH, for something secret: appends what it
 * writes to standard output. Its process group is killed after so many seconds, or when it writes more than
 * most bytes, or when the program is asked to end. 0, or -1 after logging: what names the command in the
 * message, not its arguments, which may be secret; the end of what it wrote to standard error is shown. */
int command_run(const char *what, const char *line, unsigned seconds, size_t most, struct buffer *output);

/* Runs a command that is to be told something: extra as in environment.h. What it writes, the first 64 KiB of
 * it, is logged line by line. It is not ended because the program is asked to end, but by SIGTERM, and 5
 * seconds later SIGKILL, when its time is over. 0, or -1 after a warning. */
int command_tell(const char *what, const char *line, unsigned seconds, char *const *extra);

#endif
