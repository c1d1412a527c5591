/* The keys for S3, looked for in the order of every S3 tool. Layer 1.
 *
 *  1. what the repository's section of the configuration says: access_key and secret_key (and session_token),
 * else credentials_file and/or profile
 *  2. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *  3. the shared credentials file: AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials; profile AWS_PROFILE,
 * else "default"
 *
 * A source that is there but incomplete is an error; the search does not go on behind it. */
#ifndef WALFERRY_CREDENTIALS_H
#define WALFERRY_CREDENTIALS_H

#include "config.h"

struct credentials { /* strings are owned */
    char *access_key;
    char *secret_key;
    char *session_token; /* NULL: none */
    char *source;        /* for messages: "the environment", "profile "x" of file "..."" */
};

#define CREDENTIALS_EMPTY                                                                                    \
    {                                                                                                        \
        NULL, NULL, NULL, NULL                                                                               \
    }

/* Replaces what is in *credentials. 0, or -1 after logging (nothing found, incomplete, a file that others may
 * read); *credentials is then unchanged. */
int credentials_find(const struct repository_config *config, struct credentials *credentials);
void credentials_wipe(struct credentials *credentials); /* overwrites and frees; NULL-safe */

#endif
