/* How far a program is, or what it waits for: one line that is updated on a terminal, a message every half
 * minute in a log. Layer 0. */
#ifndef WALFERRY_PROGRESS_H
#define WALFERRY_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct progress {
    atomic_ullong done_bytes; /* read so far; workers add */
    uint64_t total_bytes;     /* an estimate; 0: unknown */
    bool is_terminal;
    bool is_wanted;
    int64_t begun; /* monotonic */
    int64_t told;
    const char *stage; /* what is waited for; NULL: nothing, bytes are read */
    int64_t stage_begun;
};

/* wanted: --progress. On a terminal it is shown anyway, unless messages of level info are not. */
void progress_init(struct progress *progress, bool wanted);
/* Something is waited for: "waiting for the checkpoint". Borrowed; NULL: no more. */
void progress_stage(struct progress *progress, const char *stage);
/* The copy begins. */
void progress_begin(struct progress *progress, uint64_t total_bytes);
void progress_add(struct progress *progress, uint64_t bytes);
/* Tells, if it is time. The main thread calls it every so often. */
void progress_tick(struct progress *progress);
/* Clears the line of a terminal. */
void progress_end(struct progress *progress);

/* "1.5 GiB"; out has room for 32 bytes. */
void progress_format_bytes(uint64_t bytes, char out[32]);

#endif
