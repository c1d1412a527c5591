#include "recovery_files.h"

#include "common/file.h"
#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define SETTINGS_FILE_MOST_BYTES (16 * 1024 * 1024)

const char *signal_file_name(enum server_mode mode)
{
    switch (mode) {
    case SERVER_RECOVERY:
        return "recovery.signal";
    case SERVER_STANDBY:
        return "standby.signal";
    case SERVER_NORMAL:
        break;
    }
    return NULL;
}

bool signal_file_exists(const struct data_directory *directory, enum server_mode mode)
{
    char *path = path_join(directory->path, signal_file_name(mode));
    bool exists = path != NULL && file_exists(path);

    free(path);
    return exists;
}

int recovery_files_read(const struct data_directory *directory, struct settings *settings)
{
    struct buffer text = BUFFER_EMPTY;
    char *path = path_join(directory->path, SETTINGS_FILE);
    int result = -1;

    *settings = (struct settings){NULL, 0, 0};
    if (path != NULL && file_read_all(path, SETTINGS_FILE_MOST_BYTES, &text) != FILE_FAILED)
        result = settings_parse(buffer_string(&text), text.length, settings);
    if (result == 0 && settings->malformed_line != 0) {
        log_warning("line %u of file \"%s\" is a syntax error, with which the server won't start",
                    settings->malformed_line, path);
        log_hint("recovery-config leaves it as it is: correct it by hand.");
    }
    buffer_free(&text);
    free(path);
    return result;
}

int recovery_files_write(const struct data_directory *directory, const struct settings *settings)
{
    struct buffer text = BUFFER_EMPTY;
    char *path = path_join(directory->path, SETTINGS_FILE);
    struct stat status;
    int result = -1;

    if (path != NULL && settings_write(settings, false, &text) == 0) {
        mode_t mode = stat(path, &status) == 0 ? status.st_mode & 0777 : directory->settings_mode;

        result = file_replace(path, text.data, text.length, mode);
    }
    buffer_free(&text);
    free(path);
    return result;
}

int signal_file_set(const struct data_directory *directory, enum server_mode mode)
{
    char *path = path_join(directory->path, signal_file_name(mode));
    int result = path == NULL ? -1 : file_replace(path, "", 0, directory->settings_mode);

    free(path);
    if (result != 0)
        return -1;
    return signal_file_remove(directory, mode == SERVER_STANDBY ? SERVER_RECOVERY : SERVER_STANDBY);
}

int signal_file_remove(const struct data_directory *directory, enum server_mode mode)
{
    char *path = path_join(directory->path, signal_file_name(mode));
    int result = -1;

    if (path == NULL)
        return -1;
    if (unlink(path) == 0)
        result = file_sync_directory(directory->path);
    else if (errno == ENOENT)
        result = 0;
    else
        log_error("could not remove file \"%s\": %m", path);
    free(path);
    return result;
}
