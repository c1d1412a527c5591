/* The plan of basebackup-expire, told: what goes, what stays and why. */
#ifndef WALFERRY_EXPIRE_REPORT_H
#define WALFERRY_EXPIRE_REPORT_H

#include "common/json.h"
#include "expire_plan.h"

/* What would go, or went. */
struct expire_totals {
    uint64_t backups, unfinished, segments; /* that go */
    uint64_t backup_bytes, wal_bytes;
    uint64_t backups_kept;
};
struct expire_totals expire_totals(const struct retention *retention);

/* To standard output. */
void expire_print_plan(const struct expire_plan *plan);
/* Sets the members that basebackup-expire(1) describes. */
void expire_fill_json(struct json *object, const struct expire_plan *plan);

#endif
