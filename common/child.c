#include "child.h"

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

/* Start */

/* In the child, between fork and exec: only what is safe there. */

/* What was open when we were started, for example. */
static void close_others(int problem, int inherited)
{
    int last = problem > inherited ? problem : inherited;

    for (int fd = STDERR_FILENO + 1; fd < last; fd++)
        if (fd != problem && fd != inherited)
            close(fd);
    closefrom(last + 1);
}

static void become(const struct child_wish *wish, char *const *variables, pid_t parent, int problem)
{
    int in, error;
    sigset_t none;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, wish->death_signal);
    if (getppid() != parent)
        _exit(1);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    in = wish->in != 0 ? wish->in : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (in >= 0 && dup2(in, STDIN_FILENO) >= 0 && (wish->out < 0 || dup2(wish->out, STDOUT_FILENO) >= 0) &&
        (wish->complaints < 0 || dup2(wish->complaints, STDERR_FILENO) >= 0) &&
        (wish->inherited == 0 || fcntl(wish->inherited, F_SETFD, 0) == 0)) {
        close_others(problem, wish->inherited);
        execvpe(wish->words[0], wish->words, variables);
    }
    error = errno;
    file_write_fully(problem, &error, sizeof error);
    _exit(127);
}

static int not_run(const struct child_wish *wish)
{
    if (wish->what != NULL && wish->is_minor)
        log_warning("could not run %s (\"%s\"): %m", wish->what, wish->words[0]);
    else if (wish->what != NULL)
        log_error("could not run %s (\"%s\"): %m", wish->what, wish->words[0]);
    else
        log_error("could not run \"%s\": %m", wish->words[0]);
    return -1;
}

int child_start(const struct child_wish *wish, pid_t *pid)
{
    pid_t parent = getpid();
    char **variables = environment_for(wish->environment, wish->extra);
    int ends[2], error = 0;

    if (variables == NULL)
        return -1;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        not_run(wish);
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
    return not_run(wish);
}

/* End */

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

/* The group too, also what it has left in it; before its number may be another's. */
static void give_up(pid_t pid, unsigned grace_seconds)
{
    int64_t deadline = monotonic_now() + (int64_t)grace_seconds * 1000000;
    siginfo_t information = {.si_pid = 0};

    if (grace_seconds > 0)
        kill(-pid, SIGTERM);
    while (monotonic_now() < deadline &&
           waitid(P_PID, (id_t)pid, &information, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           information.si_pid == 0)
        pause_shortly();
    kill(-pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* Output */

static void take_tail(struct child_tail *tail, const char *data, size_t length)
{
    size_t most = sizeof tail->text - 1;

    if (length > most) {
        data += length - most;
        length = most;
    }
    if (tail->length + length > most) {
        size_t gone = tail->length + length - most;
        memmove(tail->text, tail->text + gone, tail->length - gone);
        tail->length -= gone;
    }
    memcpy(tail->text + tail->length, data, length);
    tail->length += length;
    tail->text[tail->length] = '\0';
}

const char *child_tail_line(struct child_tail *tail)
{
    char *text = tail->text;

    while (tail->length > 0 && strchr(" \t\r\n", text[tail->length - 1]) != NULL)
        text[--tail->length] = '\0';
    return strrchr(text, '\n') != NULL ? strrchr(text, '\n') + 1 : text;
}

static void take_output(struct child_call *call, size_t *taken, const char *data, size_t length)
{
    size_t room = call->most - *taken;

    if (length > room && call->is_bounded)
        call->problem = "it wrote too much";
    else if (buffer_append(call->output, data, length < room ? length : room) != 0)
        call->problem = "out of memory";
    *taken += length < room ? length : room;
}

/* Until both pipes are closed. 0, or -1: it is to be given up. */
static int collect(struct child_call *call, int out, int complaints)
{
    struct pollfd ends[2] = {{out, POLLIN, 0}, {complaints, POLLIN, 0}};
    char block[4096];
    size_t taken = 0;
    int result = 0;

    while (result == 0 && (ends[0].fd >= 0 || ends[1].fd >= 0)) {
        ends[0].revents = ends[1].revents = 0;
        if (call->look->look(call->look->context) != 0)
            result = -1;
        else if (poll(ends, 2, LOOK_MILLISECONDS) < 0 && errno != EINTR)
            call->problem = "its output could not be waited for";
        for (int i = 0; result == 0 && call->problem == NULL && i < 2; i++) {
            if (ends[i].fd < 0 || ends[i].revents == 0)
                continue;
            ssize_t got = read(ends[i].fd, block, sizeof block);
            if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
                ends[i].fd = -1; /* poll passes over it */
            else if (got > 0 && i == 1)
                take_tail(call->tail, block, (size_t)got);
            else if (got > 0)
                take_output(call, &taken, block, (size_t)got);
        }
        if (call->problem != NULL)
            result = -1;
    }
    explicit_bzero(block, sizeof block); /* it may be a key */
    return result;
}

static void close_ends(int ends[2])
{
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    ends[0] = ends[1] = -1;
}

int child_collect(struct child_call *call, pid_t *pid)
{
    int out[2] = {-1, -1}, complaints[2] = {-1, -1}, result = -1;

    *pid = 0;
    call->problem = NULL;
    if (pipe2(out, O_CLOEXEC) != 0 || (call->tail != NULL && pipe2(complaints, O_CLOEXEC) != 0)) {
        not_run(&call->wish);
        close_ends(out);
        return -1;
    }
    call->wish.out = out[1];
    call->wish.complaints = call->joins ? out[1] : complaints[1];
    if (child_start(&call->wish, pid) != 0) {
        *pid = 0;
    } else {
        close(out[1]);
        if (complaints[1] >= 0)
            close(complaints[1]);
        out[1] = complaints[1] = -1;
        result = collect(call, out[0], complaints[0]);
        while (result == 0 && !child_has_ended(*pid, &call->status)) {
            result = call->look->look(call->look->context) == 0 ? 0 : -1;
            pause_shortly();
        }
        if (result != 0)
            give_up(*pid, call->grace_seconds);
    }
    close_ends(out);
    close_ends(complaints);
    return result;
}

int child_run(char *const *words, enum environment environment, const struct look *look,
              struct buffer *output)
{
    struct child_call call = {
        .wish = {.words = words, .environment = environment, .death_signal = SIGTERM},
        .look = look,
        .output = output,
        .most = OUTPUT_MOST_BYTES,
        .grace_seconds = END_SECONDS,
    };
    pid_t pid;

    if (child_collect(&call, &pid) != 0) {
        if (call.problem != NULL)
            log_error("gave %s up: %s", path_name(words[0]), call.problem);
        return -1;
    }
    if (WIFEXITED(call.status))
        return WEXITSTATUS(call.status);
    log_error("%s was ended by signal %d", path_name(words[0]), WTERMSIG(call.status));
    return -1;
}
