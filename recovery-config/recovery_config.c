/* recovery-config: prepares a restored data directory for recovery to a target, or as a standby.
 *
 * Settings go into postgresql.auto.conf, which PostgreSQL reads last, then the signal file is made. Nothing
 * is written unless all checks were passed: the target is in the past, after the end of the backup, on a
 * timeline that can be reached, and the WAL up to it is there. */
#include "data_directory.h"
#include "recovery_files.h"
#include "report.h"
#include "restore_command.h"
#include "settings.h"
#include "target.h"
#include "target_check.h"

#include "common/config.h"
#include "common/log.h"
#include "common/options.h"
#include "common/timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum exit_status { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct arguments {
    const char *data_directory;
    struct target_request request;
    bool dry_run;
    bool show;
    bool clear;
};

/* Options */

static int set_once(const char *option, const char **place, const char *value)
{
    if (*place != NULL) {
        log_error("option %s was given more than once", option);
        return -1;
    }
    *place = value;
    return 0;
}

static int set_directory(void *context, const char *value)
{
    return set_once("-D", &((struct arguments *)context)->data_directory, value);
}

static int set_time(void *context, const char *value)
{
    return set_once("--target-time", &((struct arguments *)context)->request.time, value);
}

static int set_xid(void *context, const char *value)
{
    return set_once("--target-xid", &((struct arguments *)context)->request.xid, value);
}

static int set_lsn(void *context, const char *value)
{
    return set_once("--target-lsn", &((struct arguments *)context)->request.lsn, value);
}

static int set_name(void *context, const char *value)
{
    return set_once("--target-name", &((struct arguments *)context)->request.name, value);
}

static int set_immediate(void *context, const char *value)
{
    (void)value;
    ((struct arguments *)context)->request.immediate = true;
    return 0;
}

static int set_standby(void *context, const char *value)
{
    (void)value;
    ((struct arguments *)context)->request.standby = true;
    return 0;
}

static int set_timeline(void *context, const char *value)
{
    return set_once("--timeline", &((struct arguments *)context)->request.timeline, value);
}

static int set_exclusive(void *context, const char *value)
{
    (void)value;
    ((struct arguments *)context)->request.exclusive = true;
    return 0;
}

static int set_action(void *context, const char *value)
{
    return set_once("--action", &((struct arguments *)context)->request.action, value);
}

static int set_archive(void *context, const char *value)
{
    return set_once("--archive", &((struct arguments *)context)->request.archive, value);
}

static int set_accept_end(void *context, const char *value)
{
    return set_once("--accept-end", &((struct arguments *)context)->request.accept_end, value);
}

static int set_unproven(void *context, const char *value)
{
    (void)value;
    ((struct arguments *)context)->request.unproven = true;
    return 0;
}

static int set_dry_run(void *context, const char *value)
{
    (void)value;
    ((struct arguments *)context)->dry_run = true;
    return 0;
}

static int set_show(void *context, const char *value)
{
    (void)value;
    ((struct arguments *)context)->show = true;
    return 0;
}

static int set_clear(void *context, const char *value)
{
    (void)value;
    ((struct arguments *)context)->clear = true;
    return 0;
}

