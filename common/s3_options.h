/* What the settings of a repository add to its requests: encryption in the store, storage class, tags, lock,
 * checksum. Layer 2; for store_s3*.c and repository-check.
 *
 *                                    encryption   class, tags   lock   checksum
 *     WAL segments                   yes          yes           yes    yes
 *     parts of backups               yes          yes           yes    yes
 *     documents                      yes          tags alone    yes    yes     cluster.json, keys, histories,
 *                                                                              manifests, indexes of backups
 *     what is replaced, or can be    yes          no            no     yes     heartbeats, notes, reports,
 * the made again                                                               index of WAL, probes
 *
 * Encryption with a customer's key goes with every request that reads or writes content, and HEAD. */
#ifndef WALFERRY_S3_OPTIONS_H
#define WALFERRY_S3_OPTIONS_H

#include "base64.h"
#include "digest.h"
#include "s3_client.h"
#include "timestamp.h"

#define S3_CUSTOMER_KEY_BYTES 32

struct s3_options {
    const struct s3_settings *settings; /* borrowed */
    bool sends_checksum; /* asked for by the settings, or by the store's refusal of a body without one */
    char customer_key[BASE64_TEXT_BYTES(S3_CUSTOMER_KEY_BYTES)]; /* a secret */
    char customer_key_md5[BASE64_TEXT_BYTES(MD5_BYTES)];
    /* values of the request that was made ready last */
    char until[TIMESTAMP_TEXT_BYTES];
    char checksum[BASE64_TEXT_BYTES(SHA256_BYTES)];
    char md5[BASE64_TEXT_BYTES(MD5_BYTES)];
};

/* Reads the customer's key. 0, or -1 after logging. */
int s3_options_open(struct s3_options *options, const struct repository_config *config);
void s3_options_wipe(struct s3_options *options);

enum s3_use {
    S3_USE_PUT,      /* a whole object */
    S3_USE_CREATE,   /* a multipart upload */
    S3_USE_COPY,     /* to key */
    S3_USE_TRANSFER, /* GET, HEAD, a part, a completion: what concerns content alone */
};
/* Adds the headers that go with such a request for key ("main/7.../wal/..."; for TRANSFER NULL will do). They
 * are borrowed from options, until the next call. */
void s3_options_add(struct s3_options *options, struct s3_request *request, enum s3_use use, const char *key);

/* The checksum of the request's body, which is its SHA-256 once more. */
void s3_options_add_checksum(struct s3_options *options, struct s3_request *request);
/* Content-MD5 in its place, of a body in memory. -1 where there is no MD5 (FIPS), not logged. */
int s3_options_add_md5(struct s3_options *options, struct s3_request *request);

#endif
