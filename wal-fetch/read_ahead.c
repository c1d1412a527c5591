#include "read_ahead.h"

#include "ahead.h"
#include "hole.h"
#include "inquiry.h"

#include "common/log.h"
#include "common/timestamp.h"
#include "common/worker_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PARALLEL_MOST 16        /* of the configuration */
#define LOOK_MILLISECONDS 100   /* how often everything is looked at */
#define REQUEST_SECONDS_MOST 15 /* without progress */

struct result {
    uint32_t timeline;
    uint64_t number;
    bool found;
};

struct task {
    struct helper *helper;
    char name[WAL_SEGMENT_NAME_BYTES];
    uint32_t timeline;
    uint64_t number;
    int fd; /* NAME.part, locked */
};

struct worker {
    struct situation situation;
    struct landing landing;
    struct checksum checksum; /* of what lands */
    struct inquiry inquiry;
    int64_t *rest;
};

/* A segment of the window, by its number modulo the most there can be. */
struct place {
    uint32_t timeline;
    uint64_t number;
    enum { PLACE_EMPTY, PLACE_FETCHING, PLACE_FILLED } state;
};

struct helper {
    const struct ahead *ahead;
    struct situation situation; /* with absolute directories */
    unsigned seconds;           /* of a request, without progress */
    int lock;
    int server, news; /* descriptors of the postmaster and of what changes in the directory, or -1 */
    struct worker workers[PARALLEL_MOST];
    struct worker_pool *pool;

    pthread_mutex_t mutex; /* for the next three */
    struct result results[PARALLEL_MOST];
    unsigned result_count;
    bool is_over;
    int event; /* there are results */

    char position[WAL_SEGMENT_NAME_BYTES];
    int64_t moved; /* monotonic: when the position was last another one */
    uint32_t timeline;
    uint64_t first, end; /* what may be read ahead: from first up to, without, end */
    uint64_t stop;       /* what could not be had; UINT64_MAX: nothing */
    struct place places[READ_AHEAD_SEGMENTS_MOST];
    unsigned in_flight, found; /* found: since the last one that could not be had */
};

/* Workers */

static void tell(struct helper *helper, const struct task *task, bool found)
{
    const uint64_t one = 1;

    pthread_mutex_lock(&helper->mutex);
    helper->results[helper->result_count++] = (struct result){task->timeline, task->number, found};
    pthread_mutex_unlock(&helper->mutex);
    ssize_t written = write(helper->event, &one, sizeof one);
    (void)written;
}

static int fetch(void *context, void *argument)
{
    struct worker *worker = context;
    struct task *task = argument;
    struct helper *helper = task->helper;
    int directory = helper->ahead->directory;
    unsigned char checksum[CHECKSUM_BYTES];
    bool found = false;

    worker->situation.name = task->name;
    worker->situation.parsed = wal_name_parse(task->name);
    snprintf(worker->situation.content_name, sizeof worker->situation.content_name, "%s", task->name);
    if (landing_lend(task->fd, task->name, helper->situation.control.segment_bytes, &worker->checksum,
                     &worker->landing) == 0 &&
        inquiry_ask_once(&worker->inquiry, helper->seconds, worker->rest) == OUTCOME_FOUND) {
        checksum_digest(&worker->checksum, checksum);
        pthread_mutex_lock(&helper->mutex); /* nothing gets a name any more when the directory is cleared */
        found = !helper->is_over && ahead_part_finish(directory, task->name, checksum);
        pthread_mutex_unlock(&helper->mutex);
    }
    if (!found)
        ahead_part_give_up(directory, task->name);
    close(task->fd);
    tell(helper, task, found);
    free(task);
    return 0;
}

static bool start_workers(struct helper *helper)
{
    const struct ahead *ahead = helper->ahead;
    unsigned count = ahead->config->wal_fetch_parallel;
    void *contexts[PARALLEL_MOST];

    for (unsigned i = 0; i < count; i++) {
        struct worker *worker = &helper->workers[i];
        worker->situation = helper->situation;
        worker->rest = calloc(ahead->config->repository_count, sizeof *worker->rest);
        if (worker->rest == NULL ||
            inquiry_open(ahead->config, NULL, &worker->situation, &worker->landing, &worker->inquiry) != 0)
            return false;
        contexts[i] = worker;
    }
    const struct worker_pool_settings settings = {
        .workers = count, .queue_length = PARALLEL_MOST, .work = fetch, .worker_contexts = contexts};
    helper->pool = worker_pool_start(&settings);
    return helper->pool != NULL;
}

