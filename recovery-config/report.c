#include "report.h"

#include "recovery_files.h"

#include "common/log.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static int print_ours(const struct settings *settings)
{
    struct buffer text = BUFFER_EMPTY;
    int result = settings_write(settings, true, &text);

    if (result == 0)
        fputs(buffer_string(&text), stdout);
    buffer_free(&text);
    return result;
}

int report_dry_run(const struct data_directory *directory, const struct settings *settings,
                   enum server_mode mode)
{
    enum server_mode other = mode == SERVER_STANDBY ? SERVER_RECOVERY : SERVER_STANDBY;

    printf("# %s/" SETTINGS_FILE ", its other lines stay as they are:\n", directory->path);
    if (print_ours(settings) != 0)
        return -1;
    printf("# %s/%s would be made\n", directory->path, signal_file_name(mode));
    if (signal_file_exists(directory, other))
        printf("# %s/%s would be removed\n", directory->path, signal_file_name(other));
    return 0;
}

/* Show */

/* A line is in force if no later one sets the same name. */
static bool is_in_force(const struct settings *settings, size_t index)
{
    const struct settings_line *line = &settings->lines[index];

    if (line->kind != SETTINGS_SETTING || !settings_name_is_owned(line->name))
        return false;
    for (size_t i = index + 1; i < settings->count; i++)
        if (settings->lines[i].kind == SETTINGS_SETTING &&
            strcasecmp(settings->lines[i].name, line->name) == 0)
            return false;
    return true;
}

static int print_settings(const struct settings *settings)
{
    struct buffer text = BUFFER_EMPTY;
    int result = 0;

    for (size_t i = 0; result == 0 && i < settings->count; i++) {
        const struct settings_line *line = &settings->lines[i];

        if (is_in_force(settings, i)) {
            result =
                buffer_printf(&text, "%s = ", line->name) != 0 || settings_quote(line->value, &text) != 0 ||
                        buffer_append_string(&text, line->ours ? "\n" : "  # not recovery-config's\n") != 0
                    ? -1
                    : 0;
        } else if (line->kind == SETTINGS_SAVED) {
            result = buffer_printf(&text, "# put aside, comes back with --clear: %s\n", line->text);
        }
    }
    if (result == 0)
        fputs(text.length == 0 ? "# no recovery settings\n" : buffer_string(&text), stdout);
    buffer_free(&text);
    return result;
}

static void print_directory(const struct data_directory *directory)
{
    bool recovery = signal_file_exists(directory, SERVER_RECOVERY);
    bool standby = signal_file_exists(directory, SERVER_STANDBY);

    printf("# %s: PostgreSQL %u, system identifier %llu, timeline %u\n", directory->path, directory->major,
           (unsigned long long)directory->control.system_identifier, directory->control.timeline);
    if (directory->server == RUNNING_SERVER_FOUND)
        printf("# server: running (process %lld)\n", (long long)directory->server_pid);
    else if (directory->server == RUNNING_SERVER_UNKNOWN)
        printf("# server: unknown (postmaster.pid may be of another container or machine)\n");
    else
        printf("# server: not running\n");
    printf("# signal file: %s%s%s\n", standby ? "standby.signal" : "", standby && recovery ? " and " : "",
           recovery ? "recovery.signal" : (standby ? "" : "none"));
    if (standby && recovery) {
        log_warning("there are both standby.signal and recovery.signal: PostgreSQL takes the first, and "
                    "removes it alone at a promotion");
        log_hint("recovery.signal would make the next start after that a recovery again, with one more "
                 "timeline. Remove the one that is not meant.");
    }
}

/* The signal file was removed by hand or by --clear, or recovery-config was forgotten. */
static bool is_unfinished(const struct data_directory *directory)
{
    return directory->server != RUNNING_SERVER_FOUND && (directory->is_fresh || directory->in_recovery);
}

