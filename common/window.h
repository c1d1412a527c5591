/* What can be recovered: which instants, from which backup, along which timeline; and the proof, before a
 * byte is restored, that a target can be reached. Layer 4. Sources: rules 3, 5, 20, 22, 23 of
 * docs/postgresql.md.
 *
 * The latest instant of a run of WAL is that of its newest commit. Of all commits only those are read that
 * are behind the beginning of the newest backup in the run (of the one before it, if there are none, and so
 * on): what was committed before is taken not to be later than that, as it is unless the clock was set back
 * in between. If it was, the window ends too early, never too late. */
#ifndef WALFERRY_WINDOW_H
#define WALFERRY_WINDOW_H

#include "backup.h"
#include "wal_archive.h"

/* An unbroken stretch of WAL along one timeline's history, and the backups that recovery through it can begin
 * with. */
struct window_stretch {
    const struct backup *first; /* the first to end of those that serve it: earliest is its stop time */
    const struct backup *last;  /* the newest that serves it */
    size_t backup_count;
    int64_t earliest;       /* a target must be later than this */
    bool has_latest;        /* else nothing was committed since: only "the newest", or the backup's own end */
    int64_t latest;         /* a target must be earlier than this: the newest commit or abort */
    bool is_known;          /* else latest is "at least" */
    uint64_t last_lsn;      /* reaches the last commit, as recovery_target_lsn; 0: there is none */
    int64_t covered_until;  /* nothing was committed between latest and this, when a backup of the primary
                               was about to end; INT64_MIN: not known */
    struct archive_run run; /* from the oldest backup's first segment on */
    bool is_expired;        /* the hole behind it is what keep_wal of the repository lets go of */
};

/* A backup whose own WAL is not all there. */
struct window_incomplete {
    const struct backup *backup;
    uint32_t timeline; /* of the first segment that is missing */
    uint64_t missing;
};

struct window {
    uint32_t timeline;
    struct timeline_history history; /* its ancestors are borrowed from the archive */
    bool is_left;                    /* another timeline left this one: by_timeline, at left_at */
    uint32_t by_timeline;            /* that on the way to the latest, if one is; else the first */
    uint64_t left_at;
    bool leads_to_latest; /* else what is behind the point where the ways part is on no way to the latest */
    struct window_stretch
        *stretches; /* owned; in the order of the WAL; between two of them some is missing */
    size_t count;
    struct window_incomplete *incomplete; /* owned */
    size_t incomplete_count;
};

/* One for each timeline of the archive and of the backups, ascending. */
struct windows {
    struct window *items;
    size_t count;
    uint32_t latest; /* timeline; 0: none */
};
/* backups: of all systems; those of the archive's count. Archive and list must outlive the windows. OK or
 * FAILED. windows_free in any case. */
enum repository_result windows_find(struct wal_archive *archive, const struct backup_list *backups,
                                    struct windows *windows);
void windows_free(struct windows *windows);

/* Is the backup's end on the way to this timeline? */
bool window_leads(const struct timeline_history *history, const struct backup *backup);

/* Where recovery begins. */
struct window_origin {
    const struct backup *backup; /* NULL: not known */
    uint64_t start_lsn;          /* the first that is needed */
    uint64_t stop_lsn;           /* consistent from here on; 0: not known */
};
void window_origin_of(const struct backup *backup, struct window_origin *origin);
/* The run of WAL that recovery from there has. False if it ends before the backup is consistent: then it
 * can't be used. Of a backup that holds its own WAL the run begins where that ends: with
 * the segment behind it, if need be. */
bool window_origin_follow(const struct wal_archive *archive, const struct timeline_history *history,
                          const struct window_origin *origin, struct archive_run *run);

/* Of what is older than keep_wal, retention leaves only the WAL that makes each backup consistent. Can the
 * hole behind the run be of that kind: does it lie before the beginning of this backup, which is so old? */
bool window_hole_is_expired(const struct wal_archive *archive, const struct archive_run *run,
                            const struct backup *backup);

/* Proof */

enum window_target_kind { WINDOW_NEWEST, WINDOW_TIME, WINDOW_LSN, WINDOW_XID, WINDOW_NAME, WINDOW_IMMEDIATE };
struct window_target {
    enum window_target_kind kind;
    int64_t time;
    uint64_t lsn;
    uint32_t xid;
    const char *name;
    bool exclusive;
    bool is_on_latest;      /* the history is that of the latest timeline, as far as is known */
    const char *accept_end; /* SEGMENT: WAL from there on is given up; NULL */
};

/* "time 2026-11-20 14:29:59.000000+00", "the end of the WAL"; for messages. */
void window_target_describe(const struct window_target *target, char *out, size_t length);

enum window_verdict {
    WINDOW_PROVEN,
    WINDOW_TURNED,  /* a time behind the last commit, when nothing was committed as is known: turned into the
                       LSN  behind that commit */
    WINDOW_UNKNOWN, /* nothing speaks against it, but not all that there is says what is in it, or could be
                       asked */
    WINDOW_REFUSED,
    WINDOW_FAILED, /* logged: could not find out */
};

enum window_reason {
    WINDOW_NO_REASON,
    WINDOW_INCOMPLETE, /* the backup's own WAL: segment run.last + 1 is missing */
    WINDOW_BEHIND,     /* the target is behind what there is, which ends with run.last */
    WINDOW_NO_POINT,   /* there is no restore point of that name on the way */
    WINDOW_EARLY,      /* the restore point, or the transaction's end, is before the backup's end */
    WINDOW_NO_XID,     /* no transaction with that id ended on the way */
    WINDOW_NOT_LATEST, /* UNKNOWN: who could not be asked may know of a later timeline */
};

#define WINDOW_NAMES_MOST 3
struct window_proof {
    enum window_verdict verdict;
    enum window_reason reason;
    struct window_origin origin;
    struct archive_run run; /* from the origin on */
    /* Of the run, of a target that is a time; is_known also of others, and before a hole that matters the
     * last commit. */
    struct archive_times times;
    uint64_t lsn;          /* of a name or xid that was found; TURNED: what the target becomes */
    int64_t covered_until; /* TURNED: evidence */
    size_t points; /* how many restore points of that name there are on the way, at places of their own */
    /* The names of restore points on the way that are nearest to one that is not there. */
    char names[WINDOW_NAMES_MOST][WAL_RESTORE_POINT_BYTES];
};

/* Can recovery from origin get to the target, along this history, with what the archive has from there on?
 * Logs only why it could not find out. backups: evidence that time went by without commits. */
void window_prove(struct wal_archive *archive, const struct timeline_history *history,
                  const struct window_origin *origin, const struct backup_list *backups,
                  const struct window_target *target, struct window_proof *proof);

/* Logs what a proof says, but that all is well: why it is refused, what the latest is, what is missing, and
 * the way out. what: the target, as in "time 2026-11-20 14:29:59+00". */
void window_tell(const struct wal_archive *archive, const struct timeline_history *history,
                 const struct window_target *target, const char *what, const struct window_proof *proof);

#endif