/* What is to be fetched */

static bool has_room(const struct helper *helper)
{
    struct statvfs status;

    return fstatvfs(helper->ahead->directory, &status) == 0 &&
           (uint64_t)status.f_bavail * status.f_frsize >=
               (uint64_t)helper->ahead->segments * helper->situation.control.segment_bytes * 2;
}

static struct place *place_of(struct helper *helper, uint64_t number)
{
    struct place *place = &helper->places[number % READ_AHEAD_SEGMENTS_MOST];

    if (place->number != number || place->timeline != helper->timeline)
        *place = (struct place){.timeline = helper->timeline, .number = number};
    return place;
}

static void limit_to(uint64_t *end, uint64_t most)
{
    if (*end > most)
        *end = most;
}

/* The segments behind the one that was handed over last; none beyond the end of its timeline, or of what the
 * user wants. */
static void set_window(struct helper *helper, const char *position)
{
    const struct ahead *ahead = helper->ahead;
    const uint32_t segment_bytes = helper->situation.control.segment_bytes;
    struct wal_name name = wal_name_parse(position), last;
    uint64_t number, limit;

    memcpy(helper->position, position, sizeof helper->position);
    helper->moved = monotonic_now();
    helper->first = helper->end = 0;
    if (!wal_segment_number(&name, segment_bytes, &number))
        return;
    if (name.timeline != helper->timeline || number >= helper->stop) {
        helper->stop = UINT64_MAX;
        helper->found = 0;
    }
    helper->timeline = name.timeline;
    helper->first = number + 1;
    helper->end = helper->first + ahead->segments;
    limit = hole_timeline_end(&helper->situation, name.timeline);
    if (limit != 0)
        limit_to(&helper->end, limit / segment_bytes);
    if (ahead->end_at != NULL) {
        last = wal_name_parse(ahead->end_at);
        if (last.timeline == name.timeline && wal_segment_number(&last, segment_bytes, &limit))
            limit_to(&helper->end, limit);
    }
}

static uint64_t window_end(const struct helper *helper)
{
    return helper->end < helper->stop ? helper->end : helper->stop;
}

/* Removes what is not in the window. */
static void drop_others(struct helper *helper)
{
    const uint64_t end = window_end(helper);

    ahead_file_keep(helper->ahead->directory, helper->situation.control.segment_bytes, helper->timeline,
                    helper->first, end == 0 ? 0 : end - 1);
    for (unsigned i = 0; i < READ_AHEAD_SEGMENTS_MOST; i++)
        if (helper->places[i].state == PLACE_FILLED &&
            (helper->places[i].number < helper->first || helper->places[i].number >= end))
            helper->places[i].state = PLACE_EMPTY;
}

/* part: NAME.part, if it has been begun already, or -1. */
static bool submit(struct helper *helper, uint64_t number, int part)
{
    struct task *task = malloc(sizeof *task);
    bool is_taken = false;

    if (task == NULL)
        return false;
    *task = (struct task){.helper = helper, .timeline = helper->timeline, .number = number, .fd = part};
    wal_segment_name(helper->timeline, number, helper->situation.control.segment_bytes, task->name);
    if (task->fd < 0)
        task->fd = ahead_part_begin(helper->ahead->directory, task->name, &is_taken);
    if (task->fd < 0) {
        if (is_taken) /* by the call that asks for it */
            place_of(helper, number)->state = PLACE_FILLED;
        free(task);
        return is_taken;
    }
    place_of(helper, number)->state = PLACE_FETCHING;
    helper->in_flight++;
    return worker_pool_submit(helper->pool, task) == 0;
}

static bool is_there(const struct helper *helper, uint64_t number)
{
    char name[WAL_SEGMENT_NAME_BYTES];
    struct ahead_file file;

    wal_segment_name(helper->timeline, number, helper->situation.control.segment_bytes, name);
    return ahead_file_find(helper->ahead->directory, name, &file);
}

/* In order. One more at a time than have been found: so beyond the end of the archive one is asked for in
 * vain, not as many as there are workers. */
static bool fill_window(struct helper *helper)
{
    for (uint64_t number = helper->first; number < window_end(helper); number++) {
        unsigned most = helper->ahead->config->wal_fetch_parallel;
        struct place *place = place_of(helper, number);
        if (place->state != PLACE_EMPTY)
            continue;
        if (helper->in_flight >= most || helper->in_flight > helper->found || !has_room(helper))
            break;
        if (is_there(helper, number))
            place->state = PLACE_FILLED; /* of a helper that was killed */
        else if (!submit(helper, number, -1))
            return false;
    }
    return true;
}

