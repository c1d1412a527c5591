#include "ahead.h"

#include "stored.h"

#include "common/archive_status.h"
#include "common/file.h"
#include "common/log.h"
#include "common/timestamp.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define LOCK_NAME "wal-push.lock"
#define BEGIN_SECONDS 5 /* after so long no further segment is begun (rule 13) */
#define RISES_AFTER 8   /* segments without a "slow down": one more at once */
#define WORKERS_MOST 32 /* as in config.c */

struct ahead;

struct worker {
    struct ahead *ahead;
    struct shipper own, *shipper;
    unsigned index;
    uint64_t number;  /* of the segment at work; 0: none */
    pthread_t thread; /* of all but the first, which is this one */
};

struct ahead {
    const struct ahead_settings *settings;
    struct stored stored;
    char *directory; /* pg_wal */
    pid_t parent;
    int64_t begin_until; /* monotonic */

    pthread_mutex_t lock; /* for all below */
    pthread_cond_t changed;
    struct worker workers[WORKERS_MOST];
    unsigned worker_count;
    unsigned most_at_once; /* never more: what the time allows */
    unsigned at_once;      /* now: falls when a store says "slow down", and rises again */
    unsigned since_slow;   /* segments stored since then */
    uint64_t next, end;    /* numbers of segments: the next to be begun, the first that is not looked at */
    unsigned stored_count;
    bool is_over; /* nothing more is begun */
};

static void name_of(const struct ahead *ahead, uint64_t number, char name[WAL_SEGMENT_NAME_BYTES])
{
    const struct source *asked = ahead->settings->asked;

    wal_segment_name(asked->parsed.timeline, number, asked->segment_bytes, name);
}

bool ahead_waits(const struct source *source)
{
    char name[WAL_SEGMENT_NAME_BYTES];
    uint64_t number;

    if (source->parsed.kind != WAL_SEGMENT ||
        !wal_segment_number(&source->parsed, source->segment_bytes, &number))
        return false;
    wal_segment_name(source->parsed.timeline, number + 1, source->segment_bytes, name);
    return archive_status_waits(source->directory, name);
}

static uint64_t lowest_at_work(const struct ahead *ahead)
{
    uint64_t lowest = ahead->next;

    for (unsigned i = 0; i < ahead->worker_count; i++)
        if (ahead->workers[i].number != 0 && ahead->workers[i].number < lowest)
            lowest = ahead->workers[i].number;
    return lowest;
}

/* The archiver that called has ended, or time is up. */
static bool must_end(const struct ahead *ahead)
{
    return ahead->is_over || monotonic_now() >= ahead->begin_until || getppid() != ahead->parent;
}

/* The next segment that waits and is not known to be stored; 0 when there is none. Waits while this worker is
 * one too many, or would get further ahead of the slowest than there are workers (rule 15). */
static uint64_t take(struct worker *worker)
{
    struct ahead *ahead = worker->ahead;
    char name[WAL_SEGMENT_NAME_BYTES];
    uint64_t number = 0;

    while (number == 0 && !must_end(ahead) && ahead->next < ahead->end) {
        if (worker->index >= ahead->at_once || ahead->next - lowest_at_work(ahead) > ahead->at_once) {
            pthread_cond_wait(&ahead->changed, &ahead->lock); /* some other worker is at work */
            continue;
        }
        name_of(ahead, ahead->next, name);
        if (!archive_status_waits(ahead->directory, name))
            break;
        char *path = path_join(ahead->directory, name);
        if (path == NULL)
            break;
        if (!stored_had(&ahead->stored, path))
            number = ahead->next;
        free(path);
        ahead->next++;
    }
    worker->number = number;
    if (number == 0)
        ahead->is_over = true;
    return number;
}

static int ship(struct worker *worker, uint64_t number)
{
    struct ahead *ahead = worker->ahead;
    const struct ahead_settings *settings = ahead->settings;
    unsigned char sha256[SHA256_BYTES];
    char name[WAL_SEGMENT_NAME_BYTES];
    struct source source = {.fd = -1};
    int result = -1;

    name_of(ahead, number, name);
    char *path = path_join(ahead->directory, name);
    if (path == NULL)
        return -1;
    if (source_open(path, settings->config, &source) == SOURCE_OK &&
        shipper_ship(worker->shipper, &source, settings->deadline, sha256) == 0) {
        stored_add(&ahead->stored, &source, sha256);
        result = 0;
    }
    source_close(&source);
    free(path);
    return result;
}

/* Fewer at once after a "slow down", half of them; one more after a while without. */
static void adjust(struct ahead *ahead, bool slow_down)
{
    if (slow_down) {
        ahead->at_once = ahead->at_once > 1 ? ahead->at_once / 2 : 1;
        ahead->since_slow = 0;
        log_debug("a store says slow down: %u at once", ahead->at_once);
    } else if (++ahead->since_slow >= RISES_AFTER && ahead->at_once < ahead->most_at_once) {
        ahead->at_once++;
        ahead->since_slow = 0;
        log_debug("no \"slow down\" for a while: %u at once", ahead->at_once);
    }
}

