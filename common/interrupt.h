/* Whether to go on: a signal that asks the program to end, or a failure in another thread. One for the
 * process. Layer 0. */
#ifndef WALFERRY_INTERRUPT_H
#define WALFERRY_INTERRUPT_H

#include <stdbool.h>

/* From now on the first SIGINT, SIGTERM or SIGHUP only sets a flag; a second one of its kind ends the process
 * at once. SIGPIPE is ignored. */
void interrupt_catch_signals(void);

/* Something has failed: everybody is to stop at the next opportunity. */
void interrupt_request(void);
/* Forgets that, not a signal: for another try. No other thread works any more. */
void interrupt_forget(void);

/* True after a signal or a request. Safe in every thread. */
bool interrupt_requested(void);

/* The signal that came, or 0. */
int interrupt_signal(void);

/* Ends the process by the signal that came, with its default action, so that the caller sees what happened
 * (process 1 of a container: with status 128 + its number). Does not return. */
void interrupt_raise_again(void);

/* Sleeps, at most milliseconds; returns early when a signal comes. */
void interrupt_sleep(unsigned milliseconds);

#endif
