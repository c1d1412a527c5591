/* A shared object for LD_PRELOAD: where a program's time goes, and what its threads have to do one after the
 * other. Of the program whose name begins with PROFILE_PROGRAM it writes to the file PROFILE_OUT:
 *
 *     thread WHO COUNT CPU            WHO is "main", or the address at which the others begin
 *     main STRETCH CPU WALL           of the main thread: before the first other thread, while, and after
 *     lock MUTEX WHERE COUNT HELD WAITED HELD-BY-MAIN   of each place in the program that takes a mutex
 *     sample WHO WHERE COUNT          what was being done, about every millisecond of a thread's CPU time
 *
 * Times are nanoseconds. WHERE is FILE+OFFSET, or FILE:FUNCTION of a library's: of a call into the kernel,
 * the function that made it. Time of the kernel's own locks is not to be told from its work. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PLACES_MOST 256
#define SAMPLES_MOST (1u << 20)
#define KINDS_MOST 16
#define HELD_MOST 8
#define SAMPLE_NANOSECONDS 1000000

/* A place that takes a mutex. */
struct lock_place {
    _Atomic(void *) where;
    void *mutex;
    atomic_ullong count, held, waited, held_by_main;
};

struct sample {
    void *kind, *where;
};

struct kind {
    void *begin; /* NULL: the main thread */
    unsigned threads;
    unsigned long long cpu;
};

struct held {
    pthread_mutex_t *mutex;
    struct lock_place *place;
    uint64_t since;
};

struct begin {
    void *(*routine)(void *argument);
    void *argument;
};

static bool is_on;
static struct lock_place places[PLACES_MOST];
static struct sample *samples;
static atomic_uint sample_count;
static struct kind kinds[KINDS_MOST];
static unsigned kind_count;
static atomic_flag kinds_lock = ATOMIC_FLAG_INIT;
static _Thread_local void *own_kind;
static _Thread_local struct held held[HELD_MOST];
static _Thread_local unsigned held_count;
static _Thread_local bool is_main;
/* of the main thread, by the two clocks: when it began, made the first thread and had joined the last */
static uint64_t begun[2], threads_begun[2], threads_ended[2];

static int (*real_lock)(pthread_mutex_t *mutex);
static int (*real_trylock)(pthread_mutex_t *mutex);
static int (*real_unlock)(pthread_mutex_t *mutex);
static int (*real_wait)(pthread_cond_t *condition, pthread_mutex_t *mutex);
static int (*real_timedwait)(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until);
static int (*real_create)(pthread_t *thread, const pthread_attr_t *attributes, void *(*routine)(void *),
                          void *argument);
static int (*real_join)(pthread_t thread, void **result);

static uint64_t now(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void note_clocks(uint64_t clocks[2])
{
    clocks[0] = now(CLOCK_THREAD_CPUTIME_ID);
    clocks[1] = now(CLOCK_MONOTONIC);
}

/* The conditions have a version that is older than the one which programs use. */
static void find(void *pointer, const char *name)
{
    void *function = strncmp(name, "pthread_cond", 12) == 0 ? dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2") : NULL;

    if (function == NULL)
        function = dlsym(RTLD_NEXT, name);
    memcpy(pointer, &function, sizeof function);
}

static void find_functions(void)
{
    if (real_join != NULL)
        return;
    find(&real_lock, "pthread_mutex_lock");
    find(&real_trylock, "pthread_mutex_trylock");
    find(&real_unlock, "pthread_mutex_unlock");
    find(&real_wait, "pthread_cond_wait");
    find(&real_timedwait, "pthread_cond_timedwait");
    find(&real_create, "pthread_create");
    find(&real_join, "pthread_join");
}

/* Samples */

static void on_signal(int number, siginfo_t *info, void *context)
{
    const ucontext_t *state = context;
    unsigned index = atomic_fetch_add(&sample_count, 1);

    (void)number;
    (void)info;
    if (index >= SAMPLES_MOST)
        return;
#if defined __x86_64__
    samples[index].where = (void *)state->uc_mcontext.gregs[REG_RIP];
#elif defined __aarch64__
    samples[index].where = (void *)state->uc_mcontext.pc;
#else
    samples[index].where = (void *)state;
#endif
    samples[index].kind = own_kind;
}

/* For the thread that calls. The timer goes with the process. */
static void begin_samples(void)
{
    struct itimerspec period = {{0, SAMPLE_NANOSECONDS}, {0, SAMPLE_NANOSECONDS}};
    struct sigevent event;
    sigset_t signals;
    timer_t timer;

    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGPROF;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    sigemptyset(&signals);
    sigaddset(&signals, SIGPROF);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) == 0)
        timer_settime(timer, 0, &period, NULL);
}

