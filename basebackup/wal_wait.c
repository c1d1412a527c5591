#include "wal_wait.h"

#include "common/archive_status.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "wal_compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MICROSECONDS 5000000 /* then it is said what is waited for */
/* The archiver mostly needs a moment only; after that each look is a request for nothing. */
#define POLL_FIRST_MILLISECONDS 50
#define POLL_MOST_MILLISECONDS 1000

#define IDLE_PRIMARY                                                                                         \
    "An idle primary keeps a segment until it is full. SELECT pg_switch_wal() completes it there; "          \
    "primary_conninfo in section [cluster] lets this program ask for it."

/* The next segment that has not been seen in a listing. */
struct search {
    const struct wal_wait *wait;
    uint64_t next;
    uint64_t last;
    char gap_last[WAL_SEGMENT_NAME_BYTES]; /* up to here WAL was let go of, says a marker seen so far */
};

static void name_missing(const struct search *search, char name[WAL_SEGMENT_NAME_BYTES])
{
    wal_segment_name(search->wait->timeline, search->next, search->wait->segment_bytes, name);
}

static bool see_key(void *context, const char *key, uint64_t bytes)
{
    struct search *search = context;
    const char *slash = strrchr(key, '/');
    const char *file = slash == NULL ? key : slash + 1;
    struct wal_name name = wal_name_parse(file);
    char missing[WAL_SEGMENT_NAME_BYTES], first[WAL_SEGMENT_NAME_BYTES], last[WAL_SEGMENT_NAME_BYTES];
    uint64_t number;

    (void)bytes;
    name_missing(search, missing);
    if (wal_gap_name_parse(file, first, last)) {
        if (strcmp(first, missing) > 0)
            return false;
        if (strcmp(last, search->gap_last) > 0)
            memcpy(search->gap_last, last, sizeof last);
        return true; /* all the same the segment may be there */
    }
    if (name.kind != WAL_SEGMENT || !wal_segment_number(&name, search->wait->segment_bytes, &number))
        return true;
    if (number == search->next)
        search->next++;
    /* Names come in order: one beyond the next means that the next is missing. */
    return number < search->next && search->next <= search->last;
}

/* Goes on where the search stands; it begins where a marker that covers the next one would. 0, or -1 after
 * logging. */
static int look(struct targets *targets, struct target *target, struct search *search)
{
    char begin[WAL_SEGMENT_NAME_BYTES], timeline[32];
    struct store_listing listing = {.page_keys = 1000, .each = see_key, .context = search};
    int result = -1;

    search->gap_last[0] = '\0';
    snprintf(timeline, sizeof timeline, "wal/%08X", (unsigned)search->wait->timeline);
    name_missing(search, begin);
    begin[WAL_GAP_COMMON] = '\0';
    char *prefix = repository_system_key(&target->repository, targets->system_identifier, timeline);
    char *start_after = repository_wal_key(&target->repository, targets->system_identifier, begin);
    if (prefix != NULL && start_after != NULL) {
        listing.prefix = prefix;
        listing.start_after = start_after;
        result = store_list(target->repository.store, &listing) == STORE_OK ? 0 : -1;
    }
    free(prefix);
    free(start_after);
    return result;
}

/* All that is needed has arrived. The archiver mostly needs another moment to hear of it; a segment for which
 * archive_command has not succeeded after that is looked into. 0, or -1 after logging. */
static int compare_waiting(const struct wal_wait *wait, const struct targets *targets, struct target *target,
                           int64_t patient_until)
{
    char name[WAL_SEGMENT_NAME_BYTES];

    for (uint64_t number = wait->start_lsn / wait->segment_bytes;
         number <= (wait->stop_lsn - 1) / wait->segment_bytes; number++) {
        wal_segment_name(wait->timeline, number, wait->segment_bytes, name);
        while (archive_status_waits(wait->pg_wal, name)) {
            if (monotonic_now() >= patient_until) {
                if (wal_compare(wait->pg_wal, target, targets->system_identifier, name) != 0)
                    return -1;
                break;
            }
            if (interrupt_requested())
                return -1;
            wait->tick(wait->context);
            interrupt_sleep(POLL_FIRST_MILLISECONDS);
        }
    }
    return 0;
}

static void log_missing(const struct wal_wait *wait, const struct target *target, const char *missing)
{
    char *archiver = wait->server == NULL ? NULL : session_describe_archiver(wait->server);

    log_error("WAL segment %s, which the backup needs, did not arrive in repository \"%s\" within %u seconds",
              missing, target->repository.settings->name, wait->timeout_seconds);
    if (wait->from_standby)
        log_hint(IDLE_PRIMARY
                 " And look at its archive_command, log and pg_stat_archiver. More time is given "
                 "by wal_timeout in section [basebackup].");
    else
        log_hint("Look at archive_command, at the server's log and at pg_stat_archiver%s%s%s. More time is "
                 "given by "
                 "wal_timeout in section [basebackup].",
                 archiver == NULL ? "" : " (", archiver == NULL ? "" : archiver, archiver == NULL ? "" : ")");
    free(archiver);
}

