/* A profile of the files that S3 tools share: ~/.aws/credentials and ~/.aws/config. Layer 1.
 * Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files". */
#ifndef WALFERRY_CREDENTIALS_PROFILE_H
#define WALFERRY_CREDENTIALS_PROFILE_H

#include "buffer.h"
#include "config.h"

#include <stdbool.h>

enum profile_value {
    PROFILE_ACCESS_KEY,
    PROFILE_SECRET_KEY,
    PROFILE_SESSION_TOKEN,
    PROFILE_PROCESS,
    PROFILE_ROLE_ARN,
    PROFILE_SOURCE_PROFILE,
    PROFILE_CREDENTIAL_SOURCE,
    PROFILE_EXTERNAL_ID,
    PROFILE_SESSION_NAME,
    PROFILE_DURATION,
    PROFILE_TOKEN_FILE,
    PROFILE_MFA_SERIAL,
    PROFILE_SSO, /* sso_session, sso_start_url or sso_account_id */
    PROFILE_REGION,
    PROFILE_VALUES
};

struct profile {
    bool is_there;                     /* in either file */
    const char *value[PROFILE_VALUES]; /* into the files' texts; NULL: not given */
    const char *name;                  /* borrowed */
    bool keys_are_in_config;
    bool was_named; /* by the configuration or the environment, it or the credentials file */
    char *credentials_path, *config_path; /* NULL: there is no place for it */
    struct buffer credentials_text, config_text;
};

/* Adds what a file's text, which is cut up in place, says of profile->name; what is there already stays, and
 * keys are taken from one file. is_config: sections are [profile NAME] and [default], else [NAME]. */
void profile_parse(char *text, bool is_config, struct profile *profile);

/* Reads both files. name NULL: the one that config or AWS_PROFILE names, else "default". A file that is not
 * there is none, unless it was named. 0, or -1 after logging. In both cases profile_free is due. */
int profile_load(const struct repository_config *config, const char *name, struct profile *profile);
void profile_free(struct profile *profile); /* wipes */

#endif
