#include "rate.h"

#include "interrupt.h"
#include "timestamp.h"

/* What was left unused this long ago is lost, so that a pause is not followed by a rush. */
#define SAVED_MICROSECONDS 100000
#define SLEEP_MILLISECONDS 100

void rate_init(struct rate *rate, uint64_t bytes_per_second)
{
    rate->bytes_per_second = bytes_per_second;
    rate->free_at = 0;
    pthread_mutex_init(&rate->lock, NULL);
}

void rate_destroy(struct rate *rate)
{
    pthread_mutex_destroy(&rate->lock);
}

/* When these bytes may go. */
static int64_t reserve(struct rate *rate, uint64_t bytes)
{
    int64_t now = monotonic_now();

    pthread_mutex_lock(&rate->lock);
    if (rate->free_at < now - SAVED_MICROSECONDS)
        rate->free_at = now - SAVED_MICROSECONDS;
    rate->free_at += (int64_t)((double)bytes * 1e6 / (double)rate->bytes_per_second);
    int64_t free_at = rate->free_at;
    pthread_mutex_unlock(&rate->lock);
    return free_at;
}

void rate_take(struct rate *rate, uint64_t bytes)
{
    if (rate->bytes_per_second == 0 || bytes == 0)
        return;
    int64_t until = reserve(rate, bytes);
    for (;;) {
        int64_t left = (until - monotonic_now()) / 1000;
        if (left <= 0 || interrupt_requested())
            return;
        interrupt_sleep(left < SLEEP_MILLISECONDS ? (unsigned)left : SLEEP_MILLISECONDS);
    }
}
