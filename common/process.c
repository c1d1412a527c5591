#include "process.h"

#include "file.h"
#include "log.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

void process_end_by(int number)
{
    _exit(128 + number);
}

/* The kernel keeps from process 1, as the program of a container is, each signal that it has no handler for:
 * the container would be waited for until it is killed. */
static void end_by_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    const struct sigaction action = {.sa_handler = process_end_by};

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction before;
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            sigaction(signals[i], &action, NULL);
    }
}

void process_begin(void)
{
    /* 1, not 0: that alone also stops a core that goes to a program (man core). */
    const struct rlimit limit = {1, 1};
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
    signal(SIGCHLD, SIG_DFL); /* ignored, as some daemons leave it, a child's status could not be had */
    setrlimit(RLIMIT_CORE, &limit);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (getpid() == 1)
        end_by_signals();
}

char *process_directory(void)
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);

    if (length < 0) {
        log_error("could not read symbolic link \"/proc/self/exe\": %m");
        return NULL;
    }
    own[length] = '\0';
    return path_directory(own);
}
