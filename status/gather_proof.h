/* What was found out about a repository's content: verifications and restore drills. */
#ifndef WALFERRY_GATHER_PROOF_H
#define WALFERRY_GATHER_PROOF_H

#include "common/survey.h"
#include "picture.h"

/* picture has the backups already. 0, or -1 after logging. */
int gather_proof(struct survey *survey, struct picture_repository *picture);

#endif
