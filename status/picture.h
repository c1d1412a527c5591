/* Where we stand: all that walferry-status tells, gathered once, in plain values. How it is told, as a page,
 * as JSON, as metrics, as HTML, is for others, who ask nobody. */
#ifndef WALFERRY_PICTURE_H
#define WALFERRY_PICTURE_H

#include "common/backup.h"
#include "common/drill_report.h"
#include "common/outcome_note.h"

#define PICTURE_TEXT_BYTES 1024

/* A complete base backup. */
struct picture_backup {
    char id[BACKUP_ID_BYTES];
    uint64_t system_identifier;
    int64_t start_time, stop_time;
    uint64_t plain_bytes, stored_bytes, page_errors;
    bool is_incomplete; /* WAL between its start and its end is missing */
    bool found_damaged; /* by a verification, and not verified to be right since */
    int64_t verified;   /* when it was read whole and found right; 0: not */
    bool goes;          /* with the next basebackup-expire; known only of a planned repository */
    unsigned reasons;   /* why it stays: enum retention_reason */
};

/* An unbroken stretch of WAL on the way to the latest timeline. */
struct picture_stretch {
    int64_t begin; /* any instant behind this can be recovered, up to: */
    int64_t end;
    size_t backups;
    bool ends_at_hole; /* WAL is missing behind it that should be there */
    bool is_expired;   /* what is missing behind it is what keep_wal lets go of */
};

struct picture_drill {
    int64_t time; /* 0: there was none */
    char backup[BACKUP_ID_BYTES];
    bool is_failed;
    uint64_t milliseconds; /* from the first byte fetched to the last check */
    bool has_rpo;
    double rpo_seconds;
    char problem[PICTURE_TEXT_BYTES]; /* of a failed one; "" */
};

struct picture_repository {
    const struct repository_config *settings; /* borrowed */
    bool is_up;                               /* it could be asked */
    bool is_complete;                         /* and all that was wanted could be read */
    bool is_wal_known;                        /* of the newest system: windows, holes, what is exposed */
    bool is_proof_known;                      /* verifications and drills */
    bool is_counted;                          /* objects and their bytes */
    char error[PICTURE_TEXT_BYTES];           /* else: why not */
    char server_error[PICTURE_TEXT_BYTES];    /* what of this machine's pg_wal could not be read; "" */

    uint64_t system_identifier;     /* of the newest system, which is the one that is backed up now */
    struct picture_backup *backups; /* owned; the oldest first, of all systems */
    size_t backup_count;
    size_t damaged_manifests;
    struct picture_stretch *stretches; /* owned; of the newest system */
    size_t stretch_count;
    uint32_t timeline; /* the latest */
    size_t hole_count, gap_markers, incomplete_backups;

    uint64_t segments, wal_stored_bytes;
    int64_t newest_segment_time; /* when it was stored, by the store's clock; 0: not known */
    bool is_exposed;             /* this machine has the server's pg_wal: */
    uint32_t server_timeline;    /* that of the server */
    bool has_safe;               /* something can be recovered along that timeline */
    bool has_unsafe;             /* and pg_wal has commits that can't */
    size_t unstored;             /* segments in it that are not here */
    double behind_seconds;       /* if has_safe: from the newest commit here to the newest there */
    double unsafe_seconds;       /* if has_unsafe: how old the oldest of those commits is */

    int64_t verification_time;   /* of the newest system: when one last came to the end of something; 0 */
    size_t damaged_units;        /* backups, logs of WAL and folders that were found damaged */
    struct drill_report *drills; /* owned; in the order of their time, of all systems */
    size_t drill_count;
    struct picture_drill last_drill, good_drill; /* of the newest system */

    uint64_t objects, object_bytes;
    bool has_disk; /* it is a directory: */
    uint64_t disk_free_bytes, disk_size_bytes;

    bool is_planned; /* a policy is given, and what goes next was asked for: */
    uint64_t segments_going, bytes_going;
};

/* Files that wait for archive_command. */
struct picture_lag {
    bool is_known;
    uint64_t segments, bytes;
    int64_t oldest; /* since when the oldest waits; 0: none does */
};

struct picture_run {
    const char *program;
    struct outcome_note note; /* runs 0: nothing is known */
};