static void take_result(struct helper *helper, const struct result *result)
{
    helper->in_flight--;
    if (result->found)
        helper->found++;
    if (result->timeline != helper->timeline || result->number < helper->first)
        return; /* whoever asked for it has fetched it himself */
    place_of(helper, result->number)->state = result->found ? PLACE_FILLED : PLACE_EMPTY;
    if (!result->found) {
        limit_to(&helper->stop, result->number);
        helper->found = 0;
    }
}

static void take_results(struct helper *helper)
{
    struct result results[PARALLEL_MOST];
    unsigned count;
    uint64_t ignored;

    pthread_mutex_lock(&helper->mutex);
    count = helper->result_count;
    memcpy(results, helper->results, count * sizeof *results);
    helper->result_count = 0;
    pthread_mutex_unlock(&helper->mutex);
    for (unsigned i = 0; i < count; i++)
        take_result(helper, &results[i]);
    if (count > 0)
        drop_others(helper);
    ssize_t taken = read(helper->event, &ignored, sizeof ignored);
    (void)taken;
}

/* The end */

static volatile sig_atomic_t told_to_end;

static void end_soon(int signal_number)
{
    (void)signal_number;
    told_to_end = 1;
}

static void end_at_once(int signal_number)
{
    (void)signal_number;
    _exit(1);
}

