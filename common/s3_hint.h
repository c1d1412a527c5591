/* What a user can do about a store's refusal, or about none having come. Layer 2. */
#ifndef WALFERRY_S3_HINT_H
#define WALFERRY_S3_HINT_H

#include "s3_client.h"

/* Logs the hint that fits the answer, if any does. origin: who was asked, "https://host[:port]"; source:
 * where the credentials came from. */
void s3_hint(const struct repository_config *config, const struct s3_request *request,
             const struct s3_answer *answer, const char *origin, const char *source);

#endif
