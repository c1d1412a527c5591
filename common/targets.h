/* The repositories that one backup, or one dump, goes to, on one read. One that fails is given up and the
 * others go on; in the end a required one that was given up makes the program fail. Layer 3. */
#ifndef WALFERRY_TARGETS_H
#define WALFERRY_TARGETS_H

#include "backup.h"

#include <stdatomic.h>
#include <stdbool.h>

struct target {
    struct repository repository; /* its store belongs to the main thread */
    bool is_required;
    bool is_open;
    atomic_bool is_given_up;
    size_t lane;
};

struct targets {
    struct target *items;
    size_t count;
    /* Targets whose parts are compressed alike are in one lane: what each of them gets is the same. */
    struct compression *lanes;
    size_t lane_count;
    struct store_limits limits; /* for stores of other threads too */
    uint64_t system_identifier; /* set by targets_accept */
    bool are_for_dump;          /* else for a base backup */
    char id[BACKUP_ID_BYTES];   /* of the backup or dump; to be set before keys are made */
};

/* Opens the repositories of the configuration, or the named one, and reads each one's cluster.json afresh.
 * 0, or -1 after logging when none is left. */
int targets_open(const struct config *config, const char *only, const struct state *state, bool for_dump,
                 struct targets *targets);
void targets_close(struct targets *targets); /* NULL-safe */

/* Gives up those that do not know this system. 0, or -1 after logging when none is left. */
int targets_accept(struct targets *targets, uint64_t system_identifier);

bool target_is_alive(const struct target *target);
/* Has it a target that lives? */
bool targets_lane_is_alive(const struct targets *targets, size_t lane);
/* The first lane that is alive; there is one as long as a target lives. */
size_t targets_first_lane(const struct targets *targets);
/* Says so once. 0, or -1 after logging when no other is left. Thread-safe. */
int target_give_up(struct targets *targets, struct target *target);

/* Key of a file of this backup or dump there; caller frees; NULL after logging. */
char *targets_key(const struct targets *targets, const struct target *target, const char *file);

/* Stores a small file of the backup everywhere, if absent. 0, or -1 after logging when no target is left. */
int targets_put(struct targets *targets, const char *file, const struct buffer *data);

/* The same, of the file that makes the backup's folder ours. 0; 1: some repository has it already, of another
 * backup with this id (nothing is logged, and what the others got by this is removed); -1 after logging when
 * no target is left. */
int targets_claim(struct targets *targets, const char *file, const struct buffer *data);

/* The same for one target. Other content under that key is another backup's: an error. 0, or -1 after
 * logging. */
int target_put(struct targets *targets, struct target *target, const char *file, const struct buffer *data);

/* 0 if every required one still lives, else -1 (which target_give_up has logged). */
int targets_outcome(const struct targets *targets);

#endif
