/* The settings of a repository in S3: what may stand in them, and what they will cost. Layer 1. */
#ifndef WALFERRY_CONFIG_S3_H
#define WALFERRY_CONFIG_S3_H

#include "config.h"
#include "config_keys.h"

/* header.NAME = value. 0, or -1: the caller frees *problem; NULL if memory was short, which is logged. */
int config_s3_add_header(struct repository_config *repository, const char *name, const char *value,
                         char **problem);

/* Settings that contradict each other, or that a store would refuse; sets what is derived. place: for
 * messages. 0, or -1 after logging. */
int config_s3_check(struct repository_config *repository, const struct config_seen *seen, const char *place);

/* What is allowed, but will cost more, or hold longer, than its user may think: each told to tell, a sentence
 * without a full stop. */
void config_s3_advise(const struct repository_config *repository,
                      void (*tell)(void *context, const char *text), void *context);

#endif
