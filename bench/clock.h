/* Time as the programs of the benchmarks count it. */
#ifndef WALFERRY_BENCH_CLOCK_H
#define WALFERRY_BENCH_CLOCK_H

#include <sys/time.h>
#include <time.h>

/* Microseconds of CLOCK_MONOTONIC or CLOCK_REALTIME. */
static inline long long clock_now(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (long long)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static inline long long microseconds(struct timeval time)
{
    return (long long)time.tv_sec * 1000000 + time.tv_usec;
}

#endif
