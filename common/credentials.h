/* The keys for S3, looked for in the order of every S3 tool. Layer 1. docs/credentials.md is for users.
 *
 *  1. what the repository's section of the configuration says: access_key and secret_key, else
 *     credential_process, else credentials_file and/or profile, which keep 2 and 3 from being asked
 *  2. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *  3. web identity: AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN
 *  4. the shared files, ~/.aws/credentials and ~/.aws/config: a profile's role, web identity, keys or command
 *  5. the container's endpoint: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI
 *  6. the instance metadata, version 2
 *
 * credentials = KIND in the section asks only that one. With role_arn in the section, what is found there
 * assumes that role; with web_identity_token_file besides, that file does.
 *
 * A source that is there but incomplete is an error; the search does not go on behind it. Temporary ones are
 * kept in state_dir until shortly before they expire. */
#ifndef WALFERRY_CREDENTIALS_H
#define WALFERRY_CREDENTIALS_H

#include "config.h"

struct credentials { /* strings are owned */
    char *access_key;
    char *secret_key;
    char *session_token; /* NULL: none */
    char *source;        /* for messages: "the environment", "profile "x" of file "..."" */
    int64_t expires;     /* timestamp.h; 0: never, as far as is known */
    int64_t refresh;     /* from then on fresh ones are to be had; 0: never */
};

#define CREDENTIALS_EMPTY                                                                                    \
    {                                                                                                        \
        NULL, NULL, NULL, NULL, 0, 0                                                                         \
    }

/* Replaces what is in *credentials. 0, or -1 after logging (nothing found, incomplete, a file that others may
 * read, a service that does not answer); *credentials is then unchanged. */
int credentials_find(const struct repository_config *config, struct credentials *credentials);
/* The same when the store says that they have expired: not what was remembered, if those are the same. */
int credentials_renew(const struct repository_config *config, struct credentials *credentials);
/* Before each use: finds fresh ones if it is time to. When that fails while these are still valid, they
 * stay, with a warning. 0, or -1 after logging. */
int credentials_keep_fresh(const struct repository_config *config, struct credentials *credentials);
void credentials_wipe(struct credentials *credentials); /* overwrites and frees; NULL-safe */

/* The region to use where the configuration and the environment name none: the profile's, else what
 * config->region says. Caller frees; NULL after logging. */
char *credentials_region(const struct repository_config *config);

#endif
