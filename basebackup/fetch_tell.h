/* What basebackup-fetch says at the end of a restore, and which commands come next, as a shell takes them. */
#ifndef WALFERRY_FETCH_TELL_H
#define WALFERRY_FETCH_TELL_H

#include "choice.h"
#include "common/options.h"
#include "restore.h"

/* What was asked for that recovery-config has to be told, too. Borrowed. */
struct fetch_wishes {
    const struct options *options;
    const char *target_time; /* as written, as those that follow; NULL: none */
    const char *target_lsn;
    const char *timeline;
    const char *accept_end;
    bool without_proof;
};

void fetch_tell_success(const struct fetch_wishes *wishes, const struct choice *choice,
                        const struct restore_places *places, const struct restore_outcome *outcome);
/* It was begun, and failed or was interrupted. */
void fetch_tell_failure(const struct restore_places *places);

#endif