static void warn_leftovers(const struct data_directory *directory, const struct settings *settings)
{
    const char *archive_mode = settings_value(settings, "archive_mode");

    if (directory->mode != SERVER_NORMAL)
        return;
    if (is_unfinished(directory)) {
        log_warning("recovery of this directory is not over, but there is no signal file: started like this, "
                    "the server would refuse, or open before its time");
        log_hint("Run recovery-config again, with the target, before the server is started; or restore the "
                 "backup again.");
        return;
    }
    if (settings_has_ours(settings)) {
        log_warning("settings of a recovery that is over are left in \"%s/" SETTINGS_FILE "\"",
                    directory->path);
        log_hint("Without a signal file only archive_mode has an effect. Take them back with: "
                 "recovery-config --clear -D %s",
                 directory->path);
    }
    if (archive_mode != NULL && strcasecmp(archive_mode, "off") == 0) {
        log_warning("archive_mode = off is set: this server archives no WAL, so it can't be recovered to a "
                    "later time");
        log_hint("Right for a copy. If it replaces the original: recovery-config --clear -D %s, restart it, "
                 "and take a base "
                 "backup.",
                 directory->path);
    }
}

int report_show(const struct data_directory *directory, const struct settings *settings)
{
    print_directory(directory);
    if (print_settings(settings) != 0)
        return -1;
    fflush(stdout);
    warn_leftovers(directory, settings);
    return 0;
}

/* The way on */

static void report_action(const struct target *target)
{
    if (strcmp(target->action, "promote") == 0)
        log_hint("Start the server. At the target it opens for writing, on a new timeline: there is no way "
                 "back but another "
                 "restore.");
    else if (strcmp(target->action, "shutdown") == 0)
        log_hint("Start the server. At the target it shuts down. To go on, run recovery-config again and "
                 "start it.");
    else
        log_hint("Start the server. At the target it pauses, read-only: look whether all is there. To open "
                 "it: SELECT "
                 "pg_wal_replay_resume(). For a later target: stop it and run recovery-config again. For an "
                 "earlier one: restore "
                 "the base backup again.");
}

static void report_standby(const struct data_directory *directory)
{
    log_info("wrote \"%s/" SETTINGS_FILE "\" and standby.signal: a standby that follows the archive",
             directory->path);
    log_hint("Start the server. primary_conninfo was left alone: set it if the standby is to stream from the "
             "primary too. "
             "pg_ctl promote ends the standby.");
}

static void report_archiving(const struct data_directory *directory, const struct settings *settings)
{
    const char *archive_mode = settings_value(settings, "archive_mode");

    if (archive_mode != NULL && strcasecmp(archive_mode, "off") == 0) {
        log_info("archive_mode is off, so that a copy can't disturb the original's repository");
        log_hint("If this server replaces the original, then when recovery is over: recovery-config --clear "
                 "-D %s, restart it, "
                 "and take a base backup.",
                 directory->path);
    } else {
        log_info("archiving is left as it is configured: once open, the server archives on a new timeline");
        log_hint("Only right if it replaces the original. Take a base backup when it is open.");
    }
}

void report_written(const struct data_directory *directory, const struct target *target,
                    const struct settings *settings)
{
    char what[128];

    if (target->kind == TARGET_STANDBY) {
        report_standby(directory);
        return;
    }
    target_describe(target, what, sizeof what);
    log_info("wrote \"%s/" SETTINGS_FILE "\" and recovery.signal: recovery %s %s", directory->path,
             target->exclusive ? "to just before" : "to", what);
    if (target_is_set(target))
        report_action(target);
    else
        log_hint("Start the server. It replays all WAL there is, then opens for writing on a new timeline.");
    if (target->kind == TARGET_TIME && !target->is_proven) {
        log_info(
            "the time must lie before the last commit in the repository, which is not known for certain");
        log_hint(
            "If PostgreSQL says \"recovery ended before configured recovery target was reached\", the WAL "
            "ends before it. If the original still runs, SELECT pg_switch_wal() there, then start this one "
            "again. If no more is to come, run recovery-config again without a target and start the server, "
            "for the newest there is.");
    }
    report_archiving(directory, settings);
}

void report_accepted_end(const struct target *target)
{
    log_warning("everything from WAL segment %s on is GIVEN UP: recovery takes it for the end of the WAL, "
                "whatever the "
                "repository holds behind it",
                target->end_at);
    log_hint("Transactions whose WAL lies in that segment or behind it are not recovered. If the segment can "
             "still be found, in "
             "the lost server's pg_wal, another repository or a standby, copy it into pg_wal and leave out "
             "--accept-end.");
}
