/* AES-256-GCM, and the derivation of keys. Layer 0; made in digest.c, the only user of OpenSSL. */
#ifndef WALFERRY_CIPHER_H
#define WALFERRY_CIPHER_H

#include <stddef.h>
#include <stdint.h>

#define CIPHER_KEY_BYTES 32
#define CIPHER_NONCE_BYTES 12
#define CIPHER_TAG_BYTES 16

/* One key at a time. All zero before the first cipher_begin. */
struct cipher {
    void *state; /* owned */
};

/* Takes a key, in place of that before. 0, or -1 after logging. */
int cipher_begin(struct cipher *cipher, const unsigned char key[CIPHER_KEY_BYTES]);
/* Wipes the key. NULL-safe. */
void cipher_free(struct cipher *cipher);

/* What is authenticated beside the content, and the nonce: never twice the same one with a key. */
struct cipher_frame {
    unsigned char nonce[CIPHER_NONCE_BYTES];
    const void *associated;
    size_t associated_length;
};

/* out: length bytes, which may be those at in; 0, or -1 after logging. */
int cipher_seal(struct cipher *cipher, const struct cipher_frame *frame, const void *in, size_t length,
                void *out, unsigned char tag[CIPHER_TAG_BYTES]);
/* 0: it is authentic. 1: it is not (nothing logged), and what is in out must not be used. -1 after logging.
 */
int cipher_open(struct cipher *cipher, const struct cipher_frame *frame, const void *in, size_t length,
                const unsigned char tag[CIPHER_TAG_BYTES], void *out);

/* HKDF (RFC 5869) with SHA-256, 32 bytes. info: a text. 0, or -1 after logging. */
int hkdf_sha256(const void *key, size_t key_length, const void *salt, size_t salt_length, const char *info,
                unsigned char out[CIPHER_KEY_BYTES]);

/* RFC 7914. The caller has bounded the parameters: it takes 128 * n * r bytes. 0, or -1 after logging. */
int scrypt_key(const void *passphrase, size_t length, const void *salt, size_t salt_length, uint64_t n,
               uint64_t r, uint64_t p, unsigned char out[CIPHER_KEY_BYTES]);

#endif
