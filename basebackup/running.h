/* Notes in state_dir of the backups that are being made, and of those that were interrupted: so that the next
 * one need not send again what is stored already (resume.h). A note is locked as long as its backup runs;
 * beside it lie the indexes of what was stored (catalog.h). All of it is safe to lose. */
#ifndef WALFERRY_RUNNING_H
#define WALFERRY_RUNNING_H

#include "common/targets.h"

struct running {
    const struct state *state; /* borrowed */
    int fd;                    /* of the note, locked; -1: there is none */
};
#define RUNNING_NONE                                                                                         \
    {                                                                                                        \
        .fd = -1                                                                                             \
    }

/* Notes this backup. Without a state directory, or when it fails (logged at debug level), there is no note.
 */
void running_begin(const struct state *state, const struct targets *targets, uint32_t timeline,
                   struct running *running);
/* The note stays: the backup was interrupted. */
void running_close(struct running *running);
/* A backup is complete: no earlier one will be gone on with. Forgets this one and all that do not run. */
void running_forget(struct running *running);

struct interrupted {
    char id[BACKUP_ID_BYTES];
    int fd; /* of its note, locked, so that no other takes it over too; -1: none was found */
};
/* Which one is looked for: of this system and timeline, to these repositories with the same compression. All
 * borrowed. */
struct running_wish {
    const struct targets *targets;
    uint32_t timeline;
    bool (*is_wanted)(const void *context, const char *id); /* asked last; else it has said why */
    const void *context;
};
/* Of those, the one of which most was stored. Others are passed over, with a reason. */
void running_find(const struct state *state, const struct running_wish *wish, struct interrupted *found);

/* The file in which the index of a lane is kept. Caller frees; NULL after logging. */
char *running_index_path(const char *directory, const char *id, size_t lane);

#endif
