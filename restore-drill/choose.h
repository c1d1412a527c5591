/* Which backup is drilled, and to which instant: by what recovery-window would show of the first repository
 * that has a backup. */
#ifndef WALFERRY_CHOOSE_H
#define WALFERRY_CHOOSE_H

#include "common/options.h"
#include "common/window.h"

enum drill_target { TARGET_LATEST, TARGET_TIME, TARGET_IMMEDIATE };

struct chosen {
    struct repository repository;
    bool is_open;
    struct backup_list list;
    const struct backup *backup; /* of the list */
    enum drill_target target;
    int64_t time;      /* TARGET_TIME */
    uint64_t last_lsn; /* of the last commit that the repository had, for TARGET_LATEST; 0: not known */
};

/* What is asked for, in words: see walferry.conf(5). 0, or -1 after logging what is wrong with them. */
struct drill_wish {
    const char *backup; /* latest, oldest, random or an id */
    const char *target; /* latest, random or a time */
};
int drill_wish_check(const struct drill_wish *wish);

/* 0, or -1 after logging. choose_close in any case. */
int choose(const struct config *config, const struct repository_config *const *repositories, size_t count,
           const struct drill_wish *wish, struct chosen *chosen);
void choose_close(struct chosen *chosen);

#endif
