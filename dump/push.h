/* Dumps databases and stores what pg_dump writes: the work of dump-push. */
#ifndef WALFERRY_DUMP_PUSH_H
#define WALFERRY_DUMP_PUSH_H

#include "common/config.h"
#include "common/dump.h"
#include "common/result.h"

struct push_settings {
    const struct config *config;
    const char *repository;       /* only this one; NULL: all */
    const char *const *databases; /* none: all that take sessions and are no templates */
    size_t database_count;
    bool without_globals;
    bool wants_progress;
    struct result *result; /* gets what was done */
};

/* 0, with the new dump's id, or -1 after logging. */
int dump_push(const struct push_settings *settings, char id[DUMP_ID_BYTES]);

#endif
