/* The documents in which temporary credentials come: the JSON of a credential_process, of a container's
 * endpoint and of the instance metadata, and the XML of STS. Pure. Layer 1.
 * Sources: AWS SDKs and Tools Reference Guide, "Process credential provider", "Container credential
 * provider"; Amazon EC2 User Guide, "Retrieve security credentials from instance metadata"; STS API
 * Reference, "AssumeRole". */
#ifndef WALFERRY_CREDENTIALS_DOCUMENT_H
#define WALFERRY_CREDENTIALS_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct credentials_document { /* strings are owned; NULL where not told */
    char *access_key;
    char *secret_key;
    char *session_token;
    int64_t expires;   /* 0: not told */
    uint64_t version;  /* of a process's; 0: not told */
    char code[64];     /* an error's; "" */
    char message[256]; /* fit for a log; "" */
};

/* False with *problem, in words, when it is neither credentials nor an error that it tells: not well formed,
 * without a key, with a time that is none. Else there is an access key and a secret key, or a code. */
bool credentials_document_json(const void *data, size_t length, struct credentials_document *document,
                               const char **problem);
bool credentials_document_xml(const void *data, size_t length, struct credentials_document *document,
                              const char **problem);
void credentials_document_wipe(struct credentials_document *document); /* leaves it empty */

#endif
