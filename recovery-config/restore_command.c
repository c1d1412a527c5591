#include "restore_command.h"

#include "common/file.h"
#include "common/log.h"
#include "common/process.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_plain(const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@+:,./-%";

    return *text != '\0' && strspn(text, plain) == strlen(text);
}

/* PostgreSQL replaces % everywhere, quoted or not, before the shell sees anything. */
static int append_char(char c, struct buffer *out)
{
    if (c == '%')
        return buffer_append_string(out, "%%");
    if (c == '\'') /* close the quotes, an escaped quote, open them again */
        return buffer_append_string(out, "'\\''");
    return buffer_append(out, &c, 1);
}

int restore_command_quote(const char *text, struct buffer *out)
{
    const char *quote = is_plain(text) ? "" : "'";

    if (strchr(text, '\n') != NULL) {
        log_error("a line end can't stand in restore_command");
        log_hint("Use a path without line ends.");
        return -1;
    }
    if (buffer_append_string(out, quote) != 0)
        return -1;
    for (; *text != '\0'; text++)
        if (append_char(*text, out) != 0)
            return -1;
    return buffer_append_string(out, quote);
}

static int append_option(const char *option, const char *value, struct buffer *out)
{
    if (value == NULL)
        return 0;
    return buffer_printf(out, " %s ", option) != 0 ? -1 : restore_command_quote(value, out);
}

static int append_repositories(const struct restore_command *command, struct buffer *out)
{
    int result = 0;

    for (size_t i = 0; i < command->repository_count && result == 0; i++)
        result = append_option("--repository", command->repositories[i], out);
    return result;
}

char *restore_command_build(const struct restore_command *command)
{
    struct buffer text = BUFFER_EMPTY;
    char *result = NULL;

    /* %p in quotes: pg_rewind -c passes an absolute path, which may hold blanks. */
    if (restore_command_quote(command->program, &text) == 0 &&
        append_option("--config", command->config, &text) == 0 && append_repositories(command, &text) == 0 &&
        append_option("--timeline", command->timeline, &text) == 0 &&
        append_option("--end-at", command->end_at, &text) == 0 &&
        buffer_append_string(&text, " %f \"%p\"") == 0)
        result = string_copy(buffer_string(&text));
    buffer_free(&text);
    return result;
}

char *restore_command_find_program(void)
{
    char *directory = process_directory();
    char *program = NULL;

    if (directory != NULL)
        program = path_join(directory, "wal-fetch");
    free(directory);
    if (program != NULL && access(program, X_OK) != 0) {
        log_error("could not find wal-fetch beside this program: \"%s\": %m", program);
        log_hint("The programs of walferry belong into one directory.");
        free(program);
        return NULL;
    }
    return program;
}
