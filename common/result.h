/* --json: what a program did, as one JSON document on standard output at its end, after a failure too.
 * Layer 0. */
#ifndef WALFERRY_RESULT_H
#define WALFERRY_RESULT_H

#include "json.h"

#include <stdint.h>

struct result {
    struct json *document; /* members are added by whoever knows them */
    bool is_wanted;        /* else nothing is printed */
    int64_t begun;         /* monotonic */
};

/* The document begins with program and status. */
void result_begin(struct result *result, const char *program, bool is_wanted);

/* Sets bytes_per_second and seconds. */
void result_set_rate(struct result *result, uint64_t bytes);

/* Completes the document with the status and, where that is not 0, the error that was logged first; prints it
 * and frees it. The status: 1 where it was 0 and the document could not be printed. */
int result_end(struct result *result, int status);

#endif
