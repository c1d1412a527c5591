/* The keys of an encrypted repository. A key file holds 32 random bytes; an epoch's key, which objects are
 * sealed with, lies in the repository wrapped by it, in a document <cluster>/keys/<epoch>.<key id>. Layer 1.
 * Format: docs/encryption.md. */
#ifndef WALFERRY_KEY_H
#define WALFERRY_KEY_H

#include "buffer.h"
#include "cipher.h"

#include <stdbool.h>

#define KEY_ID_BYTES 17 /* 16 hex digits and the closing zero */

/* What wraps. Wiped by key_wipe. */
struct key {
    unsigned char bytes[CIPHER_KEY_BYTES];
    char id[KEY_ID_BYTES]; /* says which it is, and nothing of what it is */
};
/* 32 bytes as they are, or as 64 hex digits, with a line end or without. what names them in messages. 0, or
 * -1 after logging. */
int key_take(const void *data, size_t length, const char *what, struct key *key);
int key_from_bytes(const unsigned char bytes[CIPHER_KEY_BYTES], struct key *key);
/* Of a file that nobody else can read (file_read_private). 0; 1: there is none (nothing logged); -1 after
 * logging. */
int key_read(const char *path, struct key *key);
void key_wipe(struct key *key);

/* How a key is made from a passphrase. */
#define KEY_SALT_BYTES 16
struct key_derivation {
    uint64_t n, r, p; /* all 0: it is not */
    unsigned char salt[KEY_SALT_BYTES];
};
/* New, with a salt of its own. 0, or -1 after logging. */
int key_derivation_new(struct key_derivation *derivation);
/* Within bounds: at most 1 GiB of memory, and sixteen times that work. */
bool key_derivation_is_sensible(const struct key_derivation *derivation);
int key_derive(const void *passphrase, size_t length, const struct key_derivation *derivation,
               struct key *key); /* 0, or -1 after logging */

/* "keys/<epoch, 8 digits>.<key id>", below the cluster's folder. */
#define KEY_NAME_BYTES 32
void key_object_name(uint32_t epoch, const char *id, char name[KEY_NAME_BYTES]);
/* Of what stands behind "keys/". False: it is none. */
bool key_object_name_parse(const char *name, uint32_t *epoch, char id[KEY_ID_BYTES]);

/* The document of an epoch's key under this key. derivation NULL: of a random key. 0, or -1 after logging. */
int key_object_make(const struct key *key, uint32_t epoch, const unsigned char epoch_key[CIPHER_KEY_BYTES],
                    const struct key_derivation *derivation, struct buffer *out);
/* What such a document says without its key. 0, or -1 after logging "<what> is damaged: ...". */
struct key_object {
    uint32_t epoch;
    char id[KEY_ID_BYTES];
    unsigned char nonce[CIPHER_NONCE_BYTES];
    unsigned char wrapped[CIPHER_KEY_BYTES + CIPHER_TAG_BYTES];
    struct key_derivation derivation; /* of no passphrase: all zero */
};
int key_object_parse(const void *data, size_t length, const char *what, struct key_object *object);
/* 0, or -1 after logging that it is damaged. */
int key_object_unwrap(const struct key_object *object, const struct key *key, const char *what,
                      unsigned char epoch_key[CIPHER_KEY_BYTES]);

#endif
