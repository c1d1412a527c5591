/* What is done at the end of a program that runs from cron: its outcome is noted in state_dir, and the hook
 * of the configuration is run. Neither changes the exit status. Layer 1.
 *
 * Kinds of failure: "usage" (usage or configuration), "interrupted" (by a signal), "store" (a repository
 * could not be asked, or refused), "server" (PostgreSQL), "damage" (something was found to be damaged or
 * missing), "drill" (a step of a drill), "other". */
#ifndef WALFERRY_OUTCOME_H
#define WALFERRY_OUTCOME_H

#include "config.h"
#include "outcome_note.h"

/* Those that do it, in the order in which they are told of; ends with NULL. */
extern const char *const outcome_programs[];

struct outcome {
    const char *program;                                               /* borrowed */
    int64_t begun;                                                     /* monotonic */
    char *cluster, *state_dir, *config_path, *on_success, *on_failure; /* owned; NULL: not known, not given */
    unsigned hook_seconds;
    bool is_dry;            /* set by the program: neither noted nor told to a hook */
    const char *failure;    /* kind, set by the program: where the messages do not tell; NULL */
    struct outcome_run run; /* mode, backup, bytes, repositories, and message are set by the program */
};

void outcome_begin(struct outcome *outcome, const char *program);
/* Without it, as when the configuration cannot be read, nothing is noted and there is no hook. */
void outcome_configure(struct outcome *outcome, const struct config *config);
void outcome_add_repository(struct outcome *outcome, const char *name, bool is_done);
/* What a push has made, as its --json tells it; id_member, bytes_member: how its id and size are called
 * there. */
void outcome_take_push(struct outcome *outcome, const struct json *document, const char *id_member,
                       const char *bytes_member);
/* The last thing that a program does, but for ending by the signal that came. Frees what outcome owns. */
void outcome_end(struct outcome *outcome, int status);

#endif
