/* What is remembered between the calls of the short-lived programs, in state_dir: small files, safe to lose,
 * never believed when anything about them is odd. Layer 1. */
#ifndef WALFERRY_STATE_H
#define WALFERRY_STATE_H

#include "buffer.h"
#include "config.h"

/* A state directory that cannot be made or is not ours alone (0700, owner the caller) is no failure: nothing
 * is remembered then. */
struct state {
    char *directory; /* owned; NULL: nothing can be remembered */
};

void state_open(const struct config *config, struct state *state);
/* The same, but it is not made: for programs that may run as another user than the archiver. */
void state_open_existing(const struct config *config, struct state *state);
void state_open_directory(const char *directory, struct state *state); /* NULL: none */
void state_close(struct state *state);

/* What makes a repository this one, also where its section has another name: a few lines, appended. 0, or -1
 * after logging. */
int state_identity(const struct config *config, const struct repository_config *repository,
                   struct buffer *out);

/* A name made of kind and what makes a repository this one (URL, endpoint, cluster name), not the section's
 * name: "cluster-<16 hex>.json". Caller frees. NULL after logging. */
char *state_name(const char *kind, const struct config *config, const struct repository_config *repository);

/* 0; 1 when nothing usable is there. *age_seconds: since it was written; a time in the future counts as
 * unusable. */
int state_read(const struct state *state, const char *name, struct buffer *out, int64_t *age_seconds);
/* The same of what gets no worse with age, also where the clock was set back since. */
int state_read_of_any_age(const struct state *state, const char *name, struct buffer *out);
/* The same for what is secret: refused besides unless it is a file of mode 0600 that the caller owns, and no
 * link; that is looked at in the open file. The caller wipes *out. */
int state_read_secret(const struct state *state, const char *name, struct buffer *out);
/* Of mode 0600. Failures are logged at debug level only. */
void state_write(const struct state *state, const char *name, const void *data, size_t length);
/* The same of what must not be lost: synced. 0, also where nothing can be remembered, or -1 after logging. */
int state_keep(const struct state *state, const char *name, const void *data, size_t length);
void state_forget(const struct state *state, const char *name);
/* In the state_dir of the configuration, also if it is another user's: for root, who changes what that user
 * has remembered. False: it is there and stays, or this user may not look. */
bool state_forget_anywhere(const struct config *config, const char *name);

/* A lock between processes, by a file of this name that stays. Waits at most so many milliseconds. Its
 * descriptor, closed on exec, which unlocks by being closed; -1 with errno set when it is not to be had. */
int state_lock(const struct state *state, const char *name, unsigned milliseconds);

#endif
