/* SHA-256 and HMAC. Layer 0; digest.c is the only user of OpenSSL. */
#ifndef WALFERRY_DIGEST_H
#define WALFERRY_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32
#define SHA256_HEX_BYTES 65 /* with the closing zero */

struct sha256 {
    void *state; /* owned; NULL before sha256_begin */
};

/* Starts, or starts again. 0, or -1 after logging (no memory). */
int sha256_begin(struct sha256 *hash);
void sha256_update(struct sha256 *hash, const void *data, size_t length);
/* May be followed by sha256_begin. */
void sha256_finish(struct sha256 *hash, unsigned char digest[SHA256_BYTES]);
void sha256_free(struct sha256 *hash);

/* 0, or -1 after logging. */
int sha256_of(const void *data, size_t length, unsigned char digest[SHA256_BYTES]);
int hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                unsigned char mac[SHA256_BYTES]);

/* For S3's Content-MD5, and nothing else. 0; -1 where the library refuses it (FIPS), not logged. */
#define MD5_BYTES 16
int md5_of(const void *data, size_t length, unsigned char digest[MD5_BYTES]);

/* out has room for 2 * length + 1. Lower case. */
void hex_encode(const void *data, size_t length, char *out);
/* False unless text is exactly 2 * length hex digits. */
bool hex_decode(const char *text, void *out, size_t length);

/* Bytes nobody can guess. 0, or -1 after logging. */
int random_bytes(void *out, size_t length);

#endif