/* Threads */

static void add_thread(void *kind, unsigned long long cpu)
{
    unsigned i = 0;

    while (atomic_flag_test_and_set(&kinds_lock))
        ;
    while (i < kind_count && kinds[i].begin != kind)
        i++;
    if (i < KINDS_MOST) {
        kind_count = i == kind_count ? i + 1 : kind_count;
        kinds[i].begin = kind;
        kinds[i].threads++;
        kinds[i].cpu += cpu;
    }
    atomic_flag_clear(&kinds_lock);
}

static void *run_thread(void *argument)
{
    struct begin begin = *(struct begin *)argument;

    free(argument);
    memcpy(&own_kind, &begin.routine, sizeof own_kind);
    begin_samples();
    void *result = begin.routine(begin.argument);
    add_thread(own_kind, now(CLOCK_THREAD_CPUTIME_ID));
    return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*routine)(void *),
                   void *argument)
{
    find_functions();
    struct begin *begin = is_on ? malloc(sizeof *begin) : NULL;

    if (begin == NULL)
        return real_create(thread, attributes, routine, argument);
    if (is_main && threads_begun[1] == 0)
        note_clocks(threads_begun);
    *begin = (struct begin){routine, argument};
    return real_create(thread, attributes, run_thread, begin);
}

int pthread_join(pthread_t thread, void **result)
{
    find_functions();
    int error = real_join(thread, result);

    if (is_on && is_main)
        note_clocks(threads_ended);
    return error;
}

/* Locks */

static struct lock_place *find_place(void *where, void *mutex)
{
    size_t index = ((uintptr_t)where >> 2) % PLACES_MOST;

    for (size_t i = 0; i < PLACES_MOST; i++, index = (index + 1) % PLACES_MOST) {
        void *found = NULL;
        if (atomic_compare_exchange_strong(&places[index].where, &found, where)) {
            places[index].mutex = mutex;
            return &places[index];
        }
        if (found == where)
            return &places[index];
    }
    return NULL;
}

static void took(pthread_mutex_t *mutex, void *where, uint64_t waited)
{
    struct lock_place *place = find_place(where, mutex);

    if (place == NULL || held_count == HELD_MOST)
        return;
    atomic_fetch_add(&place->count, 1);
    atomic_fetch_add(&place->waited, waited);
    held[held_count++] = (struct held){mutex, place, now(CLOCK_MONOTONIC)};
}

/* The place that had taken it, or NULL. */
static struct lock_place *gave(const pthread_mutex_t *mutex)
{
    for (unsigned i = held_count; i-- > 0;)
        if (held[i].mutex == mutex) {
            struct lock_place *place = held[i].place;
            uint64_t time = now(CLOCK_MONOTONIC) - held[i].since;
            atomic_fetch_add(&place->held, time);
            if (is_main)
                atomic_fetch_add(&place->held_by_main, time);
            memmove(&held[i], &held[i + 1], (--held_count - i) * sizeof held[0]);
            return place;
        }
    return NULL;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    find_functions();
    uint64_t waited = 0;
    int error = is_on ? real_trylock(mutex) : real_lock(mutex);

    if (is_on && error == EBUSY) {
        uint64_t since = now(CLOCK_MONOTONIC);
        error = real_lock(mutex);
        waited = now(CLOCK_MONOTONIC) - since;
    }
    if (is_on && error == 0)
        took(mutex, __builtin_return_address(0), waited);
    return error;
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    find_functions();
    int error = real_trylock(mutex);

    if (is_on && error == 0)
        took(mutex, __builtin_return_address(0), 0);
    return error;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    find_functions();
    if (is_on)
        gave(mutex);
    return real_unlock(mutex);
}

