/* measure [--without NAME] FILE COMMAND...: runs it and adds a line to FILE: "wall user system peak",
 * microseconds and KiB. Ends as the command did. CPU time is that of the command and all its descendants,
 * those that it leaves behind too; they are waited for, but not within wall. Peak memory is the most that one
 * of them held at once, or, if more, the sum over all that live together, looked at every 20 ms (proportional
 * set size: what they share counts once). What is called NAME counts for neither, nor what it waits for. */
#include "clock.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_NANOSECONDS 20000000

extern char **environ;

static const char *without = "";

/* Has the process, a zombie perhaps, the name that does not count? */
static bool is_left_out(long pid)
{
    char path[64], name[64] = "";

    snprintf(path, sizeof path, "/proc/%ld/comm", pid);
    FILE *file = fopen(path, "re");
    if (file != NULL && fgets(name, sizeof name, file) != NULL)
        name[strcspn(name, "\n")] = '\0';
    if (file != NULL)
        fclose(file);
    return without[0] != '\0' && strcmp(name, without) == 0;
}

static long proportional_kib(long pid)
{
    char path[64], line[256];
    long kib = 0;

    snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Pss: %ld", &kib) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return kib;
}

/* Of all below a process. *processes counts them. */
static long tree_kib(long pid, unsigned *processes)
{
    char path[64];
    long child, total = 0;

    snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", pid, pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fscanf(file, "%ld", &child) == 1) {
        if (!is_left_out(child)) {
            total += proportional_kib(child);
            (*processes)++;
        }
        total += tree_kib(child, processes);
    }
    if (file != NULL)
        fclose(file);
    return total;
}

struct total {
    long long user, system;
    long peak_kib;
};

static void add(struct total *total, const struct rusage *usage)
{
    total->user += microseconds(usage->ru_utime);
    total->system += microseconds(usage->ru_stime);
    if (usage->ru_maxrss > total->peak_kib)
        total->peak_kib = usage->ru_maxrss;
}

/* Waits for one of the children, which may have ended already: as waitpid. */
static pid_t reap(int options, int *status, struct total *total)
{
    siginfo_t info = {.si_pid = 0};
    struct rusage usage;

    if (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | options) != 0)
        return -1;
    if (info.si_pid == 0)
        return 0;
    bool counts = !is_left_out(info.si_pid);
    pid_t ended = wait4(info.si_pid, status, 0, &usage);
    if (ended > 0 && counts)
        add(total, &usage);
    return ended;
}

/* Sleeps until the child has ended, looking at the tree's memory now and then. */
static int wait_for(pid_t pid, struct total *total)
{
    const struct timespec pause = {0, SAMPLE_NANOSECONDS};
    sigset_t child_signal;
    int status = 0;

    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    for (;;) {
        pid_t ended = reap(WNOHANG, &status, total);
        if (ended == pid)
            return status;
        if (ended < 0 && errno != EINTR)
            return 1 << 8;
        if (ended == 0 && sigtimedwait(&child_signal, NULL, &pause) < 0 && errno == EAGAIN) {
            unsigned processes = 0;
            long kib = tree_kib(getpid(), &processes);
            if (processes > 1 && kib > total->peak_kib)
                total->peak_kib = kib;
        }
    }
}

int main(int argc, char **argv)
{
    struct total total = {0, 0, 0};
    posix_spawnattr_t attributes;
    sigset_t child_signal, none;
    pid_t pid;

    if (argc > 2 && strcmp(argv[1], "--without") == 0) {
        without = argv[2];
        argc -= 2;
        argv += 2;
    }
    if (argc < 3) {
        fprintf(stderr, "usage: measure [--without NAME] FILE COMMAND...\n");
        return 2;
    }
    FILE *out = fopen(argv[1], "ae");
    sigemptyset(&none);
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_signal, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* what the command leaves behind is ours to count */
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    long long begun = clock_now(CLOCK_MONOTONIC);
    int error = posix_spawnp(&pid, argv[2], NULL, &attributes, argv + 2, environ);
    if (out == NULL || error != 0) {
        fprintf(stderr, "measure: %s: %s\n", argv[error != 0 ? 2 : 1], strerror(error != 0 ? error : errno));
        return 2;
    }
    int status = wait_for(pid, &total);
    long long wall = clock_now(CLOCK_MONOTONIC) - begun;
    int other;
    while (reap(0, &other, &total) > 0)
        ;
    fprintf(out, "%lld %lld %lld %ld\n", wall, total.user, total.system, total.peak_kib);
    if (fclose(out) != 0)
        return 2;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
