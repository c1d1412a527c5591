/* Where recovery is to stop: out of the command line, into settings. Pure, but for messages. */
#ifndef WALFERRY_TARGET_H
#define WALFERRY_TARGET_H

#include "common/window.h"
#include "settings.h"

#include <stdint.h>

enum target_kind {
    TARGET_NEWEST, /* the end of the WAL */
    TARGET_TIME,
    TARGET_XID,
    TARGET_LSN,
    TARGET_NAME,
    TARGET_IMMEDIATE, /* the end of the backup */
    TARGET_STANDBY,   /* never */
};

enum target_timeline { TIMELINE_LATEST, TIMELINE_CURRENT, TIMELINE_NUMBER };
enum target_archive { ARCHIVE_DEFAULT, ARCHIVE_OFF, ARCHIVE_KEEP };

/* The options as they stand on the command line; NULL where not given. */
struct target_request {
    const char *time;
    const char *xid;
    const char *lsn;
    const char *name;
    bool immediate;
    bool standby;
    const char *timeline;
    bool exclusive;
    const char *action;
    const char *archive;
    const char *accept_end;
    bool unproven;
};

/* Strings are borrowed from the request. */
struct target {
    enum target_kind kind;
    int64_t time;
    uint32_t xid;
    uint64_t lsn;
    const char *name;
    bool exclusive;
    const char *action; /* "pause", "promote", "shutdown"; NULL when there is nothing to stop at */
    enum target_timeline timeline_choice;
    uint32_t timeline; /* TIMELINE_NUMBER */
    enum target_archive archive;
    const char *end_at; /* segment; NULL */
    bool without_proof; /* nobody is to look whether the WAL to get there is there */
    bool is_proven;     /* by target_check: it is */
};

/* 0, or -1 after logging what is wrong with the options: more than one target, a malformed value, a time
 * without an offset, options that contradict each other. */
int target_resolve(const struct target_request *request, struct target *target);

/* Makes it this LSN. */
void target_turn(struct target *target, uint64_t lsn);

/* Recovery stops somewhere: not for the newest and for a standby. */
bool target_is_set(const struct target *target);
/* As a proof wants it. */
void target_as_wanted(const struct target *target, struct window_target *wanted);
/* As window_target_describe. */
void target_describe(const struct target *target, char *out, size_t length);

/* All settings for the target, in the order in which they must stand (rule 21). major: PostgreSQL's. 0, or -1
 * after logging. list must be empty. */
int target_settings(const struct target *target, unsigned major, const char *restore_command,
                    struct setting_list *list);

#endif
