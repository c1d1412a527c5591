#include "data_directory.h"

#include "common/file.h"
#include "common/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

static int choose(const struct config *config, const struct session_facts *facts,
                  struct data_directory *directory)
{
    struct stat status;

    directory->path = config->pgdata != NULL ? config->pgdata : facts->data_directory;
    if (directory->path == NULL) {
        log_error("the server does not tell this user where its data directory is");
        log_hint("Set pgdata in section [cluster] of the configuration.");
        return -1;
    }
    if (stat(directory->path, &status) != 0) {
        log_error("could not stat data directory \"%s\": %m", directory->path);
        return -1;
    }
    ship_owner_of(&status, &directory->owner);
    directory->file_mode = (status.st_mode & S_IRGRP) != 0 ? 0640 : 0600;
    return 0;
}

static int read_control(struct data_directory *directory)
{
    int result = pg_control_read(directory->path, &directory->control, directory->control_bytes);

    if (result > 0)
        log_error("\"%s\" is no data directory: it has no global/pg_control", directory->path);
    return result == 0 ? 0 : -1;
}

int data_directory_open(const struct config *config, const struct session_facts *facts,
                        struct data_directory *directory)
{
    if (choose(config, facts, directory) != 0 || read_control(directory) != 0)
        return -1;
    if (directory->control.system_identifier == facts->system_identifier)
        return 0;
    log_error("data directory \"%s\" has the system identifier %" PRIu64 ", but the server has %" PRIu64,
              directory->path, directory->control.system_identifier, facts->system_identifier);
    log_hint("pgdata and conninfo in section [cluster] of the configuration must mean the same server.");
    return -1;
}

static int refuse(const struct data_directory *directory, const char *reason)
{
    log_error("data directory \"%s\" is not the one of the server that conninfo leads to", directory->path);
    log_hint("%s Is it a copy, or an old mount?", reason);
    return -1;
}

/* A standby may have made its restartpoint long ago. But whatever it does to its files is in its pg_control
 * before: what the server reads there lies between two looks of ours. A copy that shows the same has the same
 * pages, as far as replay from the start of the backup is concerned. */
static int verify_standby(struct data_directory *directory, struct server *server)
{
    struct pg_control before = directory->control;
    const struct pg_control *after = &directory->control;
    struct session_control seen;

    if (session_read_control(server, &seen) != 0 || read_control(directory) != 0)
        return -1;
    if (after->state == PG_CONTROL_IN_ARCHIVE_RECOVERY && before.checkpoint_lsn <= seen.checkpoint_lsn &&
        seen.checkpoint_lsn <= after->checkpoint_lsn &&
        before.minimum_recovery_lsn <= seen.minimum_recovery_lsn &&
        seen.minimum_recovery_lsn <= after->minimum_recovery_lsn)
        return 0;
    return refuse(directory, "Its pg_control is not the one that the standby sees.");
}

/* The checkpoint that began the backup proves which is which. */
int data_directory_verify(struct data_directory *directory, struct server *server,
                          const struct session_facts *facts, const struct session_start *start)
{
    if (read_control(directory) != 0)
        return -1;
    if (directory->control.redo_lsn < start->lsn || directory->control.timeline != start->timeline)
        return refuse(directory, "It does not show the checkpoint that the server has just made.");
    return facts->is_standby ? verify_standby(directory, server) : 0;
}

int data_directory_keep_control(struct data_directory *directory)
{
    char *path = path_join(directory->path, "global/pg_control");
    struct stat status;
    int result = -1;

    if (path == NULL || read_control(directory) != 0)
        goto done;
    if (stat(path, &status) != 0) {
        log_error("could not stat file \"%s\": %m", path);
        goto done;
    }
    directory->control_modified_seconds = status.st_mtime;
    result = 0;
done:
    free(path);
    return result;
}

int data_directory_verify_end(const struct data_directory *directory, const struct session_stop *stop)
{
    if (directory->control.state == PG_CONTROL_IN_ARCHIVE_RECOVERY &&
        directory->control.minimum_recovery_lsn <= stop->lsn)
        return 0;
    return refuse(directory, "At the end of the backup it was ahead of the standby.");
}