static void *work(void *argument);

/* Another worker, while there is work for one. */
static void start_another(struct ahead *ahead)
{
    char name[WAL_SEGMENT_NAME_BYTES];

    if (ahead->worker_count >= ahead->at_once || ahead->next >= ahead->end || must_end(ahead))
        return;
    name_of(ahead, ahead->next, name);
    if (!archive_status_waits(ahead->directory, name))
        return;
    struct worker *worker = &ahead->workers[ahead->worker_count];
    *worker = (struct worker){.ahead = ahead, .shipper = &worker->own, .index = ahead->worker_count};
    if (pthread_create(&worker->thread, NULL, work, worker) == 0)
        ahead->worker_count++;
    else
        ahead->most_at_once = ahead->at_once = ahead->worker_count; /* too few threads: no failure */
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct ahead *ahead = worker->ahead;
    const struct ahead_settings *settings = ahead->settings;
    unsigned slow_downs = worker->index == 0 ? shipper_slow_downs(worker->shipper) : 0;
    uint64_t number;

    log_mute_thread(true);
    bool is_open =
        worker->shipper != &worker->own || shipper_open(settings->config, settings->state, NULL,
                                                        settings->shipper->memory_bytes, &worker->own) == 0;
    pthread_mutex_lock(&ahead->lock);
    while (is_open && (number = take(worker)) != 0) {
        start_another(ahead);
        pthread_mutex_unlock(&ahead->lock);
        bool is_stored = ship(worker, number) == 0;
        unsigned slow_downs_now = shipper_slow_downs(worker->shipper);
        pthread_mutex_lock(&ahead->lock);
        worker->number = 0;
        ahead->stored_count += is_stored;
        if (!is_stored) /* it will be asked for, and told of then */
            ahead->is_over = true;
        adjust(ahead, slow_downs_now != slow_downs);
        slow_downs = slow_downs_now;
        pthread_cond_broadcast(&ahead->changed);
    }
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
    if (worker->index != 0)
        shipper_close(&worker->own);
    log_mute_thread(false);
    return NULL;
}

/* The segments at work share the way to the store: so many that, if the way is what limits, each is done
 * within half of the time that is left. On a narrow one that is one at a time, or none. */
static unsigned allowed_at_once(const struct ahead_settings *settings)
{
    int64_t left = settings->deadline - monotonic_now();
    int64_t allowed = left / 2 / (settings->took > 1000 ? settings->took : 1000);

    return allowed < (int64_t)settings->config->wal_push_parallel ? (unsigned)(allowed > 0 ? allowed : 0)
                                                                  : settings->config->wal_push_parallel;
}

static void run_locked(const struct ahead_settings *settings)
{
    const struct source *asked = settings->asked;
    struct ahead ahead = {
        .settings = settings,
        .directory = asked->directory,
        .parent = settings->parent,
        .begin_until = settings->began + BEGIN_SECONDS * 1000000,
        .most_at_once = allowed_at_once(settings),
    };
    char last[WAL_SEGMENT_NAME_BYTES];

    if (ahead.most_at_once == 0 || !wal_segment_number(&asked->parsed, asked->segment_bytes, &ahead.next) ||
        stored_begin(settings->config, settings->state, asked->directory, &ahead.stored) != 0)
        return;
    ahead.at_once = ahead.most_at_once;
    ahead.next++;
    ahead.end = ahead.next + settings->config->wal_push_ahead;
    pthread_mutex_init(&ahead.lock, NULL);
    pthread_cond_init(&ahead.changed, NULL);
    ahead.worker_count = 1;
    ahead.workers[0] = (struct worker){.ahead = &ahead, .shipper = settings->shipper};
    work(&ahead.workers[0]);
    for (unsigned i = 1; i < ahead.worker_count; i++)
        pthread_join(ahead.workers[i].thread, NULL);
    stored_end(&ahead.stored);
    pthread_cond_destroy(&ahead.changed);
    pthread_mutex_destroy(&ahead.lock);
    if (ahead.stored_count > 0) {
        name_of(&ahead, ahead.next - 1, last);
        log_info("stored \"%s\" and, ahead, %u more, up to \"%s\"", asked->name, ahead.stored_count, last);
    }
}

int ahead_take_lock(const struct state *state, unsigned milliseconds)
{
    return state_lock(state, LOCK_NAME, milliseconds);
}

void ahead_run(const struct ahead_settings *settings)
{
    int lock = ahead_take_lock(settings->state, 0); /* one call a cluster looks ahead */

    if (lock < 0)
        return;
    /* What PostgreSQL did not ask for must not go on without it (rule 16). */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    run_locked(settings);
    close(lock);
}
