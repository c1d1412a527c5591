/* What of a repository stays, and what goes, by its policy: the plan of basebackup-expire. Pure: no store, no
 * clock; what is there is given, and the plan is put beside it. docs/retention.md has the rules and their
 * reasons. retention_wal.h plans the WAL, retention_proof.c looks whether the plan keeps what it must.
 * Layer 4. */
#ifndef WALFERRY_RETENTION_H
#define WALFERRY_RETENTION_H

#include "backup.h"
#include "wal_archive.h"

enum retention_state {
    RETENTION_COMPLETE,
    RETENTION_DAMAGED,    /* a manifest is there that is damaged or can't be read, or was lost */
    RETENTION_UNFINISHED, /* there is none: it is still being taken, was interrupted, or half deleted */
    RETENTION_REMOVED,    /* there is none any more since this plan is carried out */
};

/* Why a backup stays; it may have several reasons. */
enum retention_reason {
    KEPT_PINNED = 1 << 0,
    KEPT_NEWEST = 1 << 1, /* whatever the policy says */
    KEPT_WINDOW = 1 << 2, /* it ended within keep_wal */
    KEPT_BASE = 1 << 3,   /* recovery to the first instants of keep_wal begins with it */
    KEPT_LAST = 1 << 4,   /* keep_last, and so on */
    KEPT_FOR = 1 << 5,
    KEPT_DAILY = 1 << 6,
    KEPT_WEEKLY = 1 << 7,
    KEPT_MONTHLY = 1 << 8,
    KEPT_YEARLY = 1 << 9,
    KEPT_FUTURE = 1 << 10, /* it ended later than now: a clock is wrong */
    KEPT_DAMAGED = 1 << 11,
    KEPT_RUNNING = 1 << 12, /* unfinished, and younger than orphan_age, or the plan is_stale */
    KEPT_LOCKED = 1 << 13,  /* the store does not let it go */
    KEPT_ALONE = 1 << 14,   /* no backup at all is whole */
    KEPT_NO_POLICY = 1 << 15,
    KEPT_PROMISED = 1 << 16, /* by the plan that was told */
};
#define RETENTION_REASONS 17
/* "pinned", "within keep_wal": for people and programs alike. reason: one bit. */
const char *retention_reason_name(unsigned reason);

/* A folder of base/. */
struct retention_backup {
    char id[BACKUP_ID_BYTES];
    size_t generation; /* which of retention.generations it belongs to */
    enum retention_state state;
    uint32_t timeline; /* unless complete: as its id says */
    uint64_t start_lsn, stop_lsn;
    int64_t stop_time;   /* by the server's clock; unless complete: as the id says when it began */
    int64_t stored_time; /* by the store's: of the manifest, else the last sign of life; 0: not known */
    uint64_t stored_bytes;
    bool wal_included, is_pinned;
    bool found_damaged;     /* by a verification, and not read since from its beginning to its end */
    bool is_promised;       /* it is to stay, whatever has changed since */
    struct store_lock lock; /* of the manifest, where that was asked for */
    /* the plan: */
    bool has_wal;     /* complete, and the WAL that makes it consistent is there */
    bool is_whole;    /* and nothing of it is known to be damaged: it can be recovered */
    unsigned reasons; /* none: it goes */
};

/* WAL of one timeline, by segment numbers. */
struct retention_span {
    uint64_t first, last; /* last UINT64_MAX: and all that comes */
    bool stays;
    unsigned reasons;                      /* of the WAL: WAL_FOR_... */
    const struct retention_backup *backup; /* the first that it is for; NULL: none */
    uint64_t segments, stored_bytes;       /* that are there */
};
enum retention_wal_reason {
    WAL_FOR_BACKUP = 1 << 0,  /* makes it consistent */
    WAL_FOR_WINDOW = 1 << 1,  /* any instant of keep_wal; without keep_wal: any since the oldest backup */
    WAL_FOR_NEWEST = 1 << 2,  /* all since the newest backup */
    WAL_FOR_RUNNING = 1 << 3, /* all since an unfinished backup began */
    WAL_FOR_DAMAGED = 1 << 4, /* all since a damaged one began: what it needs is not known */
    WAL_IN_DOUBT = 1 << 5,    /* no backup, or no history, tells what of it is needed */
};
#define RETENTION_WAL_REASONS 6
const char *retention_wal_reason_name(unsigned reason);

struct retention_timeline {
    const struct archive_timeline *archive; /* borrowed */
    int64_t end_stored; /* when its last segment was, by the store's clock; 0: not known, so it may be new */
    struct retention_span *spans; /* the plan; owned; ascending, without gaps between them */
    size_t span_count;
};

struct retention_generation {
    uint64_t system_identifier;
    uint32_t segment_bytes;
    struct retention_timeline *timelines; /* owned; ascending */
    size_t timeline_count;
};

struct retention {
    const struct retention_policy *policy;    /* borrowed */
    int64_t now;                              /* by the store's clock */
    struct retention_generation *generations; /* owned; as in cluster.json: the newest last */
    size_t generation_count;
    struct retention_backup *backups; /* owned; in any order */
    size_t backup_count;
    /* the plan: */
    bool is_stale; /* no backup has ended for so long that nothing goes because of its age, finished or not */
    int64_t window_begin;     /* keep_wal begins here; INT64_MIN without it */
    size_t newest_generation; /* that has a backup which is whole; or SIZE_MAX */
};

/* Makes the plan; an earlier one is forgotten. 0, or -1 after logging (memory). */
int retention_plan(struct retention *retention);
void retention_free(struct retention *retention); /* NULL-safe */

/* When it ended, by that of the two clocks that says later: no wrong clock makes it look old. */
int64_t retention_ended(const struct retention_backup *backup);

/* Has it no manifest, and was nothing heard of it for orphan_age? */
bool retention_is_given_up(const struct retention *retention, const struct retention_backup *backup);

/* Do all of these segments go? Such as are in no span stay. */
bool retention_lets_go(const struct retention_generation *generation, uint32_t timeline, uint64_t first,
                       uint64_t last);

/* Nothing of what the policy and the promises of docs/retention.md want kept goes: looked at anew, from the
 * set that would remain. False after logging what would be lost. */
bool retention_is_proven(const struct retention *retention);

#endif
