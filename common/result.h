/* What a program tells on standard output; with --json what it did, as one JSON document at its end, after a
 * failure too. Layer 0. */
#ifndef WALFERRY_RESULT_H
#define WALFERRY_RESULT_H

#include "json.h"

#include <stdint.h>

struct result {
    struct json *document; /* members are added by whoever knows them */
    bool is_wanted;        /* else nothing is printed */
    int64_t begun;         /* monotonic */
};

/* Was all of what was printed written? 0, or -1 after logging. */
int result_flush(void);

/* Prints {"cluster": ..., "repositories": list}, and frees list. 0, or -1 after logging. */
int result_print_repositories(const char *cluster, struct json *list);

/* The document begins with program and status. */
void result_begin(struct result *result, const char *program, bool is_wanted);

/* Sets bytes_per_second and seconds. */
void result_set_rate(struct result *result, uint64_t bytes);

/* Completes the document with the status and, where that is not 0, the error that was logged first; prints it
 * and frees it. The status: 1 where it was 0 and the document could not be printed. */
int result_end(struct result *result, int status);

#endif