/* While it waits the mutex is free. */
static void take_again(pthread_mutex_t *mutex, struct lock_place *place)
{
    if (place != NULL && held_count < HELD_MOST)
        held[held_count++] = (struct held){mutex, place, now(CLOCK_MONOTONIC)};
}

int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    find_functions();
    struct lock_place *place = is_on ? gave(mutex) : NULL;
    int error = real_wait(condition, mutex);

    take_again(mutex, place);
    return error;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
    find_functions();
    struct lock_place *place = is_on ? gave(mutex) : NULL;
    int error = real_timedwait(condition, mutex, until);

    take_again(mutex, place);
    return error;
}

/* The report */

static void write_where(FILE *out, void *address)
{
    Dl_info info;

    if (address == NULL)
        fputs("main", out);
    else if (dladdr(address, &info) == 0)
        fputs("kernel:vdso", out);
    else if (strstr(info.dli_fname, ".so") != NULL)
        fprintf(out, "%s:%s", info.dli_fname, info.dli_sname == NULL ? "?" : info.dli_sname);
    else
        fprintf(out, "%s+%#lx", info.dli_fname, (unsigned long)((char *)address - (char *)info.dli_fbase));
}

static void write_locks(FILE *out)
{
    for (struct lock_place *place = places; place < places + PLACES_MOST; place++) {
        if (place->where == NULL)
            continue;
        fprintf(out, "lock %p ", place->mutex);
        write_where(out, (char *)place->where - 1); /* in the call, not behind it */
        fprintf(out, " %llu %llu %llu %llu\n", place->count, place->held, place->waited, place->held_by_main);
    }
}

static int compare_samples(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct sample));
}

static void write_samples(FILE *out)
{
    unsigned count = sample_count < SAMPLES_MOST ? sample_count : SAMPLES_MOST, same = 0;

    qsort(samples, count, sizeof samples[0], compare_samples);
    for (unsigned i = 0; i < count; i += same) {
        for (same = 1; i + same < count && compare_samples(&samples[i], &samples[i + same]) == 0; same++)
            ;
        fputs("sample ", out);
        write_where(out, samples[i].kind);
        fputc(' ', out);
        write_where(out, samples[i].where);
        fprintf(out, " %u\n", same);
    }
}

static void write_stretches(FILE *out)
{
    uint64_t ended[2];

    note_clocks(ended);
    if (threads_begun[1] == 0)
        memcpy(threads_begun, ended, sizeof ended);
    if (threads_ended[1] == 0)
        memcpy(threads_ended, ended, sizeof ended);
    fprintf(out, "main before %llu %llu\n", (unsigned long long)(threads_begun[0] - begun[0]),
            (unsigned long long)(threads_begun[1] - begun[1]));
    fprintf(out, "main while %llu %llu\n", (unsigned long long)(threads_ended[0] - threads_begun[0]),
            (unsigned long long)(threads_ended[1] - threads_begun[1]));
    fprintf(out, "main after %llu %llu\n", (unsigned long long)(ended[0] - threads_ended[0]),
            (unsigned long long)(ended[1] - threads_ended[1]));
}

__attribute__((constructor)) static void begin(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    const char *program = getenv("PROFILE_PROGRAM");

    find_functions();
    if (program == NULL || getenv("PROFILE_OUT") == NULL ||
        strncmp(program_invocation_short_name, program, strlen(program)) != 0)
        return;
    samples = calloc(SAMPLES_MOST, sizeof *samples);
    if (samples == NULL)
        return;
    is_on = is_main = true;
    note_clocks(begun);
    sigaction(SIGPROF, &action, NULL);
    begin_samples();
}

__attribute__((destructor)) static void end(void)
{
    FILE *out = is_on ? fopen(getenv("PROFILE_OUT"), "we") : NULL;

    is_on = false;
    signal(SIGPROF, SIG_IGN);
    if (out == NULL)
        return;
    add_thread(NULL, now(CLOCK_THREAD_CPUTIME_ID));
    for (unsigned i = 0; i < kind_count; i++) {
        fputs("thread ", out);
        write_where(out, kinds[i].begin);
        fprintf(out, " %u %llu\n", kinds[i].threads, kinds[i].cpu);
    }
    write_stretches(out);
    write_locks(out);
    write_samples(out);
    fclose(out);
}
