/* What the programs that we run see of our environment. Layer 0. */
#ifndef WALFERRY_ENVIRONMENT_H
#define WALFERRY_ENVIRONMENT_H

#include <stdbool.h>

enum environment {
    ENVIRONMENT_OURS, /* all of it: for walferry's own programs */
    /* Without what may be a secret: variables whose names hold SECRET, TOKEN, PASSWORD, PASSWD, PASSPHRASE,
     * PRIVATE_KEY, ACCESS_KEY, API_KEY or ENCRYPTION_KEY (but for those that end in _FILE: they hold a path),
     * or end in _KEY, _PASS or _PWD, and any that holds a URL with a password, or "password=". */
    ENVIRONMENT_CLEAN,
    ENVIRONMENT_CLEAN_BUT_S3 /* the same, with what S3 tools read: a server's wal-fetch may need it */
};

/* Is that a variable ("NAME=VALUE") which a clean environment has not? */
bool environment_may_be_secret(const char *variable);

/* A list that ends with NULL, and points into the environment and extra. extra: "NAME=VALUE", ends with NULL;
 * they take the place of ours of the same names; NULL: none. Caller frees the list alone. NULL after logging.
 */
char **environment_for(enum environment kind, char *const *extra);

#endif
