/* What the files of the proof share. Layer 4; included by window_prove.c and window_find.c only. */
#ifndef WALFERRY_WINDOW_PROVING_H
#define WALFERRY_WINDOW_PROVING_H

#include "window.h"

/* Where restore points end; several repositories tell of the same ones. */
struct places {
    uint64_t *lsns; /* owned; ascending, none twice */
    size_t count;
    bool failed;
};

struct proving {
    struct wal_archive *archive;
    const struct timeline_history *history;
    const struct backup_list *backups;
    const struct window_target *target;
    struct window_proof *proof;
    struct places places; /* of the name that is wanted */
};

void proving_conclude(struct window_proof *proof, enum window_verdict verdict, enum window_reason reason);
/* Refused, if all that is there is known; verdict and reason otherwise. */
void proving_refuse_if_known(struct window_proof *proof, enum window_reason reason);

/* The number of the segment in which a record ends. */
uint64_t proving_segment_behind(const struct wal_archive *archive, uint64_t lsn);

/* Restore points in one repository, from the segment on that has this LSN. name NULL: all. each gets
 * proving. */
enum repository_result
proving_find_points(struct proving *proving, struct repository *repository, uint64_t lsn, const char *name,
                    bool (*each)(void *context, uint32_t timeline, const struct wal_restore_point *point));

/* Verdict, reason and lsn of a target of that kind; FAILED stays where it could not be found out. */
void prove_name(struct proving *proving);
void prove_xid(struct proving *proving);

#endif
