#include "external.h"

#include "common/file.h"
#include "common/log.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES_MOST 1000 /* more is no configuration, but a loop through directories */
#define FILE_MOST_BYTES (16 * 1024 * 1024)

struct found {
    char *path;        /* as the server names it */
    char *resolved;    /* without links */
    bool is_directory; /* of include_dir: the server does not start without it, even if it is empty */
};

/* Configuration files, inside the data directory too: they may include others that lie outside. */
struct search {
    struct found *files; /* each once; grows while it is worked through */
    size_t count;
};

static void search_free(struct search *search)
{
    for (size_t i = 0; i < search->count; i++) {
        free(search->files[i].path);
        free(search->files[i].resolved);
    }
    free(search->files);
}

/* Takes resolved over. 0, or -1 after logging. */
static int append_found(struct search *search, const char *path, char *resolved, bool is_directory)
{
    struct found *more = realloc(search->files, (search->count + 1) * sizeof *more);
    char *copy = string_copy(path);

    if (more != NULL)
        search->files = more;
    if (more == NULL || copy == NULL) {
        free(copy);
        free(resolved);
        return log_out_of_memory();
    }
    more[search->count++] = (struct found){copy, resolved, is_directory};
    return 0;
}

static int add_path(struct search *search, const char *path, bool may_be_absent, bool is_directory)
{
    char *resolved = realpath(path, NULL);

    if (resolved == NULL) {
        if (may_be_absent && errno == ENOENT)
            return 0;
        log_warning("configuration file \"%s\" cannot be backed up: %m", path);
        return 0;
    }
    for (size_t i = 0; i < search->count; i++)
        if (strcmp(search->files[i].resolved, resolved) == 0) {
            free(resolved);
            return 0;
        }
    if (search->count == FILES_MOST) {
        log_warning("configuration file \"%s\" is not backed up: there are more than %d", path, FILES_MOST);
        free(resolved);
        return 0;
    }
    return append_found(search, path, resolved, is_directory);
}

/* include_dir: the server reads *.conf, but not hidden ones. */
static int add_directory(struct search *search, const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *item;
    int result;

    if (directory == NULL) {
        log_warning("configuration directory \"%s\" cannot be backed up: %m", path);
        return 0;
    }
    result = add_path(search, path, false, true);
    while (result == 0 && (item = readdir(directory)) != NULL) {
        size_t length = strlen(item->d_name);
        if (item->d_name[0] == '.' || length < 6 || strcmp(item->d_name + length - 5, ".conf") != 0)
            continue;
        char *file = path_join(path, item->d_name);
        result = file == NULL ? -1 : add_path(search, file, false, false);
        free(file);
    }
    closedir(directory);
    return result;
}

/* "include = 'name'", "include_dir name", ...: the forms of postgresql.conf, pg_hba.conf and pg_ident.conf.
 * On success the line is changed: *word and *value are parts of it. */
static bool split_include(char *line, char **word, char **value)
{
    char *end = line + strcspn(line, " \t=\r");

    *word = line;
    if (*end == '\0')
        return false;
    *end++ = '\0';
    end += strspn(end, " \t=");
    if (strcmp(line, "include") != 0 && strcmp(line, "include_if_exists") != 0 &&
        strcmp(line, "include_dir") != 0)
        return false;
    *value = end;
    if (*end == '\'' || *end == '"') {
        *value = end + 1;
        end = strchr(end + 1, *end);
        if (end == NULL)
            return false;
    } else
        end += strcspn(end, " \t#\r");
    *end = '\0';
    return **value != '\0';
}

static int scan_line(struct search *search, const char *directory, char *line)
{
    char *word, *value;

    if (!split_include(line, &word, &value))
        return 0;
    char *path = path_join(directory, value);
    if (path == NULL)
        return -1;
    int result = strcmp(word, "include_dir") == 0
                     ? add_directory(search, path)
                     : add_path(search, path, strcmp(word, "include_if_exists") == 0, false);
    free(path);
    return result;
}

static int scan_file(struct search *search, const char *path)
{
    struct buffer text = BUFFER_EMPTY;
    char *directory = path_directory(path);
    int result = directory == NULL ? -1 : 0;

    /* What cannot be read is warned of when it is to be shipped. */
    if (result == 0 && access(path, R_OK) == 0 && file_read_all(path, FILE_MOST_BYTES, &text) == FILE_OK &&
        text.data != NULL) {
        char *rest = NULL;
        for (char *line = strtok_r((char *)text.data, "\n", &rest); line != NULL && result == 0;
             line = strtok_r(NULL, "\n", &rest))
            result = scan_line(search, directory, line + strspn(line, " \t"));
    }
    buffer_free(&text);
    free(directory);
    return result;
}

