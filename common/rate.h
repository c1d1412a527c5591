/* A limit for the bytes that all workers together read or write in a second (--max-rate). Layer 0. */
#ifndef WALFERRY_RATE_H
#define WALFERRY_RATE_H

#include <pthread.h>
#include <stdint.h>

struct rate {
    uint64_t bytes_per_second; /* 0: no limit */
    pthread_mutex_t lock;
    int64_t free_at; /* monotonic: what was taken so far is paid for then */
};

void rate_init(struct rate *rate, uint64_t bytes_per_second);
void rate_destroy(struct rate *rate);

/* Waits until there is time for so many bytes more, or interrupt_requested. */
void rate_take(struct rate *rate, uint64_t bytes);

#endif
