#include "restore.h"

#include "common/file.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/server.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST_STALL_SECONDS 600
#define RESTORE_STALL_SECONDS 86400 /* while it makes an index it reads nothing */
#define WORDS_MOST (2 * RESTORE_NAMES_MOST + 16)

/* A file */

struct output {
    int fd;
    const char *path;
};

static int write_output(void *context, const void *data, size_t length)
{
    const struct output *output = context;

    for (const char *next = data; length > 0;) {
        if (interrupt_requested()) /* also where nobody reads the pipe */
            return -1;
        ssize_t written = write(output->fd, next, length);
        if (written < 0 && errno != EINTR) {
            log_error("could not write to %s: %m", output->path);
            return -1;
        }
        next += written > 0 ? written : 0;
        length -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static int write_to_standard(struct sources *sources, const struct dump_stream *stream)
{
    struct output output = {STDOUT_FILENO, "standard output"};
    const struct sink sink = {write_output, &output};

    if (isatty(STDOUT_FILENO) && stream->oid != 0) {
        log_error("a dump is not written to a terminal");
        log_hint("Name a file with --output, a database with --to, or pipe it into pg_restore.");
        return -1;
    }
    return sources_read(sources, stream, &sink);
}

static int place(struct file_new *file)
{
    if (fsync(file->fd) == 0 && file_new_link(file) == 0)
        return file_sync_directory(file->directory);
    log_error("could not create file \"%s\": %m", file->path);
    return -1;
}

int restore_to_file(struct sources *sources, const struct dump_stream *stream, const char *path)
{
    struct file_new file;

    if (strcmp(path, "-") == 0)
        return write_to_standard(sources, stream);
    if (file_exists(path)) {
        log_error("file \"%s\" is there already", path);
        log_hint("Remove it, or name another one.");
        return -1;
    }
    if (file_new_open(path, &file) != 0)
        return -1;
    struct output output = {file.fd, path};
    const struct sink sink = {write_output, &output};
    int result = sources_read(sources, stream, &sink);
    if (result == 0)
        result = place(&file);
    file_new_free(&file);
    return result;
}

/* pg_restore */

static int feed(void *context, const void *data, size_t length)
{
    return tool_write(context, data, length);
}

/* *is_over: it has failed, but pg_restore had ended by itself before, with all it wanted. */
static int run(struct sources *sources, const struct dump_stream *stream, const struct tool_wish *wish,
               bool *is_over)
{
    struct tool tool;
    const struct sink sink = {feed, &tool};

    if (tool_start(wish, &tool) != 0)
        return -1;
    if (sources_read(sources, stream, &sink) >= 0)
        return tool_end(&tool);
    *is_over = tool_has_succeeded(&tool);
    tool_stop(&tool); /* before its input ends: it must not take what it has for all */
    return -1;
}

static void add(char **words, size_t *count, const char *word)
{
    words[(*count)++] = (char *)word;
}

static void fill_words(char *words[WORDS_MOST], const struct restore_wish *wish, const char *path,
                       const char *conninfo)
{
    size_t count = 0;

    add(words, &count, path);
    add(words, &count, "--format=custom");
    add(words, &count, "--no-password");
    add(words, &count, wish->creates ? "--exit-on-error" : "--single-transaction");
    if (wish->creates)
        add(words, &count, "--create");
    if (wish->no_owner) {
        add(words, &count, "--no-owner");
        add(words, &count, "--no-privileges");
    }
    if (wish->table_count > 0 || wish->schema_count > 0)
        add(words, &count, "--strict-names"); /* else a name that is not there is no error */
    for (size_t i = 0; i < wish->schema_count; i++) {
        add(words, &count, "--schema");
        add(words, &count, wish->schemas[i]);
    }
    for (size_t i = 0; i < wish->table_count; i++) {
        add(words, &count, "--table");
        add(words, &count, wish->tables[i]);
    }
    add(words, &count, "--dbname");
    add(words, &count, conninfo);
    add(words, &count, NULL);
}

bool restore_is_name(const char *conninfo)
{
    return strchr(conninfo, '=') == NULL && strstr(conninfo, "://") == NULL;
}

static char *target_conninfo(const char *text, const char *passfile)
{
    bool is_name = restore_is_name(text);

    return server_conninfo_for("--to", is_name ? "" : text, is_name ? text : NULL, passfile);
}

/* What whoever is to try again needs to know. */
static void explain_failure(const struct restore_wish *wish)
{
    for (size_t i = 0; i < wish->table_count; i++) {
        const char *dot = strchr(wish->tables[i], '.');
        if (dot != NULL) {
            log_hint("--table takes the name alone: --schema \"%.*s\" --table \"%s\". Nothing was restored.",
                     (int)(dot - wish->tables[i]), wish->tables[i], dot + 1);
            return;
        }
    }
    log_hint("%s", wish->creates
                       ? "What was restored until then is there: drop that database before the next "
                         "try."
                       : "Nothing was restored: it was one transaction.");
}

int restore_to_database(const struct config *config, struct sources *sources,
                        const struct dump_stream *stream, const struct restore_wish *wish)
{
    char *words[WORDS_MOST], passfile[32];
    char *what = string_printf("pg_restore of database \"%s\"", stream->name), *conninfo = NULL;
    int fd = -1, result = -1;
    bool is_over = false;
    unsigned major;
    char *path = tool_find(config, "pg_restore", sources->dump->program_major, &major);
    bool is_name = restore_is_name(wish->conninfo);

    if (what != NULL && path != NULL && tool_open_passfile("--to", is_name ? "" : wish->conninfo, &fd) == 0 &&
        (conninfo = target_conninfo(wish->conninfo, tool_passfile_path(fd, passfile))) != NULL) {
        const struct tool_wish tool = {.what = what,
                                       .words = words,
                                       .side = TOOL_READS,
                                       .out = -1,
                                       .inherited = fd < 0 ? 0 : fd,
                                       .stall_seconds = RESTORE_STALL_SECONDS};
        fill_words(words, wish, path, conninfo);
        result = run(sources, stream, &tool, &is_over);
        if (is_over)
            log_hint(
                "pg_restore had got all that it wanted by then, each piece verified, and has committed it: "
                "it is restored.");
        else if (result != 0 && interrupt_signal() == 0)
            explain_failure(wish);
    }
    if (fd >= 0)
        close(fd);
    free(conninfo);
    free(path);
    free(what);
    return result;
}

/* Verifying: pg_restore stops to read when it knows the contents; the rest is read all the same. */
struct listing {
    struct tool tool;
    bool has_stopped;
};

static int feed_listing(void *context, const void *data, size_t length)
{
    struct listing *listing = context;
    int result = listing->has_stopped ? 0 : tool_write(&listing->tool, data, length);

    if (result == 1)
        listing->has_stopped = true;
    return interrupt_requested() ? -1 : result < 0 ? -1 : 0;
}

static int list_through(struct sources *sources, const struct dump_stream *stream, char *const *words,
                        const char *what, int null)
{
    struct listing listing = {.has_stopped = false};
    const struct sink sink = {feed_listing, &listing};
    const struct tool_wish wish = {
        .what = what, .words = words, .side = TOOL_READS, .out = null, .stall_seconds = LIST_STALL_SECONDS};

    if (tool_start(&wish, &listing.tool) != 0)
        return -1;
    if (sources_read(sources, stream, &sink) == 0)
        return tool_end(&listing.tool);
    tool_stop(&listing.tool);
    return -1;
}

static int discard(void *context, const void *data, size_t length)
{
    (void)context, (void)data, (void)length;
    return interrupt_requested() ? -1 : 0;
}

int restore_list(struct sources *sources, const struct dump_stream *stream, const char *pg_restore)
{
    char *words[] = {(char *)pg_restore, "--list", NULL};
    const struct sink sink = {discard, NULL};
    int null, result = -1;

    if (stream->oid == 0 || pg_restore == NULL)
        return sources_read(sources, stream, &sink);
    char *what = string_printf("pg_restore --list of database \"%s\"", stream->name);
    null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (what != NULL && null >= 0)
        result = list_through(sources, stream, words, what, null);
    if (null >= 0)
        close(null);
    free(what);
    return result;
}
