#include "interrupt.h"

#include "process.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int caught_signal; /* lock-free, so a handler may set it and any thread read it */
static atomic_bool failed;

static void remember_signal(int number)
{
    atomic_store(&caught_signal, number);
    if (getpid() == 1) /* which the default action, restored by SA_RESETHAND, does not end */
        signal(number, process_end_by);
}

void interrupt_catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action;

    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = remember_signal;
    action.sa_flags = (int)SA_RESETHAND; /* no SA_RESTART: waits end */
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction before;
        /* Started with nohup: SIGHUP stays ignored. */
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

void interrupt_request(void)
{
    atomic_store(&failed, true);
}

void interrupt_forget(void)
{
    atomic_store(&failed, false);
}

bool interrupt_requested(void)
{
    return atomic_load(&failed) || atomic_load(&caught_signal) != 0;
}

int interrupt_signal(void)
{
    return atomic_load(&caught_signal);
}

void interrupt_raise_again(void)
{
    int number = interrupt_signal();

    signal(number, SIG_DFL);
    raise(number);
    _exit(128 + number); /* process 1 of a container: its own signals do not end it */
}

void interrupt_sleep(unsigned milliseconds)
{
    struct timespec time = {(time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000};

    nanosleep(&time, NULL);
}