static const struct option_spec option_specs[] = {
    {"pgdata", 'D', "DIR", set_directory, "data directory, restored and not running"},
    {"target-time", 0, "TIME", set_time, "recover to this time: \"2026-11-20 14:29:59+01\""},
    {"target-xid", 0, "XID", set_xid, "recover to the end of this transaction"},
    {"target-lsn", 0, "LSN", set_lsn, "recover to this place in the WAL"},
    {"target-name", 0, "NAME", set_name, "recover to the restore point of this name"},
    {"immediate", 0, NULL, set_immediate, "recover to the end of the base backup, no further"},
    {"standby", 0, NULL, set_standby, "make a standby that follows the archive"},
    {"timeline", 0, "TIMELINE", set_timeline, "latest (default), current, or a number"},
    {"exclusive", 0, NULL, set_exclusive, "stop just before the target, not just after it"},
    {"action", 0, "ACTION", set_action, "at the target: pause (default), promote or shutdown"},
    {"archive", 0, "off|keep", set_archive,
     "switch archive_mode off (default but for --standby),\nor keep it: for "
     "the server that replaces the original"},
    {"accept-end", 0, "SEGMENT", set_accept_end, "give up the WAL from this missing segment on"},
    {"unproven", 0, NULL, set_unproven, "don't look whether the WAL up to the target is there"},
    {"dry-run", 0, NULL, set_dry_run, "print what would be written, change nothing"},
    {"show", 0, NULL, set_show, "print the recovery settings that are in force"},
    {"clear", 0, NULL, set_clear, "take all back: settings and signal file"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "recovery-config",
    .summary = "prepares a data directory for recovery to a target, or as a standby",
    .operands = "-D DIR",
    .options = option_specs,
    .takes_several = true,
    .epilogue =
        "Without a target it recovers to the newest there is.\n"
        "Exit status: 0 done, 1 refused or failed (nothing is written then), 2 wrong usage or configuration.",
};

static bool has_request(const struct target_request *request)
{
    return request->time != NULL || request->xid != NULL || request->lsn != NULL || request->name != NULL ||
           request->immediate || request->standby || request->timeline != NULL || request->exclusive ||
           request->action != NULL || request->archive != NULL || request->accept_end != NULL ||
           request->unproven;
}

static int check_arguments(const struct arguments *arguments)
{
    if (arguments->data_directory == NULL) {
        log_error("no data directory was given");
        log_hint("Use -D DIR.");
        return -1;
    }
    if (arguments->dry_run + arguments->show + arguments->clear > 1) {
        log_error("only one of --dry-run, --show and --clear can be given");
        return -1;
    }
    if ((arguments->show || arguments->clear) && has_request(&arguments->request)) {
        log_error("%s takes no target", arguments->show ? "--show" : "--clear");
        return -1;
    }
    return 0;
}

/* --show and --clear */

static enum exit_status show(const struct data_directory *directory)
{
    struct settings settings;
    int result = recovery_files_read(directory, &settings);

    if (result == 0)
        result = report_show(directory, &settings);
    settings_free(&settings);
    return result == 0 ? STATUS_DONE : STATUS_FAILED;
}

static bool is_off(const char *value)
{
    return value != NULL && strcasecmp(value, "off") == 0;
}

/* Settings first: a signal file without settings keeps the server from starting, the other way round it would
 * start as if nothing were left to recover. Until the signal file is gone an empty block tells the next call,
 * should this one be killed, that it was ours. */
static int clear_files(const struct data_directory *directory, struct settings *settings)
{
    const struct setting_list nothing = {.count = 0};
    bool was_off = is_off(settings_value(settings, "archive_mode"));

    if (directory->mode != SERVER_NORMAL &&
        (settings_put(settings, &nothing) != 0 || recovery_files_write(directory, settings) != 0 ||
         signal_file_remove(directory, SERVER_RECOVERY) != 0 ||
         signal_file_remove(directory, SERVER_STANDBY) != 0))
        return -1;
    settings_take_back(settings);
    if (recovery_files_write(directory, settings) != 0)
        return -1;
    log_info("took the recovery settings in \"%s/" SETTINGS_FILE "\" back", directory->path);
    if (directory->server == RUNNING_SERVER_FOUND && was_off &&
        !is_off(settings_value(settings, "archive_mode")))
        log_hint("archive_mode changes with the next restart of the server.");
    if (directory->mode == SERVER_NORMAL)
        return 0;
    log_warning("removed %s: the server would start without archive recovery",
                signal_file_name(directory->mode));
    log_hint("If recovery was not over, run recovery-config again before the server is started.");
    return 0;
}

static enum exit_status clear(const struct data_directory *directory)
{
    struct settings settings = {NULL, 0, 0};
    int result = -1;

    if (!data_directory_is_ours(directory))
        return STATUS_FAILED;
    if (directory->server == RUNNING_SERVER_UNKNOWN && directory->mode != SERVER_NORMAL) {
        running_server_tell_unknown(directory->path, directory->server_pid);
        return STATUS_FAILED;
    }
    if (directory->server == RUNNING_SERVER_FOUND && directory->mode != SERVER_NORMAL) {
        log_error("the server in \"%s\" (process %lld) is still in recovery, which needs the settings",
                  directory->path, (long long)directory->server_pid);
        log_hint("Promote it, or wait until it has reached its target.");
        return STATUS_FAILED;
    }
    if (directory->in_recovery && directory->mode != SERVER_NORMAL) {
        log_error(
            "the recovery of \"%s\" has begun and is not over: without %s the server would open where it "
            "stands, on the timeline of the original",
            directory->path, signal_file_name(directory->mode));
        log_hint(
            "To end it there, start the server and promote it; recovery-config can give it another target.");
        return STATUS_FAILED;
    }
    if (recovery_files_read(directory, &settings) != 0)
        goto done;
    if (settings_has_ours(&settings)) {
        result = clear_files(directory, &settings);
        goto done;
    }
    result = 0;
    log_info("\"%s/" SETTINGS_FILE "\" has no settings of recovery-config", directory->path);
    if (directory->mode != SERVER_NORMAL) {
        log_warning("%s was left alone, since it is not known to be recovery-config's",
                    signal_file_name(directory->mode));
        log_hint("If you are sure, remove it by hand.");
    }
done:
    settings_free(&settings);
    return result == 0 ? STATUS_DONE : STATUS_FAILED;
}

/* Writing */

/* A dry run may be made by anybody who can read, and beside a running server. */
static int check_writable(const struct data_directory *directory, bool dry_run)
{
    if (!dry_run && !data_directory_is_ours(directory))
        return -1;
    if (directory->server == RUNNING_SERVER_NONE)
        return 0;
    if (directory->server == RUNNING_SERVER_UNKNOWN) {
        if (!dry_run)
            running_server_tell_unknown(directory->path, directory->server_pid);
        return dry_run ? 0 : -1;
    }
    if (dry_run) {
        log_warning("a server runs in \"%s\" (process %lld): without --dry-run this would be refused",
                    directory->path, (long long)directory->server_pid);
        return 0;
    }
    log_error("a server runs in \"%s\" (process %lld)", directory->path, (long long)directory->server_pid);
    log_hint("Recovery settings are read at start: stop the server first. Are you in the right directory?");
    return -1;
}

static int make_settings(const struct config *config, const struct options *options,
                         const struct data_directory *directory, const struct target *target,
                         struct settings *settings)
{
    struct restore_command parts = {.config = config->path,
                                    .repositories = options->repositories,
                                    .repository_count = options->repository_count,
                                    .end_at = target->end_at};
    struct setting_list list = {.count = 0};
    char *program_path = restore_command_find_program();
    char timeline[16];
    char *command = NULL;
    int result = -1;

    parts.program = program_path;
    if (target->timeline_choice == TIMELINE_NUMBER) {
        snprintf(timeline, sizeof timeline, "%u", target->timeline);
        parts.timeline = timeline;
    }
    if (program_path != NULL)
        command = restore_command_build(&parts);
    if (command != NULL && target_settings(target, directory->major, command, &list) == 0)
        result = settings_put(settings, &list);
    setting_list_free(&list);
    free(command);
    free(program_path);
    return result;
}

static int write_all(const struct data_directory *directory, const struct target *target,
                     const struct settings *settings, bool dry_run)
{
    enum server_mode mode = target->kind == TARGET_STANDBY ? SERVER_STANDBY : SERVER_RECOVERY;

    if (dry_run)
        return report_dry_run(directory, settings, mode);
    if (recovery_files_write(directory, settings) != 0 || signal_file_set(directory, mode) != 0)
        return -1;
    report_written(directory, target, settings);
    return 0;
}

static enum exit_status prepare(const struct arguments *arguments, const struct options *options,
                                struct target *target, const struct data_directory *directory)
{
    struct config config;
    struct settings settings = {NULL, 0, 0};
    enum exit_status status = STATUS_FAILED;

    if ((target->kind == TARGET_TIME && options_time_is_past(target->time) != 0) ||
        check_writable(directory, arguments->dry_run) != 0)
        return STATUS_FAILED;
    if (options_load_set(options, &config) != 0)
        return STATUS_USAGE;
    if (target_check(&config, directory, target) != 0)
        goto done;
    if (target->end_at != NULL)
        report_accepted_end(target);
    if (recovery_files_read(directory, &settings) == 0 &&
        make_settings(&config, options, directory, target, &settings) == 0 &&
        write_all(directory, target, &settings, arguments->dry_run) == 0)
        status = STATUS_DONE;
done:
    settings_free(&settings);
    config_free(&config);
    return status;
}

static enum exit_status run(const struct arguments *arguments, const struct options *options)
{
    struct data_directory directory;
    struct target target;
    enum exit_status status = STATUS_FAILED;

    if (check_arguments(arguments) != 0 || target_resolve(&arguments->request, &target) != 0)
        return STATUS_USAGE;
    if (data_directory_read(arguments->data_directory, &directory) != 0)
        goto done;
    if (arguments->show)
        status = show(&directory);
    else if (arguments->clear)
        status = clear(&directory);
    else
        status = prepare(arguments, options, &target, &directory);
done:
    data_directory_free(&directory);
    return status;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.data_directory = NULL};
    struct options options;
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &arguments, &operands);

    return status != OPTIONS_GO_ON ? status : (int)run(&arguments, &options);
}
