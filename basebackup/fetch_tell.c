#include "fetch_tell.h"

#include "common/file.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/progress.h"
#include "common/timestamp.h"

#include <string.h>

/* Appends a word as the shell needs it. */
static int append_shell_word(struct buffer *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=+-@%,";
    int result;

    if (*word != '\0' && strspn(word, plain) == strlen(word))
        return buffer_append_string(out, word);
    result = buffer_append(out, "'", 1);
    for (; result == 0 && *word != '\0'; word++)
        result = *word == '\'' ? buffer_append_string(out, "'\\''") : buffer_append(out, word, 1);
    return result == 0 ? buffer_append(out, "'", 1) : -1;
}

static int append_option(struct buffer *out, const char *option, const char *value)
{
    if (value == NULL)
        return 0;
    return buffer_printf(out, " %s%s", option, *option == '\0' ? "" : " ") == 0
               ? append_shell_word(out, value)
               : -1;
}

/* "-c NAME=VALUE" for pg_ctl -o, which is read by a shell once more. */
static int append_setting(struct buffer *out, const char *name, const char *directory, const char *path)
{
    struct buffer setting = BUFFER_EMPTY;
    int result = buffer_printf(&setting, "%s=%s%s", name, directory, path) == 0
                     ? append_option(out, "-c", buffer_string(&setting))
                     : -1;

    buffer_free(&setting);
    return result;
}

/* The command that makes the restored directory recover to where the user wants to get. */
static void tell_next_step(const struct fetch_wishes *wishes, const struct choice *choice,
                           const struct restore_places *places)
{
    const struct options *options = wishes->options;
    const char *config_path = options->config == NULL ? NULL : choice->repository.config->path;
    struct buffer command = BUFFER_EMPTY;
    int result = buffer_append_string(&command, "recovery-config") == 0
                     ? append_option(&command, "--config", config_path)
                     : -1;

    for (size_t i = 0; i < options->repository_count && result == 0; i++)
        result = append_option(&command, "--repository", options->repositories[i]);
    if (result == 0 && append_option(&command, "-D", places->items[0].path) == 0 &&
        append_option(&command, "--target-time", wishes->target_time) == 0 &&
        append_option(&command, "--target-lsn", wishes->target_lsn) == 0 &&
        append_option(&command, "--timeline", wishes->timeline) == 0 &&
        append_option(&command, "--accept-end", wishes->accept_end) == 0 &&
        (!wishes->without_proof || buffer_append_string(&command, " --unproven") == 0))
        log_hint("Next, before the server is started: %s", buffer_string(&command));
    buffer_free(&command);
}

/* Debian's postgresql.conf names its own data_directory, which beats -D: started with that file alone, the
 * server would be the original. So all four are named; and external_pid_file, which it sets too: the copy
 * would write over the original's and remove it in the end. */
static void tell_external(const struct backup *backup, const struct restore_places *places)
{
    static const struct {
        const char *file, *setting;
    } files[] = {
        {"postgresql.conf", "config_file"}, {"pg_hba.conf", "hba_file"}, {"pg_ident.conf", "ident_file"}};
    const char *directory = places->items[places->count - 1].path;
    struct buffer settings = BUFFER_EMPTY, command = BUFFER_EMPTY, log = BUFFER_EMPTY;
    int result = append_setting(&settings, "data_directory", places->items[0].path, "");

    for (size_t i = 0; i < backup->external_count; i++)
        for (size_t k = 0; k < sizeof files / sizeof files[0] && result == 0; k++)
            if (strcmp(path_name(backup->external[i]), files[k].file) == 0)
                result = append_setting(&settings, files[k].setting, directory, backup->external[i]);
    if (result == 0)
        result = append_setting(&settings, "external_pid_file", places->items[0].path, ".pid");
    log_info("files from outside the data directory are in \"%s\", under their old paths", directory);
    if (result == 0 && append_option(&command, "-D", places->items[0].path) == 0 &&
        buffer_printf(&log, "%s.log", places->items[0].path) == 0 &&
        append_option(&command, "-l", buffer_string(&log)) == 0 &&
        append_option(&command, "-o", buffer_string(&settings)) == 0)
        log_hint(
            "PostgreSQL does not read them there: copy what the new machine needs to its place, or, when "
            "recovery-config has been run, start the server with pg_ctl%s -w start",
            buffer_string(&command));
    buffer_free(&settings);
    buffer_free(&command);
    buffer_free(&log);
}

static void tell_kept(const struct restore_outcome *outcome)
{
    char kept[32], fetched[32];

    progress_format_bytes(outcome->kept_bytes, kept);
    progress_format_bytes(outcome->fetched_bytes, fetched);
    log_info("%llu files (%s) were right already; %s were fetched with %llu requests",
             (unsigned long long)outcome->kept_files, kept, fetched, (unsigned long long)outcome->requests);
}

void fetch_tell_success(const struct fetch_wishes *wishes, const struct choice *choice,
                        const struct restore_places *places, const struct restore_outcome *outcome)
{
    char stop_time[TIMESTAMP_TEXT_BYTES], bytes[32];

    timestamp_format(choice->backup->stop_time, stop_time);
    progress_format_bytes(outcome->bytes, bytes);
    if (places->has_external)
        tell_external(choice->backup, places);
    log_info(
        "backup %s, which ended at %s, is restored in \"%s\" from repository \"%s\": %llu files, %s, %.1f s",
        choice->backup->id, stop_time, places->items[0].path, choice->repository.settings->name,
        (unsigned long long)outcome->files, bytes, (double)outcome->microseconds / 1e6);
    if (places->is_delta)
        tell_kept(outcome);
    tell_next_step(wishes, choice, places);
}

void fetch_tell_failure(const struct restore_places *places)
{
    struct buffer directories = BUFFER_EMPTY;
    int result = 0;

    log_error("%s: \"%s\" is incomplete; it has no global/pg_control, so no server can be started in it",
              interrupt_signal() != 0 ? "the restore was interrupted" : "the restore failed",
              places->items[0].path);
    for (size_t i = 0; result == 0 && i < places->count; i++)
        if (places->items[i].fd >= 0)
            result = append_option(&directories, "", places->items[i].path);
    if (places->is_delta)
        log_hint("The same command goes on with it.");
    else if (result == 0)
        log_hint("The same command with --delta goes on with it. Or what is there can be removed before the "
                 "next try: rm -r%s",
                 buffer_string(&directories));
    buffer_free(&directories);
}
