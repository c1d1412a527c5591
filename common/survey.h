/* All that is told of one repository: its backups, its WAL and what can be recovered, for each system that it
 * accepts. Layer 4. */
#ifndef WALFERRY_SURVEY_H
#define WALFERRY_SURVEY_H

#include "exposure.h"
#include "window.h"

#define SURVEY_TEXT_BYTES 1024

struct survey_system {
    const struct generation *generation; /* of the repository's cluster */
    size_t backup_count;
    struct wal_archive archive;
    struct windows windows;
    struct exposure exposure;
};

struct survey {
    const struct repository_config *settings;
    struct repository repository;
    bool is_open;
    bool is_read;                         /* its cluster and its backups could be */
    bool is_complete;                     /* all could be read */
    char server_error[SURVEY_TEXT_BYTES]; /* what of this machine's pg_wal could not be read; "" */
    struct backup_list backups;
    struct survey_system *systems; /* owned; the oldest first */
    size_t count;                  /* of those that could be read */
};

/* 0, or -1 after logging: it could not be read at all, or not everything in it, or not this machine's pg_wal.
 * To be closed in all cases. */
int survey_load(const struct config *config, const struct repository_config *settings, struct survey *survey);
void survey_close(struct survey *survey);

/* Stretches of a timeline for which there is no WAL between segments that are there, and the first most of
 * them. */
size_t survey_holes(const struct wal_archive *archive, uint32_t timeline, struct archive_gap *holes,
                    size_t most);

#endif