static int add_known(struct search *search, struct server *server, const struct session_facts *facts)
{
    const char *settings[] = {facts->config_file, facts->hba_file, facts->ident_file};
    struct server_rows rows;
    int result = 0;

    if (facts->config_file == NULL) {
        log_warning("the server does not tell this user where its configuration files are: any outside of "
                    "the data directory "
                    "are not backed up");
        log_hint("GRANT pg_read_all_settings to the user of conninfo.");
    }
    for (size_t i = 0; i < sizeof settings / sizeof *settings && result == 0; i++)
        if (settings[i] != NULL)
            result = add_path(search, settings[i], false, false);
    if (result != 0 || session_configuration_files(server, facts->major, &rows) != 0)
        return -1;
    for (size_t i = 0; i < rows.row_count && result == 0; i++)
        result = add_path(search, server_cell(&rows, i, 0), true, false);
    server_rows_free(&rows);
    return result;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);

    return strncmp(path, directory, length) == 0 && path[length] == '/';
}

/* Absolute, and without "..", "." and double slashes: such as the index takes. */
static bool is_plain(const char *path)
{
    return path[0] == '/' && strstr(path, "//") == NULL && strstr(path, "/./") == NULL &&
           strstr(path, "/../") == NULL;
}

static int keep_one(struct external *external, const char *path, bool is_directory)
{
    char **more = realloc(external->paths, (external->count + 1) * sizeof *more);
    char *copy = string_printf("%s%s", path, is_directory ? "/" : "");

    if (more != NULL)
        external->paths = more;
    if (more == NULL || copy == NULL) {
        free(copy);
        return more == NULL ? log_out_of_memory() : -1;
    }
    more[external->count++] = copy;
    return 0;
}

/* Those that are not in the data directory and can be read. A link in the data directory to a file outside is
 * left out of the backup as a link, so the file is kept under its own name. */
static int keep_outside(const struct search *search, const char *data_directory,
                        const char *resolved_directory, struct external *external)
{
    for (size_t i = 0; i < search->count; i++) {
        const struct found *file = &search->files[i];
        if (is_below(file->resolved, resolved_directory))
            continue;
        bool is_link = is_below(file->path, data_directory) || is_below(file->path, resolved_directory);
        const char *path = is_link || !is_plain(file->path) ? file->resolved : file->path;
        if (access(path, R_OK) != 0)
            log_warning("configuration file \"%s\" cannot be backed up: %m", path);
        else if (keep_one(external, path, file->is_directory) != 0)
            return -1;
    }
    if (external->count > 0)
        qsort(external->paths, external->count, sizeof *external->paths, compare_paths);
    return 0;
}

int external_find(struct server *server, const struct session_facts *facts, const char *data_directory,
                  struct external *external)
{
    struct search search = {NULL, 0};
    char *resolved = realpath(data_directory, NULL);
    int result;

    memset(external, 0, sizeof *external);
    if (resolved == NULL) {
        log_error("could not resolve \"%s\": %m", data_directory);
        return -1;
    }
    result = add_known(&search, server, facts);
    for (size_t i = 0; i < search.count && result == 0; i++)
        result = search.files[i].is_directory ? 0 : scan_file(&search, search.files[i].path);
    if (result == 0)
        result = keep_outside(&search, data_directory, resolved, external);
    search_free(&search);
    free(resolved);
    if (result != 0)
        external_free(external);
    return result;
}

void external_free(struct external *external)
{
    if (external == NULL)
        return;
    for (size_t i = 0; i < external->count; i++)
        free(external->paths[i]);
    free(external->paths);
    memset(external, 0, sizeof *external);
}

/* SHIP_GONE: it vanished meanwhile. */
static enum ship_result ship_one(char *path, struct ship *ship, struct part_series *series)
{
    size_t length = strlen(path);

    if (path[length - 1] == '/') {
        path[length - 1] = '\0';
        int result = ship_directory(ship, series, path + 1, 0755);
        path[length - 1] = '/';
        return result == 0 ? SHIP_DONE : SHIP_FAILED;
    }
    struct ship_file file = {
        .series = series,
        .directory_fd = AT_FDCWD,
        .path = path,
        .follows_links = true,
        .member_path = path + 1,
        .index_path = path + 1,
    };
    return ship_file(ship, &file);
}

int external_ship(struct external *external, struct ship *ship, struct part_series *series)
{
    size_t kept = 0;
    int result = 0;

    for (size_t i = 0; i < external->count; i++) {
        enum ship_result shipped = result == 0 ? ship_one(external->paths[i], ship, series) : SHIP_DONE;
        if (shipped == SHIP_FAILED)
            result = -1;
        if (shipped == SHIP_GONE)
            free(external->paths[i]);
        else
            external->paths[kept++] = external->paths[i];
    }
    external->count = kept;
    return result;
}
