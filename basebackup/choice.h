/* Which backup is restored, and the proof that what is wanted can be recovered from it. */
#ifndef WALFERRY_CHOICE_H
#define WALFERRY_CHOICE_H

#include "common/backup.h"

/* What is asked for; everything unset: the latest backup, which needs no proof. */
struct choice_request {
    struct backup_wish wish;
    uint32_t timeline;      /* recovery will follow this one; 0: the latest */
    const char *accept_end; /* segment: WAL from there on is given up; NULL */
    bool without_way;       /* no recovery will follow */
    bool without_proof;     /* nobody is to look whether the WAL to get there is there */
    const struct repository_config *const *repositories; /* borrowed; those that count, in their order */
    size_t repository_count;
    size_t first; /* which of them is asked first */
};

/* A backup and the repository that holds it. */
struct choice {
    struct repository repository;
    bool is_open;
    struct backup_list list;
    const struct backup *backup; /* of the list */
    size_t index;                /* of the repository in the request */
};

/* The first of the repositories that has a backup which serves. The WAL that recovery needs may be in any of
 * them. 0, or -1 after logging why there is none. */
int choice_make(const struct config *config, const struct choice_request *request, struct choice *choice);
void choice_close(struct choice *choice);
/* The repository to go on with where this one turns out to have no good copy; NULL: there is none. */
const struct repository_config *choice_next(const struct choice_request *request,
                                            const struct choice *choice);

#endif
