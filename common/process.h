/* What every program does first. Layer 0. */
#ifndef WALFERRY_PROCESS_H
#define WALFERRY_PROCESS_H

/* Opens /dev/null for standard descriptors that the caller left closed: else the first file we open would
 * become our standard error, and a message would be written into a WAL file. Forbids core files and
 * debuggers: memory holds keys. A SIGCHLD that the caller ignored is not. As process 1 of a container SIGINT,
 * SIGTERM, SIGHUP and SIGQUIT end the program with 128 + their number, unless it catches them. */
void process_begin(void);

/* The directory of the running program, where those that belong to it are. Caller frees; NULL after logging.
 */
char *process_directory(void);

#endif
