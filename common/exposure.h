/* What would be lost if the server were lost now (the recovery point objective, as it is): the newest commit
 * that a repository can bring back, beside the newest in the server's own pg_wal. Layer 4. */
#ifndef WALFERRY_EXPOSURE_H
#define WALFERRY_EXPOSURE_H

#include "window.h"

struct exposure {
    bool is_known;     /* this machine has the server's pg_wal, and it could be read */
    uint32_t timeline; /* of the server */
    size_t waiting;    /* segments in pg_wal that are not in the repository, with the one being written */
    bool has_safe; /* something can be recovered along that timeline, with all that was committed until: */
    int64_t safe;
    bool has_newer; /* the newest commit in those segments, and the oldest in the first of them that has any:
                     */
    int64_t newest, oldest;
    size_t cut_off;   /* segments in the repository behind a hole that no backup leads past: lost, too */
    bool has_cut_off; /* the newest commit in them: */
    int64_t cut_off_time;
};

/* pgdata: NULL when it is not configured. Not known: it is not here, may not be read, or is another system's.
 * 0, or -1 after logging that it could not be read. */
int exposure_find(const char *pgdata, struct wal_archive *archive, const struct windows *windows,
                  struct exposure *exposure);

/* All that was committed up to then is brought back by the stretch: the time of its newest commit, if it has
 * any. */
int64_t exposure_safe_until(const struct window_stretch *stretch);

/* How much the newest safe commit is behind the server's newest; 0: nothing is missing, or nothing is safe.
 * Microseconds. After an idle night that is the night, when only one commit is not safe: see below. */
int64_t exposure_behind(const struct exposure *exposure);

/* For how long the oldest commit has not been safe, as far as that is known: what the recovery point
 * objective limits. Microseconds; 0: all commits are safe. A commit's time is that of the server's clock. */
int64_t exposure_unsafe_for(const struct exposure *exposure, int64_t now);
bool exposure_has_unsafe(const struct exposure *exposure);

#endif
