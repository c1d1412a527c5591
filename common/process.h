/* What every program does first. Layer 0. */
#ifndef WALFERRY_PROCESS_H
#define WALFERRY_PROCESS_H

/* Opens /dev/null for standard descriptors that the caller left closed: else the first file we open would
 * become our standard error, and a message would be written into a WAL file. Forbids core files and
 * debuggers: memory holds keys. A SIGCHLD that the caller ignored is not. As process 1 of a container SIGINT,
 * SIGTERM, SIGHUP and SIGQUIT end the program with 128 + their number, unless it catches them. */
void process_begin(void);

/* Ends the process at once, with 128 + number: the handler of a signal where its default action does nothing,
 * as in process 1. Does not return. */
void process_end_by(int number);

/* The directory of the running program, where those that belong to it are. Caller frees; NULL after logging.
 */
char *process_directory(void);

#endif
