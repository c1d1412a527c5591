#include "situation.h"

#include "common/file.h"
#include "common/log.h"
#include "common/timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool situation_has_local(const struct situation *situation)
{
    char *local = path_join(situation->directory, situation->name);
    bool there = local != NULL && file_exists(local);

    free(local);
    return there;
}

bool situation_fits_page(const struct situation *situation, const unsigned char header[WAL_LONG_HEADER_BYTES],
                         struct wal_page *page)
{
    const struct pg_control *control = &situation->control;
    uint64_t number;

    return wal_page_parse(header, WAL_LONG_HEADER_BYTES, page) &&
           page->system_identifier == control->system_identifier &&
           page->block_bytes == control->wal_block_bytes &&
           wal_segment_number(&situation->parsed, control->segment_bytes, &number) &&
           page->address == number * control->segment_bytes;
}

bool situation_is_current(const struct situation *situation)
{
    int64_t pid, started;

    if (situation->postmaster_pid == 0)
        return true;
    return postmaster_read(situation->data_directory, &pid, &started) && pid == situation->postmaster_pid &&
           started == situation->postmaster_started;
}

static enum caller find_caller(const struct situation *situation, enum server_mode mode)
{
    switch (mode) {
    case SERVER_STANDBY:
        return CALLER_STANDBY;
    case SERVER_RECOVERY:
        return CALLER_RECOVERY;
    case SERVER_NORMAL:
        break;
    }
    /* The server itself passes pg_wal/RECOVERYXLOG or RECOVERYHISTORY; pg_rewind -c the final name. */
    const char *name = path_name(situation->path);
    return strcmp(name, "RECOVERYXLOG") == 0 || strcmp(name, "RECOVERYHISTORY") == 0 ? CALLER_SWITCH
                                                                                     : CALLER_OTHER;
}

static unsigned time_limit(const struct config *config, const struct situation *situation)
{
    switch (situation->caller) {
    case CALLER_STANDBY:
        return situation->parsed.kind == WAL_HISTORY ? config->wal_fetch_history_wait_seconds
                                                     : config->wal_fetch_standby_timeout_seconds;
    case CALLER_SWITCH: /* with the file at hand there is nothing to be gained by waiting: a failover waits
                           for us */
        return situation_has_local(situation) ? config->wal_fetch_standby_timeout_seconds
                                              : config->wal_fetch_switch_wait_seconds;
    case CALLER_RECOVERY:
    case CALLER_OTHER:
        break;
    }
    return config->wal_fetch_timeout_seconds;
}

static int read_control(const struct config *config, struct situation *situation)
{
    int found = pg_control_read(situation->data_directory, &situation->control, NULL);

    /* By hand, into some other directory: the configuration says which cluster is meant. */
    if (found == 1 && *situation->path == '/' && config->pgdata != NULL)
        found = pg_control_read(config->pgdata, &situation->control, NULL);
    if (found == 1) {
        log_error("\"%s\" lies in no data directory: there is no \"%s/global/pg_control\"", situation->path,
                  situation->data_directory);
        log_hint("This program is meant for restore_command = 'wal-fetch %%f %%p'; with an absolute path "
                 "elsewhere it needs "
                 "[cluster] pgdata.");
    }
    return found == 0 ? 0 : -1;
}

int situation_open(const struct config *config, const char *name, const char *path,
                   struct situation *situation)
{
    int64_t now = monotonic_now();
    enum server_mode mode;

    *situation = (struct situation){.name = name, .path = path, .parsed = wal_name_parse(name)};
    if (situation->parsed.kind == WAL_NOT) {
        log_error("\"%s\" is not the name of a WAL segment, history, backup or partial file", name);
        log_hint("This program is meant for restore_command = 'wal-fetch %%f %%p'.");
        return -1;
    }
    snprintf(situation->content_name, sizeof situation->content_name, "%.*s",
             situation->parsed.kind == WAL_PARTIAL ? WAL_PARTIAL_NAME_LENGTH : WAL_NAME_BYTES - 1, name);
    situation->directory = path_directory(path);
    situation->data_directory = situation->directory == NULL ? NULL : path_parent(situation->directory);
    if (situation->data_directory == NULL)
        return -1;
    if (server_mode_read(situation->data_directory, &mode) != 0)
        return -1;
    situation->caller = find_caller(situation, mode);
    situation->deadline = now + (int64_t)time_limit(config, situation) * 1000000;
    if (!postmaster_read(situation->data_directory, &situation->postmaster_pid,
                         &situation->postmaster_started))
        situation->postmaster_pid = situation->postmaster_started = 0;
    return read_control(config, situation);
}

void situation_close(struct situation *situation)
{
    free(situation->directory);
    free(situation->data_directory);
    situation->directory = situation->data_directory = NULL;
}

static int standby_status(const struct situation *situation, enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_UNKNOWN:
        if (situation->parsed.kind == WAL_HISTORY) {
            log_warning("could not find out whether \"%s\" exists: a promotion now may reuse a timeline",
                        situation->name);
            log_hint("Bring the repository back before promoting. If it happened: promote once more, see "
                     "docs/exit-status.md.");
        } else {
            log_warning("could not ask for \"%s\"; the standby will ask again", situation->name);
        }
        return STATUS_ABSENT;
    case OUTCOME_DAMAGED:
        log_error("\"%s\" is not handed over, since it is damaged; streaming may still have it",
                  situation->name);
        return STATUS_ABSENT;
    case OUTCOME_HOLE: /* not looked for on a standby */
    case OUTCOME_WRONG:
    case OUTCOME_FOUND:
    case OUTCOME_ABSENT:
        break;
    }
    return STATUS_STOP;
}

/* Rule 2: both signal files are gone, and a FATAL now would make the next start open on the old timeline. */
static int switch_status(const struct situation *situation)
{
    if (situation_has_local(situation)) {
        log_warning(
            "could not ask for \"%s\", but pg_wal has it: answering \"not there\" makes the server use that",
            situation->name);
        return STATUS_ABSENT;
    }
    log_error("could not find out whether \"%s\" exists while the server changes its timeline",
              situation->name);
    log_hint("Do not start this data directory again as it is: it would open on the old timeline. "
             "Bring the repository back and restore the directory again (docs/exit-status.md).");
    return STATUS_STOP;
}

int situation_status(const struct situation *situation, enum outcome outcome)
{
    if (outcome == OUTCOME_FOUND)
        return STATUS_FOUND;
    if (outcome == OUTCOME_ABSENT)
        return STATUS_ABSENT;
    switch (situation->caller) {
    case CALLER_STANDBY:
        return standby_status(situation, outcome);
    case CALLER_SWITCH:
        return switch_status(situation);
    case CALLER_RECOVERY:
    case CALLER_OTHER:
        break;
    }
    return STATUS_STOP;
}
