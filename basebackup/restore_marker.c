#include "restore_marker.h"

#include "common/document.h"
#include "common/file.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "restore_place.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARKER_KIND "restore"
#define MARKER_MOST_BYTES (16 * 1024 * 1024)

bool restore_marker_is_leftover(const char *name)
{
    static const char begin[] = "." RESTORE_MARKER ".", end[] = ".walferry";
    const char *random = name + sizeof begin - 1;

    return strncmp(name, begin, sizeof begin - 1) == 0 && strspn(random, "0123456789abcdef") == 16 &&
           strcmp(random + 16, end) == 0;
}

/* Caller frees *document. 0; 1 if there is none; -1 after logging. */
static int read_marker(const char *directory, struct json **document)
{
    struct buffer text = BUFFER_EMPTY;
    char *path = path_join(directory, RESTORE_MARKER);
    enum file_result read = path == NULL ? FILE_FAILED : file_read_all(path, MARKER_MOST_BYTES, &text);

    *document = read == FILE_OK ? document_open(text.data, text.length, MARKER_KIND, path) : NULL;
    buffer_free(&text);
    free(path);
    return read == FILE_ABSENT ? 1 : *document != NULL ? 0 : -1;
}

int restore_marker_read_system(const char *directory, uint64_t *system_identifier)
{
    struct json *document;
    int read = read_marker(directory, &document);
    const char *system = read != 0 ? NULL : json_text(document, "system_identifier");

    *system_identifier = system == NULL || !isdigit((unsigned char)*system) ? 0 : strtoull(system, NULL, 10);
    if (read == 0 && *system_identifier == 0) {
        log_error("\"%s/" RESTORE_MARKER "\" is damaged: it does not name a system", directory);
        read = -1;
    }
    json_free(document);
    return read;
}

bool restore_marker_has_place(const char *data_directory, const char *place)
{
    struct json *document;
    bool found = false;

    if (read_marker(data_directory, &document) != 0)
        return false;
    const struct json *places = json_list(document, "tablespaces");
    for (size_t i = 0; i < json_array_length(places); i++) {
        const char *path = json_array_string(places, i);
        found = found || (path != NULL && strcmp(path, place) == 0);
    }
    json_free(document);
    return found;
}

bool restore_marker_is_past_wal(const char *data_directory)
{
    struct json *document;

    if (read_marker(data_directory, &document) != 0)
        return false;
    const char *aside = json_text(document, "pg_wal");
    bool is_pending = aside != NULL && !file_exists(aside);
    json_free(document);
    return !is_pending;
}

static void remove_leftovers(const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *item;

    while (directory != NULL && (item = readdir(directory)) != NULL)
        if (restore_marker_is_leftover(item->d_name))
            unlinkat(dirfd(directory), item->d_name, 0);
    if (directory != NULL)
        closedir(directory);
}

int restore_marker_put(const struct restore_places *places, const struct backup *backup, const char *aside)
{
    struct json *document = document_new(MARKER_KIND), *tablespaces = json_new_array();
    struct buffer text = BUFFER_EMPTY;
    char system[24], begun[TIMESTAMP_TEXT_BYTES];
    char *path = path_join(places->items[0].path, RESTORE_MARKER);

    remove_leftovers(places->items[0].path);
    snprintf(system, sizeof system, "%" PRIu64, backup->system_identifier);
    timestamp_format_iso(timestamp_now(), begun);
    json_set_string(document, "system_identifier", system);
    json_set_string(document, "backup", backup->id);
    json_set_string(document, "begun", begun);
    for (size_t i = 1; i < places->count; i++)
        if (places->items[i].oid != 0)
            json_append_text(tablespaces, places->items[i].path);
    json_set(document, "tablespaces", tablespaces);
    json_set_text(document, "pg_wal", aside);
    int result = document_seal(document, &text);
    if (result == 0)
        result = path == NULL ? -1 : file_replace(path, text.data, text.length, 0600);
    buffer_free(&text);
    free(path);
    return result;
}

int restore_marker_remove(const struct restore_places *places)
{
    if (unlinkat(places->items[0].fd, RESTORE_MARKER, 0) != 0 && errno != ENOENT)
        log_error("could not remove file \"%s/" RESTORE_MARKER "\": %m", places->items[0].path);
    else if (fsync(places->items[0].fd) != 0)
        log_error("could not write directory \"%s\" to disk: %m", places->items[0].path);
    else
        return 0;
    return -1;
}
