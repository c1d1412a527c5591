#include "data_directory.h"

#include "common/buffer.h"
#include "common/file.h"
#include "common/log.h"
#include "common/wal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LABEL_FILE_MOST_BYTES 65536

/* DBState of pg_control.h */
enum { STATE_SHUT_DOWN_IN_RECOVERY = 2, STATE_IN_ARCHIVE_RECOVERY = 5 };

/* The rest of the line that begins with this word; NULL when there is none. */
static const char *label_value(const char *text, const char *word)
{
    size_t length = strlen(word);

    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, word, length) == 0)
            return line + length;
    }
    return NULL;
}

bool backup_label_parse(const char *text, struct data_directory *directory)
{
    const char *start = label_value(text, "START WAL LOCATION: ");
    const char *timeline = label_value(text, "START TIMELINE: ");
    const char *label = label_value(text, "LABEL: ");
    char lsn[24];
    char segment[WAL_SEGMENT_NAME_BYTES];
    struct wal_name name;

    if (start == NULL || sscanf(start, "%23s (file %24[0-9A-F])", lsn, segment) != 2)
        return false;
    name = wal_name_parse(segment);
    if (!lsn_parse(lsn, &directory->start_lsn) || name.kind != WAL_SEGMENT)
        return false;
    directory->start_timeline = timeline == NULL ? name.timeline : (uint32_t)strtoul(timeline, NULL, 10);
    directory->label =
        label == NULL ? string_copy("") : string_printf("%.*s", (int)strcspn(label, "\n"), label);
    directory->has_label = directory->label != NULL;
    return directory->has_label;
}

/* 0, 1 when it isn't there, or -1 after logging. */
static int read_label(struct data_directory *directory, const char *name)
{
    struct buffer text = BUFFER_EMPTY;
    char *path = path_join(directory->path, name);
    enum file_result read = path == NULL ? FILE_FAILED : file_read_all(path, LABEL_FILE_MOST_BYTES, &text);
    int result = read == FILE_OK ? 0 : read == FILE_ABSENT ? 1 : -1;

    if (read == FILE_OK && !backup_label_parse(buffer_string(&text), directory)) {
        log_error("file \"%s\" is not a backup_label of PostgreSQL", path);
        result = -1;
    }
    buffer_free(&text);
    free(path);
    return result;
}

/* Recovery renames backup_label when it begins. The old one belongs to this very recovery as long as that has
 * not ended; in a server that was opened it may be years old. */
static int find_label(struct data_directory *directory)
{
    int result = read_label(directory, "backup_label");

    directory->is_fresh = result == 0;
    directory->in_recovery =
        !directory->is_fresh && (directory->control.state == STATE_SHUT_DOWN_IN_RECOVERY ||
                                 directory->control.state == STATE_IN_ARCHIVE_RECOVERY);
    if (result == 1 && directory->in_recovery)
        result = read_label(directory, "backup_label.old");
    return result < 0 ? -1 : 0;
}

int data_directory_read(const char *path, struct data_directory *directory)
{
    struct stat status;
    int control;

    *directory = (struct data_directory){.path = path};
    if (stat(path, &status) != 0) {
        log_error("could not access directory \"%s\": %m", path);
        return -1;
    }
    directory->owner = status.st_uid;
    directory->settings_mode = (status.st_mode & S_IRGRP) != 0 ? 0640 : 0600;
    directory->major = pg_version_read(path);
    control = directory->major == 0 ? 1 : pg_control_read(path, &directory->control, NULL);
    if (control < 0)
        return -1;
    if (control > 0) {
        log_error("\"%s\" is not a data directory of PostgreSQL: there is no readable \"%s\"", path,
                  directory->major == 0 ? "PG_VERSION" : "global/pg_control");
        log_hint("A restore that was interrupted has no global/pg_control: run basebackup-fetch again, with "
                 "--delta.");
        return -1;
    }
    if (directory->major < POSTGRESQL_LEAST_VERSION) {
        log_error("\"%s\" belongs to PostgreSQL %u; walferry works with %d and later", path, directory->major,
                  POSTGRESQL_LEAST_VERSION);
        return -1;
    }
    directory->server = running_server_named(path, &directory->server_pid);
    if (server_mode_read(path, &directory->mode) != 0)
        return -1;
    return find_label(directory);
}

void data_directory_free(struct data_directory *directory)
{
    free(directory->label);
    directory->label = NULL;
}

bool data_directory_is_ours(const struct data_directory *directory)
{
    if (geteuid() == directory->owner)
        return true;
    log_error("data directory \"%s\" belongs to user %u, but this program runs as user %u", directory->path,
              (unsigned)directory->owner, (unsigned)geteuid());
    log_hint("Files of another user would keep the server from starting: run it as the owner, for example "
             "with runuser "
             "or sudo -u.");
    return false;
}
