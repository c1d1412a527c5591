#include "process.h"

#include "file.h"
#include "log.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

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
