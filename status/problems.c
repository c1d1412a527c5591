/* What is wrong, and what to do about it. */
#include "picture.h"

#include "common/log.h"
#include "words.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const names[PROBLEM_KINDS] = {
    "unreachable", "unreadable", "no_backup",   "not_recoverable",  "backup_old",   "incomplete_backup",
    "hole",        "damaged",    "page_errors", "verification_old", "drill_failed", "lagging",
    "disk_full",   "drill_old",  "wal_lag",     "run_failed",       "blind"};

const char *problem_kind_name(enum problem_kind kind)
{
    return names[kind];
}

bool problem_is_of_repository(enum problem_kind kind)
{
    return kind <= PROBLEM_DISK_FULL;
}

/* A list that is too short for memory's sake is told by has_failed. */
struct finding {
    struct picture *picture;
    const struct picture_repository *repository; /* that is looked at; NULL: the cluster */
    bool has_failed;
};

static const char *repository_name(const struct finding *finding)
{
    return finding->repository->settings->name;
}

/* The advice is set by advise. */
static void found(struct finding *finding, enum problem_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void found(struct finding *finding, enum problem_kind kind, const char *format, ...)
{
    struct picture *picture = finding->picture;
    struct problem *grown =
        realloc(picture->problems, (picture->problem_count + 1) * sizeof *picture->problems);
    va_list arguments;

    if (grown == NULL) {
        finding->has_failed = log_out_of_memory() != 0;
        return;
    }
    picture->problems = grown;
    struct problem *problem = &grown[picture->problem_count++];
    *problem = (struct problem){.kind = kind, .repository = finding->repository};
    va_start(arguments, format);
    vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
    log_blank_control_characters(problem->text);
}

static void advise(struct finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void advise(struct finding *finding, const char *format, ...)
{
    struct picture *picture = finding->picture;
    va_list arguments;

    if (picture->problem_count == 0)
        return;
    struct problem *problem = &picture->problems[picture->problem_count - 1];
    va_start(arguments, format);
    vsnprintf(problem->advice, sizeof problem->advice, format, arguments);
    va_end(arguments);
}

/* Is it longer ago than the limit? 0: there is no limit. */
static bool is_older(const struct picture *picture, int64_t time, uint64_t limit_seconds)
{
    return limit_seconds != 0 && picture->now - time > (int64_t)limit_seconds * 1000000;
}

static const char *ago(const struct picture *picture, int64_t time, char *out)
{
    return words_seconds((double)(picture->now - time) / 1e6, out);
}

/* A repository */

static void look_at_access(struct finding *finding)
{
    const struct picture_repository *repository = finding->repository;

    if (!repository->is_up) {
        found(finding, PROBLEM_UNREACHABLE, "it can't be asked: %s", repository->error);
        advise(finding,
               "repository-check --repository %s says what works and what does not. WAL stays in pg_wal "
               "meanwhile if the repository is required.",
               repository_name(finding));
    } else if (!repository->is_complete) {
        found(finding, PROBLEM_UNREADABLE, "not all of it could be read: %s", repository->error);
        advise(finding,
               "basebackup-verify --repository %s names what is damaged or missing; repository-sync brings "
               "it from another repository.",
               repository_name(finding));
    }
}

static void look_at_newest_backup(struct finding *finding, const struct picture_backup *newest)
{
    const struct picture *picture = finding->picture;
    const struct picture_backup *usable = picture_usable_backup(finding->repository);
    char text[WORDS_BYTES];

    /* that none is usable is told by what makes them so */
    if (usable != NULL && is_older(picture, usable->stop_time, picture->config->status.backup_age_seconds)) {
        found(finding, PROBLEM_BACKUP_OLD, "the newest backup%s ended %s ago: %s",
              usable == newest ? "" : " that is whole", ago(picture, usable->stop_time, text), usable->id);
        advise(finding, "Run basebackup-push, and see why the nightly one did not: its message, its timer or "
                        "crontab.");
    }
    if (newest->page_errors > 0) {
        found(finding, PROBLEM_PAGE_ERRORS, "%s with a wrong checksum in the newest backup, %s",
              words_count(newest->page_errors, "page", text), newest->id);
        advise(finding,
               "The server's disk or memory is at fault. basebackup-list --backup %s names the pages; do "
               "not let older backups expire (basebackup-pin).",
               newest->id);
    }
}

static void look_at_backups(struct finding *finding)
{
    const struct picture_repository *repository = finding->repository;
    const struct picture_backup *newest = picture_newest_backup(repository);
    char text[WORDS_BYTES];

    if (newest == NULL) {
        found(finding, PROBLEM_NO_BACKUP,
              "there is no complete base backup%s: nothing %scan be recovered from it",
              repository->backup_count > 0 ? " of the present system, only from before a pg_upgrade or initdb"
                                           : "",
              repository->backup_count > 0 ? "newer " : "");
        advise(finding, "Run basebackup-push, or repository-sync --to %s.", repository_name(finding));
        return;
    }
    if (repository->is_wal_known && picture_window(repository) == NULL) {
        found(finding, PROBLEM_NOT_RECOVERABLE, "no backup leads to the latest timeline, %u",
              (unsigned)repository->timeline);
        advise(finding,
               "Run basebackup-push now. recovery-window tells what can be recovered on other timelines.");
    }
    look_at_newest_backup(finding, newest);
    if (repository->incomplete_backups > 0) {
        found(finding, PROBLEM_INCOMPLETE_BACKUP, "%s can't be recovered: WAL that it needs is missing",
              words_count(repository->incomplete_backups, "backup", text));
        advise(finding,
               "recovery-window names them and the segments. repository-sync brings WAL that another "
               "repository has.");
    }
}

static void look_at_holes(struct finding *finding)
{
    const struct picture_repository *repository = finding->repository;
    char text[WORDS_BYTES];

    if (repository->hole_count == 0)
        return;
    found(finding, PROBLEM_HOLE, "WAL is missing: %s%s", words_count(repository->hole_count, "hole", text),
          repository->gap_markers > 0 ? ", some of it let go of on purpose (on_full = drop)" : "");
    advise(
        finding,
        "Take a base backup now: what is behind a hole needs one. recovery-window names the segments: look "
        "for them in pg_wal of the server or a standby, or in another repository (repository-sync --to "
        "%s).",
        repository_name(finding));
}

static void look_at_proof(struct finding *finding)
{
    const struct picture *picture = finding->picture;
    const struct picture_repository *repository = finding->repository;
    const struct picture_drill *drill = &repository->last_drill;
    char text[WORDS_BYTES];

    if (repository->damaged_units + repository->damaged_manifests > 0) {
        found(
            finding, PROBLEM_DAMAGED, "%s found damaged",
            words_count(repository->damaged_units + repository->damaged_manifests, "backup or folder", text));
        advise(finding,
               "basebackup-verify --repository %s names it; mend it with repository-sync --to %s from a "
               "repository that is whole, and take a base backup.",
               repository_name(finding), repository_name(finding));
    }
    if (repository->is_proof_known && picture_newest_backup(repository) != NULL &&
        is_older(picture, repository->verification_time, picture->config->status.verify_age_seconds)) {
        if (repository->verification_time == 0)
            found(finding, PROBLEM_VERIFICATION_OLD, "it was never verified in full");
        else
            found(finding, PROBLEM_VERIFICATION_OLD, "the last full verification was %s ago",
                  ago(picture, repository->verification_time, text));
        advise(finding,
               "basebackup-verify --repository %s --full --max-time 7200, from cron: each call goes on where "
               "the last one stopped.",
               repository_name(finding));
    }
    if (drill->is_failed) {
        found(finding, PROBLEM_DRILL_FAILED, "the last restore drill failed, %s ago: %s",
              ago(picture, drill->time, text), *drill->problem != '\0' ? drill->problem : drill->backup);
        advise(finding, "restore-drill --repository %s --backup %s does it again and says what is wrong.",
               repository_name(finding), drill->backup);
    }
}

/* Also where no pg_wal is at hand: by what another repository of the same system has. */
static void look_at_others(struct finding *finding)
{
    const struct picture *picture = finding->picture;
    const struct picture_repository *repository = finding->repository, *best = picture_best(picture);
    const struct picture_stretch *window = picture_window(repository);
    uint64_t limit = picture->config->status.wal_age_seconds;
    char text[WORDS_BYTES];

    if (window == NULL || best == NULL || limit == 0 ||
        best->system_identifier != repository->system_identifier ||
        picture_window(best)->end - window->end <= (int64_t)limit * 1000000)
        return;
    found(finding, PROBLEM_LAGGING, "its newest commit is %s older than that of repository %s",
          words_seconds((double)(picture_window(best)->end - window->end) / 1e6, text), best->settings->name);
    advise(finding,
           "repository-sync --from %s --to %s brings it up to that. See the server's log for why "
           "archive_command leaves it behind.",
           best->settings->name, repository_name(finding));
}

static void look_at_server(struct finding *finding)
{
    const struct picture *picture = finding->picture;
    const struct picture_repository *repository = finding->repository;
    uint64_t limit = picture->config->status.wal_age_seconds;
    char text[WORDS_BYTES], segments[WORDS_BYTES];

    if (!repository->is_exposed || !repository->has_unsafe || limit == 0 ||
        repository->unsafe_seconds <= (double)limit) {
        look_at_others(finding);
        return;
    }
    if (!repository->has_safe) {
        found(
            finding, PROBLEM_LAGGING,
            "this server is on timeline %u, of which nothing can be recovered from here: for %s its commits "
            "have been in pg_wal only (%s)",
            (unsigned)repository->server_timeline, words_seconds(repository->unsafe_seconds, text),
            words_count(repository->unstored, "segment", segments));
        advise(finding, "Is archive_mode on? recovery-config switches it off unless told --archive=keep. Set "
                        "archive_mode and archive_command, restart the server, and run basebackup-push.");
        return;
    }
    found(finding, PROBLEM_LAGGING, "commits of the last %s are in this server's pg_wal only (%s)",
          words_seconds(repository->unsafe_seconds, text),
          words_count(repository->unstored, "segment", segments));
    advise(
        finding,
        "See the server's log for what archive_command says. If nothing waits there, archive_timeout is not "
        "set, or longer than wal_age. SELECT pg_switch_wal() archives what there is.");
}

static void look_at_disk(struct finding *finding)
{
    const struct picture_repository *repository = finding->repository;
    unsigned limit = finding->picture->config->status.disk_free_percent;
    char text[WORDS_BYTES];

    if (!repository->has_disk || limit == 0 || repository->disk_size_bytes == 0 ||
        (double)repository->disk_free_bytes * 100 >= (double)repository->disk_size_bytes * limit)
        return;
    found(finding, PROBLEM_DISK_FULL, "its file system has %s left, %.1f %%",
          words_bytes(repository->disk_free_bytes, text),
          (double)repository->disk_free_bytes * 100 / (double)repository->disk_size_bytes);
    advise(finding,
           "basebackup-expire --repository %s --dry-run tells what the policy would let go of; else make "
           "room, or archiving stops.",
           repository_name(finding));
}

static void look_at_repository(struct finding *finding)
{
    look_at_access(finding);
    if (!finding->repository->is_up)
        return;
    look_at_backups(finding);
    look_at_holes(finding);
    look_at_proof(finding);
    look_at_server(finding);
    look_at_disk(finding);
}

/* The cluster */

/* A repository that could not be asked may have the report. */
static void look_at_drills(struct finding *finding)
{
    const struct picture *picture = finding->picture;
    int64_t time = picture_good_drill(picture)->time;
    bool has_backup = false;
    char text[WORDS_BYTES];

    for (size_t i = 0; i < picture->repository_count; i++) {
        if (!picture->repositories[i].is_proof_known)
            return;
        has_backup = has_backup || picture_newest_backup(&picture->repositories[i]) != NULL;
    }
    if (!has_backup || !is_older(picture, time, picture->config->status.drill_age_seconds))
        return;
    if (time == 0)
        found(finding, PROBLEM_DRILL_OLD,
              "no restore drill has ever passed: whether this can be restored is a hope");
    else
        found(finding, PROBLEM_DRILL_OLD, "the last restore drill that passed was %s ago",
              ago(picture, time, text));
    advise(finding, "restore-drill, from cron: docs/drills.md.");
}

static void look_at_lag(struct finding *finding)
{
    const struct picture *picture = finding->picture;
    const struct picture_lag *lag = &picture->lag;
    char text[WORDS_BYTES], segments[WORDS_BYTES];

    if (lag->oldest == 0 || !is_older(picture, lag->oldest, picture->config->status.wal_age_seconds))
        return;
    found(finding, PROBLEM_WAL_LAG, "%s in pg_wal, and the oldest has waited for archive_command for %s",
          words_count(lag->segments, "file waits", segments), ago(picture, lag->oldest, text));
    advise(finding,
           "The server's log has what wal-push says. Nothing is lost while pg_wal has room; do not remove "
           "anything there.");
}

static void look_at_run(struct finding *finding, const struct picture_run *run)
{
    const struct outcome_run *last = picture_last_run(run);
    char text[WORDS_BYTES];

    if (last == NULL || last != &run->note.failure)
        return;
    found(finding, PROBLEM_RUN_FAILED, "the last run of %s failed, %s ago: %s", run->program,
          ago(finding->picture, last->ended, text),
          last->message[0] != '\0' ? last->message : "it left no message");
    if (finding->picture->problem_count > 0)
        finding->picture->problems[finding->picture->problem_count - 1].program = run->program;
    advise(finding, "Put that right and run %s again; docs/exit-status.md has the ways out.", run->program);
}

/* What can't be looked at is not well. */
static void look_at_blindness(struct finding *finding)
{
    const struct picture *picture = finding->picture;
    const char *server_error = "";

    for (size_t i = 0; i < picture->repository_count && *server_error == '\0'; i++)
        server_error = picture->repositories[i].server_error;
    if (*picture->lag_unknown != '\0' || *server_error != '\0') {
        found(finding, PROBLEM_BLIND,
              "whether WAL waits, or what would be lost with the server, is not known: %s",
              *picture->lag_unknown != '\0' ? picture->lag_unknown : server_error);
        advise(finding,
               "Run walferry-status as the user of the archiver, on the server. Is pgdata right in the "
               "configuration? Where there is no server leave it out.");
    }
    if (*picture->runs_unknown != '\0') {
        found(finding, PROBLEM_BLIND,
              "whether the last backup, verification or drill failed is not known: %s",
              picture->runs_unknown);
        advise(finding, "Run walferry-status as the user of the archiver, whose state_dir it is.");
    }
}

int picture_find_problems(struct picture *picture)
{
    struct finding finding = {.picture = picture};

    free(picture->problems);
    picture->problems = NULL;
    picture->problem_count = 0;
    for (size_t i = 0; i < picture->repository_count; i++) {
        finding.repository = &picture->repositories[i];
        look_at_repository(&finding);
    }
    finding.repository = NULL;
    look_at_drills(&finding);
    look_at_lag(&finding);
    look_at_blindness(&finding);
    for (size_t i = 0; i < picture->run_count; i++)
        look_at_run(&finding, &picture->runs[i]);
    return finding.has_failed ? -1 : 0;
}
