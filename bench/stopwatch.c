/* stopwatch FILE COMMAND...: runs it and adds a line to FILE: "begin end user system peak status"; begin and
 * end are microseconds since 1970, peak is KiB. Ends as the command did, and waits for nothing that it leaves
 * behind. */
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
    char line[256];
    struct rusage usage;
    int status, fd;
    pid_t pid;

    if (argc < 3 || (fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) < 0) {
        fprintf(stderr, "usage: stopwatch FILE COMMAND...\n");
        return 2;
    }
    long long begun = clock_now(CLOCK_REALTIME);
    int error = posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ);
    if (error != 0) {
        fprintf(stderr, "stopwatch: %s: %s\n", argv[2], strerror(error));
        return 2;
    }
    while (wait4(pid, &status, 0, &usage) < 0)
        if (errno != EINTR)
            return 2;
    status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    int length =
        snprintf(line, sizeof line, "%lld %lld %lld %lld %ld %d\n", begun, clock_now(CLOCK_REALTIME),
                 microseconds(usage.ru_utime), microseconds(usage.ru_stime), usage.ru_maxrss, status);
    if (write(fd, line, (size_t)length) != length)
        return 2;
    return status;
}
