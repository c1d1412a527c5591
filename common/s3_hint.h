/* What a user can do about a store's refusal that has to do with the settings of the repository. Layer 2. */
#ifndef WALFERRY_S3_HINT_H
#define WALFERRY_S3_HINT_H

#include "s3_client.h"

/* Logs the hint; false: there is none for this answer. source: where the credentials came from. */
bool s3_hint_of_settings(const struct repository_config *config, const struct s3_request *request,
                         const struct s3_answer *answer, const char *source);

#endif