/* It never ends by a signal that can be caught (rule 11). */
static void catch_signals(void)
{
    static const int polite[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM};
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP, SIGXCPU};
    struct sigaction action = {.sa_handler = end_soon}, before;
    sigset_t none;

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof polite / sizeof polite[0]; i++)
        sigaction(polite[i], &action, NULL);
    action.sa_handler = end_at_once;
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        if (sigaction(fatal[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            sigaction(fatal[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool server_is_gone(const struct helper *helper)
{
    int64_t pid, started;

    if (helper->server >= 0) { /* readable when the process has ended */
        struct pollfd end = {.fd = helper->server, .events = POLLIN};
        return poll(&end, 1, 0) != 0;
    }
    return (kill((pid_t)helper->situation.postmaster_pid, 0) != 0 && errno != EPERM) ||
           !postmaster_read(helper->situation.data_directory, &pid, &started) ||
           pid != helper->situation.postmaster_pid || started != helper->situation.postmaster_started;
}

static bool recovery_is_over(const struct helper *helper)
{
    enum server_mode mode;

    return server_mode_read(helper->situation.data_directory, &mode) != 0 ||
           mode != (helper->situation.caller == CALLER_STANDBY ? SERVER_STANDBY : SERVER_RECOVERY);
}

static _Noreturn void end(struct helper *helper)
{
    pthread_mutex_lock(&helper->mutex);
    helper->is_over = true;
    pthread_mutex_unlock(&helper->mutex);
    close(helper->lock);
    ahead_directory_drop(helper->ahead->state->directory, helper->ahead->name);
    _exit(0);
}

/* Until something happens; where that is not told, until it is time to look. poll passes over -1. */
static void wait_for_news(const struct helper *helper)
{
    struct pollfd any[] = {{.fd = helper->event, .events = POLLIN},
                           {.fd = helper->news, .events = POLLIN},
                           {.fd = helper->server, .events = POLLIN}};
    unsigned char events[4096];

    poll(any, sizeof any / sizeof any[0], LOOK_MILLISECONDS);
    while (helper->news >= 0 && read(helper->news, events, sizeof events) > 0)
        ;
}

static void watch(struct helper *helper)
{
    char directory[64];

    snprintf(directory, sizeof directory, "/proc/self/fd/%d", helper->ahead->directory);
    helper->server = (int)syscall(SYS_pidfd_open, (pid_t)helper->situation.postmaster_pid, 0);
    helper->news = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (helper->news >= 0)
        inotify_add_watch(helper->news, directory, IN_MOVED_TO | IN_DELETE);
}

/* part: of the first segment behind the position. */
static _Noreturn void run(struct helper *helper, int part)
{
    char position[WAL_SEGMENT_NAME_BYTES];

    drop_others(helper);
    bool goes_on = start_workers(helper) && (part < 0 || submit(helper, helper->first, part));
    while (goes_on && !told_to_end && !server_is_gone(helper) && !recovery_is_over(helper) &&
           ahead_position_read(helper->ahead->directory, position)) {
        if (strcmp(position, helper->position) != 0) {
            set_window(helper, position);
            drop_others(helper);
        }
        if (monotonic_now() - helper->moved > READ_AHEAD_IDLE_SECONDS * INT64_C(1000000))
            break;
        take_results(helper);
        goes_on = fill_window(helper);
        if (goes_on)
            wait_for_news(helper);
    }
    end(helper);
}

/* Becoming a process of its own */

static void close_from_to(int first, int last)
{
    if (first > last || close_range((unsigned)first, (unsigned)last, 0) == 0)
        return;
    for (int fd = first; fd <= last && fd < 65536; fd++) /* an old kernel */
        close(fd);
}

/* All but the standard ones and these; -1 is none. */
static void close_others(int first, int second, int third)
{
    int kept[] = {first, second, third}, from = STDERR_FILENO + 1;

    for (;;) {
        int next = INT_MAX;
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
            if (kept[i] >= from && kept[i] < next)
                next = kept[i];
        close_from_to(from, next == INT_MAX ? INT_MAX : next - 1);
        if (next == INT_MAX)
            return;
        from = next + 1;
    }
}

static bool leave(const struct ahead *ahead, int lock, int part)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(null, STDERR_FILENO) < 0 || chdir("/") != 0)
        return false;
    close_others(lock, part, ahead->directory);
    prctl(PR_SET_NAME, "wal-fetch-ahead", 0, 0, 0);
    return true;
}

/* A server that is process 1 takes an orphan's end by a signal, as when memory runs out, for a crash of one
 * of its own, and ends all sessions (rule 11). So there the helper is no orphan: its parent waits for it, and
 * ends well however it ends. */
static void leave_guard(void)
{
    pid_t pid = fork();

    if (pid == 0)
        return;
    close_others(-1, -1, -1);
    prctl(PR_SET_NAME, "wal-fetch-guard", 0, 0, 0);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    _exit(pid > 0 ? 0 : 1);
}

static _Noreturn void become_helper(const struct ahead *ahead, struct helper *helper, int part)
{
    const struct config *config = ahead->config;
    unsigned limit = ahead->situation->caller == CALLER_STANDBY ? config->wal_fetch_standby_timeout_seconds
                                                                : config->wal_fetch_timeout_seconds;

    setsid(); /* the server signals the whole group of its children */
    catch_signals();
    if (!leave(ahead, helper->lock, part))
        _exit(1);
    if (ahead->situation->postmaster_pid == 1)
        leave_guard();
    helper->seconds = limit / 4 < 1 ? 1 : limit / 4 > REQUEST_SECONDS_MOST ? REQUEST_SECONDS_MOST : limit / 4;
    watch(helper);
    helper->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (helper->event < 0 || !situation_is_current(&helper->situation))
        end(helper);
    run(helper, part);
}

/* So that the call for the next segment, however soon, sees that it is being fetched. */
static int begin_first(struct helper *helper)
{
    char name[WAL_SEGMENT_NAME_BYTES];
    bool is_taken;

    if (is_there(helper, helper->first))
        return -1;
    wal_segment_name(helper->timeline, helper->first, helper->situation.control.segment_bytes, name);
    return ahead_part_begin(helper->ahead->directory, name, &is_taken);
}

bool read_ahead_start(const struct ahead *ahead, int lock)
{
    struct helper *helper = calloc(1, sizeof *helper);
    sigset_t all, before;
    pid_t pid = -1;

    if (helper == NULL)
        return false;
    *helper = (struct helper){.ahead = ahead,
                              .situation = *ahead->situation,
                              .lock = lock,
                              .server = -1,
                              .news = -1,
                              .event = -1,
                              .stop = UINT64_MAX};
    helper->situation.data_directory = ahead->data_directory;
    helper->situation.directory = realpath(ahead->situation->directory, NULL);
    pthread_mutex_init(&helper->mutex, NULL);
    if (helper->situation.directory != NULL)
        set_window(helper, ahead->situation->name);
    if (helper->first < helper->end && has_room(helper)) {
        int part = begin_first(helper);
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &before);
        pid = fork();
        if (pid == 0)
            become_helper(ahead, helper, part);
        sigprocmask(SIG_SETMASK, &before, NULL);
        if (pid < 0)
            log_debug("could not start a process to read ahead: %m");
        if (part >= 0)
            close(part);
    }
    free(helper->situation.directory);
    free(helper);
    return pid > 0;
}
