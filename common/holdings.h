/* What a repository holds that retention decides on: backups, what is pinned, WAL, and when it was stored.
 * Layer 4. */
#ifndef WALFERRY_HOLDINGS_H
#define WALFERRY_HOLDINGS_H

#include "note.h"
#include "retention.h"

struct holdings {
    struct repository *repository; /* borrowed */
    struct repository *other;      /* borrowed; NULL: none */
    struct wal_archive *archives;  /* owned; one for each generation */
    size_t archive_count;
    struct notes notes;
    bool keeps_versions; /* the bucket does */
    size_t damaged;      /* manifests, notes; or unreadable, as may be a sign of life; logged */
    struct retention retention;
};

/* Of a repository whose cluster was loaded a moment ago: "now" is the time that the store told then. other
 * (NULL: none) lends what it has, to see what would stay of it: backups and WAL that are in it alone count as
 * if they were here, and what both have is as old as the older one. OK; DAMAGED: the history of a timeline,
 * so which WAL belongs to which backup is not known; FAILED. All but OK are logged. holdings_free in any
 * case. */
enum repository_result holdings_load(struct repository *repository, struct repository *other,
                                     struct holdings *holdings);
void holdings_free(struct holdings *holdings);

/* Asks again for one backup of a repository that no other is compared with: what it is by now, when it was
 * last heard of, whether it is pinned. One that was removed (RETENTION_REMOVED) stays so unless somebody has
 * begun it anew. 0, or -1 after logging. */
int holdings_look_again(struct holdings *holdings, struct retention_backup *backup, bool *has_changed);

/* Adds the backups that have been begun since, and promises that they stay: pointers to others are no longer
 * valid, and the plan is to be made anew, if any has. 0, or -1 after logging. */
int holdings_look_for_new(struct holdings *holdings, bool *has_changed);

#endif