/* Is the missing one not to arrive any more? */
static bool is_gap(const struct search *search, const char *missing)
{
    return strcmp(missing, search->gap_last) <= 0;
}

static int wait_for_target(const struct wal_wait *wait, struct targets *targets, struct target *target,
                           struct search *search, int64_t deadline)
{
    char missing[WAL_SEGMENT_NAME_BYTES];
    unsigned pause = POLL_FIRST_MILLISECONDS;
    bool has_said = false;

    for (int64_t begun = monotonic_now();;) {
        if (look(targets, target, search) != 0)
            return target_give_up(targets, target);
        if (search->next > search->last) {
            if (compare_waiting(wait, targets, target, monotonic_now() + PATIENCE_MICROSECONDS) == 0)
                return 0;
            return interrupt_requested() ? -1 : target_give_up(targets, target);
        }
        name_missing(search, missing);
        int64_t now = monotonic_now();
        if (is_gap(search, missing) && (now >= deadline || !archive_status_waits(wait->pg_wal, missing))) {
            log_error(
                "WAL segment %s, which the backup needs, was let go of ([wal-push] on_full = drop), says "
                "repository \"%s\"",
                missing, target->repository.settings->name);
            log_hint("Take another backup.");
            return target_give_up(targets, target);
        }
        if (now >= deadline) {
            log_missing(wait, target, missing);
            return target_give_up(targets, target);
        }
        if (!has_said && now - begun >= PATIENCE_MICROSECONDS) {
            log_info("waiting for WAL segment %s to arrive in repository \"%s\"", missing,
                     target->repository.settings->name);
            if (wait->from_standby)
                log_hint(IDLE_PRIMARY);
            has_said = true;
        }
        if (interrupt_requested())
            return -1;
        wait->tick(wait->context);
        interrupt_sleep(pause);
        pause = 2 * pause < POLL_MOST_MILLISECONDS ? 2 * pause : POLL_MOST_MILLISECONDS;
    }
}

static void look_once(struct targets *targets, struct target *target, struct search *search)
{
    char missing[WAL_SEGMENT_NAME_BYTES];

    if (look(targets, target, search) != 0) {
        target_give_up(targets, target);
        return;
    }
    if (search->next <= search->last) {
        name_missing(search, missing);
        if (is_gap(search, missing) && !archive_status_waits(search->wait->pg_wal, missing))
            log_warning(
                "WAL segment %s was let go of ([wal-push] on_full = drop), says repository \"%s\": from "
                "there the backup cannot be restored",
                missing, target->repository.settings->name);
        else
            log_warning("WAL segment %s has not arrived in repository \"%s\" yet: there the backup cannot be "
                        "restored before it does",
                        missing, target->repository.settings->name);
    } else if (compare_waiting(search->wait, targets, target, monotonic_now()) != 0)
        target_give_up(targets, target);
}

/* It was archived when the timeline began, and never again: a repository that was made later lacks it. */
static void look_for_history(const struct wal_wait *wait, const struct targets *targets,
                             struct target *target)
{
    struct repository *repository = &target->repository;
    struct timeline_history history;
    char name[WAL_SEGMENT_NAME_BYTES];

    if (wait->timeline == 1 || !target_is_alive(target))
        return;
    bool was_muted =
        log_mute_thread(true); /* what can't be asked now, or is damaged, is for verify to tell */
    enum repository_result result =
        repository_get_history(repository, targets->system_identifier, wait->timeline, &history);
    log_mute_thread(was_muted);
    if (result == REPOSITORY_OK)
        timeline_history_free(&history);
    if (result != REPOSITORY_ABSENT)
        return;
    wal_history_name(wait->timeline, name);
    log_warning("repository \"%s\" has no %s: without it no recovery finds timeline %u",
                repository->settings->name, name, wait->timeline);
    log_hint("Store it, and those before it, as archive_command does: wal-push %s/%s", wait->pg_wal, name);
}

int wal_wait(const struct wal_wait *wait, struct targets *targets)
{
    int64_t deadline = monotonic_now() + (int64_t)wait->timeout_seconds * 1000000;

    for (size_t i = 0; i < targets->count; i++) {
        struct target *target = &targets->items[i];
        struct search search = {wait, wait->start_lsn / wait->segment_bytes,
                                (wait->stop_lsn - 1) / wait->segment_bytes, ""};
        if (target_is_alive(target) && target->is_required &&
            wait_for_target(wait, targets, target, &search, deadline) != 0)
            return -1;
    }
    for (size_t i = 0; i < targets->count; i++) {
        struct search search = {wait, wait->start_lsn / wait->segment_bytes,
                                (wait->stop_lsn - 1) / wait->segment_bytes, ""};
        if (target_is_alive(&targets->items[i]) && !targets->items[i].is_required)
            look_once(targets, &targets->items[i], &search);
        look_for_history(wait, targets, &targets->items[i]);
    }
    return 0;
}
