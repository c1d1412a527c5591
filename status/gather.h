/* What one repository tells: its backups, its WAL, what was proven of it, its size. */
#ifndef WALFERRY_GATHER_H
#define WALFERRY_GATHER_H

#include "picture.h"

/* What could not be found out is told in picture; nothing is left open. */
void gather_repository(const struct config *config, const struct repository_config *settings, bool with_plan,
                       struct picture_repository *picture);
void gather_free(struct picture_repository *picture);

#endif
