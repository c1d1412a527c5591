/* Is what a repository holds all there, and right? Changes nothing but reports/, and index/ where it may. */
#ifndef WALFERRY_VERIFY_H
#define WALFERRY_VERIFY_H

#include "common/backup.h"
#include "common/progress.h"
#include "common/rate.h"
#include "common/wal_archive.h"
#include "findings.h"
#include "inventory.h"

struct verify_settings {
    bool is_full;         /* every byte is read; else listings, manifests, and an index where needed */
    bool is_wal;          /* --wal: no backups */
    const char *backup;   /* this one alone, an id or "latest"; NULL */
    unsigned long sample; /* so many of the backups, at random; 0: all */
    uint64_t max_bytes;   /* of a full verification, in all repositories; 0: no limit */
    uint64_t max_seconds; /* the same */
    unsigned jobs;
    uint64_t max_rate;
};

/* What is left of these limits. Each repository, and each system in it, gets an equal share of what those
 * before it have left: so all come to their turn each time. */
struct verify_budget {
    bool is_limited; /* in bytes */
    uint64_t bytes;
    int64_t deadline; /* monotonic; 0: none */
    size_t sharers;   /* repositories that are still to come */
};

/* A complete backup. */
struct verify_backup {
    struct backup backup;
    const struct inventory_folder *folder; /* borrowed */
    bool is_selected;
};

/* Of small objects (verify_folders.h): what is there. */
#define VERIFY_FOLDERS 3
struct verify_folder {
    uint64_t objects, bytes;
};

/* One system of one repository while it is verified. */
struct verify {
    const struct verify_settings *settings; /* borrowed, as the next four */
    struct repository *repository;          /* used by the main thread alone */
    struct findings *findings;
    struct progress *progress;
    struct rate *rate;
    struct verify_budget budget;     /* this system's */
    const struct generation *system; /* borrowed */
    struct inventory inventory;
    struct verify_backup *backups; /* owned; the oldest first */
    size_t backup_count;
    struct wal_archive archive;
    struct verify_folder folders[VERIFY_FOLDERS];
    /* what was looked at, and of a full verification what was read; stored bytes */
    uint64_t backups_done, segments_done, objects_read, bytes_read;
    bool is_cut_short; /* by --max-bytes or --max-time */
};

/* Only one backup, or a sample: the rest of the repository is not looked at. */
bool verify_is_narrow(const struct verify_settings *settings);

/* The budget of a call that looks at so many repositories; begins now. */
struct verify_budget verify_budget(const struct verify_settings *settings, size_t repositories);

/* findings and json (an object) get what was found and done; the budget, what is left. 0: all that was asked
 * for has been looked at; -1 after logging: it could not be found out. */
int verify_repository(struct repository *repository, const struct verify_settings *settings,
                      struct verify_budget *budget, struct findings *findings, struct progress *progress,
                      struct json *json);

#endif
