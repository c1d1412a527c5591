/* basebackup-pin: a pinned backup stays, whatever the retention policy says. A note in the repository; the
 * manifest is not touched. */
#include "hold.h"

#include "common/log.h"
#include "common/note.h"
#include "common/options.h"
#include "common/result.h"
#include "common/timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct request {
    const char *backup;
    const char *reason; /* "" */
    bool removes;
};

static int set_remove(void *context, const char *value)
{
    struct request *request = context;

    (void)value;
    request->removes = true;
    return 0;
}

static int set_reason(void *context, const char *value)
{
    struct request *request = context;

    if (strlen(value) >= NOTE_REASON_BYTES) {
        log_error("a reason has at most %d bytes", NOTE_REASON_BYTES - 1);
        return -1;
    }
    request->reason = value;
    return 0;
}

static const struct option_spec own_options[] = {
    {"reason", 0, "TEXT", set_reason, "why; basebackup-list shows it"},
    {"remove", 0, NULL, set_remove, "take the pin off"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "basebackup-pin",
    .summary = "keeps a base backup, whatever the retention policy says",
    .operands = "BACKUP",
    .operand_count = 1,
    .options = own_options,
    .epilogue = "Exit status: 0 it is so in each repository that has the backup; 1 failed, or none has it;\n"
                "2 usage or configuration error.",
};

/* Which of the cluster's systems the backup is of. OK, ABSENT, DAMAGED or FAILED. */
static enum repository_result find_system(struct repository *repository, const char *id, uint64_t *system)
{
    const struct cluster *cluster = &repository->cluster;
    enum repository_result result = REPOSITORY_ABSENT;

    for (size_t i = 0; i < cluster->generation_count && result == REPOSITORY_ABSENT; i++) {
        struct store_object object;
        struct backup backup;
        *system = cluster->generations[i].system_identifier;
        result = backup_get(repository, *system, id, &backup, &object);
        if (result == REPOSITORY_OK)
            backup_free(&backup);
    }
    return result;
}

/* Who looked before the pin was stored has ended since, as far as a time can tell. 1, 0, or -1 after logging.
 */
static int is_long_pinned(struct repository *repository, const struct noted *pin)
{
    int64_t age = (int64_t)repository->settings->retention.orphan_age_seconds * 1000000, time;
    char *rest = string_printf("notes/%s.%08u.json", pin->note.backup, (unsigned)pin->number);
    char *key = rest == NULL ? NULL : repository_system_key(repository, pin->note.system_identifier, rest);
    int result = key == NULL ? -1 : store_time_of(repository->store, key, &time);

    free(key);
    free(rest);
    return result == 1 ? time < store_now(repository->store) - age : result;
}

/* An expiry that had asked for the notes before may have removed it, or be about to: it removes started.json,
 * asks for the notes again, and then removes the manifest. So where both are there behind the note, it holds.
 * Nobody puts started.json back: another expiry may stand right before the manifest. pin: that was there
 * before this call; NULL. 0, or -1 after logging. */
static int is_still_there(struct repository *repository, const char *id, const struct noted *pin)
{
    uint64_t system;
    int64_t time;
    enum repository_result result = find_system(repository, id, &system);
    const char *name = repository->settings->name;
    int holds = -1;

    if (result == REPOSITORY_ABSENT)
        log_error("%s: backup %s was removed while it was being pinned", name, id);
    if (result != REPOSITORY_OK && result != REPOSITORY_DAMAGED)
        return -1;
    char *key = backup_key(repository, system, id, "started.json");
    if (key != NULL)
        holds = store_time_of(repository->store, key, &time);
    free(key);
    if (holds == 0 && pin != NULL)
        holds = is_long_pinned(repository, pin);
    if (holds == 0) {
        log_error("%s: started.json of backup %s is missing: basebackup-expire may be removing the backup",
                  name, id);
        log_hint("The pin is stored. It holds if basebackup-list still shows the backup when each "
                 "basebackup-expire that runs now has ended.");
    }
    return holds == 1 ? 0 : -1;
}

static int put_note(struct repository *repository, const struct request *request, uint64_t system)
{
    struct note note = {.system_identifier = system,
                        .event = request->removes ? NOTE_UNPIN : NOTE_PIN,
                        .time = timestamp_now()};

    snprintf(note.backup, sizeof note.backup, "%s", request->backup);
    snprintf(note.reason, sizeof note.reason, "%s", request->reason);
    gethostname(note.host, sizeof note.host - 1);
    return note_add(repository, &note) == REPOSITORY_OK ? 0 : -1;
}

/* The note, unless it is so already. 0, or -1 after logging. */
static int add_note(struct repository *repository, const struct request *request, uint64_t system,
                    bool *was_so)
{
    struct notes notes;

    if (notes_load(repository, &notes) != REPOSITORY_OK)
        return -1;
    const struct noted *pin = notes_pin(&notes, system, request->backup);
    *was_so = request->removes ? pin == NULL : pin != NULL && !pin->is_damaged;
    int result = *was_so ? 0 : put_note(repository, request, system);
    if (result == 0 && !request->removes)
        result = is_still_there(repository, request->backup, pin);
    notes_free(&notes);
    return result;
}

/* The note is there as long as any hold is: whatever fails, the backup is still pinned. */
static int apply(struct repository *repository, const struct request *request, uint64_t system)
{
    bool holds = repository->settings->s3.legal_hold, was_so = false;
    bool knows_wal = false;

    if (request->removes && holds && hold_backup(repository, system, request->backup, false, &knows_wal) != 0)
        return -1;
    if (add_note(repository, request, system, &was_so) != 0)
        return -1;
    if (!request->removes && holds && hold_backup(repository, system, request->backup, true, &knows_wal) != 0)
        return -1;
    printf("%s: backup %s %s%s\n", repository->settings->name, request->backup,
           request->removes ? (was_so ? "was not pinned already" : "is no longer pinned")
           : was_so         ? "was pinned already"
                            : "is pinned",
           !holds             ? ""
           : request->removes ? ", its legal holds are off"
           : knows_wal        ? ", its objects and WAL have a legal hold"
                              : ", its objects have a legal hold, and no WAL has");
    return 0;
}

/* 0, 1: this repository does not have it, or -1 after logging. */
static int pin_in(const struct config *config, const struct repository_config *settings,
                  const struct request *request)
{
    const struct store_limits limits = {.operation_seconds = config->basebackup_store_timeout_seconds};
    struct repository repository;
    struct state state;
    uint64_t system;
    int result = -1;

    state_open_existing(config, &state); /* of what is encrypted: which epoch is the newest */
    if (repository_open(config, settings, &state, &limits, &repository) != 0) {
        state_close(&state);
        return -1;
    }
    if (repository_load_cluster(&repository, 0) == REPOSITORY_OK) {
        switch (find_system(&repository, request->backup, &system)) {
        case REPOSITORY_OK:
        case REPOSITORY_DAMAGED: /* all the more */
            result = apply(&repository, request, system);
            break;
        case REPOSITORY_ABSENT:
            result = 1;
            break;
        default:
            break;
        }
    }
    repository_close(&repository);
    state_close(&state);
    return result;
}

static int pin_everywhere(const struct config *config, const struct repository_config *only,
                          const struct request *request)
{
    unsigned have = 0, failed = 0;

    for (size_t i = 0; i < config->repository_count; i++) {
        if (only != NULL && only != &config->repositories[i])
            continue;
        int result = pin_in(config, &config->repositories[i], request);
        have += result == 0;
        failed += result < 0;
    }
    if (have == 0 && failed == 0) {
        log_error("there is no complete backup \"%s\" of cluster \"%s\"", request->backup,
                  config->cluster_name);
        log_hint("basebackup-list shows the backups that there are.");
    }
    return have > 0 && failed == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct options options;
    struct config config;
    const struct repository_config *only;
    struct request request = {.reason = ""};
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &request, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    request.backup = operands[0];
    if (!backup_id_is_valid(request.backup)) {
        log_error("\"%s\" is not the id of a backup", request.backup);
        log_hint("basebackup-list shows the ids.");
        return EXIT_USAGE;
    }
    if (options_load(&options, &config, &only) != 0)
        return EXIT_USAGE;
    status = pin_everywhere(&config, only, &request) == 0 ? EXIT_DONE : EXIT_FAILED;
    config_free(&config);
    if (result_flush() != 0)
        status = EXIT_FAILED;
    return status;
}