enum problem_kind {
    PROBLEM_UNREACHABLE,
    PROBLEM_UNREADABLE,
    PROBLEM_NO_BACKUP,
    PROBLEM_NOT_RECOVERABLE,
    PROBLEM_BACKUP_OLD,
    PROBLEM_INCOMPLETE_BACKUP,
    PROBLEM_HOLE,
    PROBLEM_DAMAGED,
    PROBLEM_PAGE_ERRORS,
    PROBLEM_VERIFICATION_OLD,
    PROBLEM_DRILL_FAILED,
    PROBLEM_LAGGING,
    PROBLEM_DISK_FULL, /* those above are of a repository */
    PROBLEM_DRILL_OLD,
    PROBLEM_WAL_LAG,
    PROBLEM_RUN_FAILED,
    PROBLEM_BLIND,
    PROBLEM_KINDS
};
/* "backup_old": as in docs/monitoring.md. */
const char *problem_kind_name(enum problem_kind kind);
bool problem_is_of_repository(enum problem_kind kind);

struct problem {
    enum problem_kind kind;
    const struct picture_repository *repository; /* borrowed; NULL: of the cluster */
    const char *program;                         /* whose run failed; NULL */
    char text[PICTURE_TEXT_BYTES];               /* what is wrong */
    char advice[PICTURE_TEXT_BYTES];             /* what to do */
};

struct picture {
    const struct config *config; /* borrowed */
    int64_t now;
    double seconds;                          /* that gathering took */
    struct picture_repository *repositories; /* owned; in the order of the configuration */
    size_t repository_count;
    struct picture_lag lag;
    char lag_unknown[PICTURE_TEXT_BYTES]; /* why not, where pgdata is configured; "" */
    struct picture_run *runs;             /* owned */
    size_t run_count;
    char runs_unknown[PICTURE_TEXT_BYTES]; /* why nothing is known of runs; "": what there is is known */
    struct problem *problems;              /* owned; filled by picture_find_problems */
    size_t problem_count;
    bool is_waited_for; /* a thread still waits for a repository: the process must end with _exit */
};

/* Asks everybody, each repository in a thread of its own, for as long as [status] timeout says. only: the one
 * that --repository chose; NULL: all. with_plan: also what the retention policies would let go of now. 0, or
 * -1 after logging (memory). picture_free in any case. */
int picture_take(const struct config *config, const struct repository_config *only, bool with_plan,
                 struct picture *picture);
void picture_free(struct picture *picture);

/* Judges by [status] of the configuration; pure. 0, or -1 after logging. */
int picture_find_problems(struct picture *picture);

/* The newest backup of the newest system; NULL: there is none. The same of the one before it. */
const struct picture_backup *picture_newest_backup(const struct picture_repository *repository);
/* The newest that no WAL is missing of, and that was not found damaged; NULL: there is none. */
const struct picture_backup *picture_usable_backup(const struct picture_repository *repository);
const struct picture_backup *picture_previous_backup(const struct picture_repository *repository);
/* The newest usable one of all repositories; NULL: there is none. */
const struct picture_backup *picture_newest_of_all(const struct picture *picture);
/* When a full verification of any repository last came to the end of something; 0: never. */
int64_t picture_last_verification(const struct picture *picture);
/* The stretch with the newest commits, with which the cluster can be recovered; NULL: it can't. */
const struct picture_stretch *picture_window(const struct picture_repository *repository);
/* The repository that brings back the most; NULL: none brings back anything. */
const struct picture_repository *picture_best(const struct picture *picture);
/* Does it bring back all that the best one does? Else the page says up to when it does. */
bool picture_is_as_good(const struct picture_repository *repository, const struct picture_repository *best);
/* Whether there is one that does is not known: of one of them nothing is known, and the others don't. */
bool picture_is_best_unknown(const struct picture *picture);
/* How long the oldest file has waited for archive_command; 0: none does, or the clock was set back since. */
double picture_lag_seconds(const struct picture *picture);
/* The last drill of any repository that passed; time 0: none did. */
const struct picture_drill *picture_good_drill(const struct picture *picture);
/* The last run of the two; NULL: nothing is known. */
const struct outcome_run *picture_last_run(const struct picture_run *run);

#endif
