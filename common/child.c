#include "child.h"

#include "command.h"
#include "file.h"
#include "log.h"
#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OUTPUT_MOST_BYTES (16u << 20)
#define LOOK_MILLISECONDS 100
#define END_SECONDS 10

static void pause_shortly(void)
{
    nanosleep(&(struct timespec){0, 20 * 1000000}, NULL);
}

/* Caller frees the list alone. NULL after logging. */
static char **environment_for(bool is_foreign)
{
    size_t count = 0, kept = 0;

    while (environ[count] != NULL)
        count++;
    char **list = calloc(count + 1, sizeof *list);
    if (list == NULL)
        log_out_of_memory();
    for (size_t i = 0; list != NULL && i < count; i++)
        if (!is_foreign || strncmp(environ[i], "AWS_", 4) == 0 || !command_may_be_secret(environ[i]))
            list[kept++] = environ[i];
    return list;
}

/* In the child, between fork and exec: only what is safe there. */
static void become(const struct child_wish *wish, char *const *variables, pid_t parent, int problem)
{
    int in = wish->in != 0 ? wish->in : open("/dev/null", O_RDONLY | O_CLOEXEC), error;
    sigset_t none;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, wish->death_signal);
    if (getppid() != parent)
        _exit(1);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (in >= 0 && dup2(in, STDIN_FILENO) >= 0 &&
        (wish->inherited == 0 || fcntl(wish->inherited, F_SETFD, 0) == 0) &&
        (wish->out < 0 || dup2(wish->out, STDOUT_FILENO) >= 0) &&
        (wish->complaints < 0 || dup2(wish->complaints, STDERR_FILENO) >= 0))
        execvpe(wish->words[0], wish->words, variables);
    error = errno;
    file_write_fully(problem, &error, sizeof error);
    _exit(127);
}

int child_start(const struct child_wish *wish, pid_t *pid)
{
    pid_t parent = getpid();
    char **variables = environment_for(wish->is_foreign);
    int ends[2], error = 0;

    if (variables == NULL)
        return -1;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        log_error("could not run \"%s\": %m", wish->words[0]);
        free(variables);
        return -1;
    }
    *pid = fork();
    if (*pid == 0)
        become(wish, variables, parent, ends[1]);
    if (*pid < 0)
        error = errno;
    free(variables);
    close(ends[1]);
    if (*pid > 0) {
        ssize_t got;
        while ((got = read(ends[0], &error, sizeof error)) < 0 && errno == EINTR)
            ;
        if (got == sizeof error)
            waitpid(*pid, NULL, 0);
        else
            error = 0; /* the pipe was closed by exec */
    }
    close(ends[0]);
    if (error == 0)
        return 0;
    errno = error;
    log_error("could not run \"%s\": %m", wish->words[0]);
    return -1;
}

bool child_has_ended(pid_t pid, int *status)
{
    pid_t ended;

    while ((ended = waitpid(pid, status, WNOHANG)) < 0 && errno == EINTR)
        ;
    return ended != 0;
}

bool child_end(pid_t pid, int number, unsigned seconds)
{
    int64_t deadline = monotonic_now() + (int64_t)seconds * 1000000;
    int status;

    kill(pid, number);
    while (!child_has_ended(pid, &status)) {
        if (monotonic_now() > deadline) {
            kill(-pid, SIGKILL);
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return false;
        }
        pause_shortly();
    }
    return true;
}

/* 0 at its end, -1 after logging. */
static int collect(int from, const struct look *look, struct buffer *output)
{
    char block[4096];

    for (;;) {
        struct pollfd end = {from, POLLIN, 0};
        if (look->look(look->context) != 0)
            return -1;
        if (poll(&end, 1, LOOK_MILLISECONDS) <= 0)
            continue;
        ssize_t got = read(from, block, sizeof block);
        if (got == 0 || (got < 0 && errno != EINTR))
            return 0;
        if (got > 0 && output->length + (size_t)got <= OUTPUT_MOST_BYTES &&
            buffer_append(output, block, (size_t)got) != 0)
            return -1;
    }
}

int child_run(char *const *words, bool is_foreign, const struct look *look, struct buffer *output)
{
    struct child_wish wish = {
        .words = words, .complaints = -1, .is_foreign = is_foreign, .death_signal = SIGTERM};
    int ends[2], status = 0, result;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        log_error("could not run \"%s\": %m", words[0]);
        return -1;
    }
    wish.out = ends[1];
    result = child_start(&wish, &pid);
    close(ends[1]);
    if (result == 0) {
        result = collect(ends[0], look, output);
        while (result == 0 && !child_has_ended(pid, &status)) {
            result = look->look(look->context);
            pause_shortly();
        }
        if (result != 0)
            child_end(pid, SIGTERM, END_SECONDS);
    }
    close(ends[0]);
    if (result != 0)
        return -1;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    log_error("%s was ended by signal %d", path_name(words[0]), WTERMSIG(status));
    return -1;
}
