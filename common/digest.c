#include "digest.h"
#include "cipher.h"

#include "library.h"
#include "log.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>

/* Loaded with the first digest. */
static struct {
    __typeof__(&EVP_MD_CTX_new) md_ctx_new;
    __typeof__(&EVP_MD_CTX_free) md_ctx_free;
    __typeof__(&EVP_DigestInit_ex) digest_init_ex;
    __typeof__(&EVP_DigestUpdate) digest_update;
    __typeof__(&EVP_DigestFinal_ex) digest_final_ex;
    __typeof__(&EVP_Digest) digest;
    __typeof__(&EVP_sha256) sha256;
    __typeof__(&EVP_md5) md5;
    __typeof__(&HMAC) hmac;
    __typeof__(&EVP_CIPHER_CTX_new) cipher_ctx_new;
    __typeof__(&EVP_CIPHER_CTX_free) cipher_ctx_free;
    __typeof__(&EVP_CIPHER_CTX_ctrl) cipher_ctx_ctrl;
    __typeof__(&EVP_CipherInit_ex) cipher_init_ex;
    __typeof__(&EVP_CipherUpdate) cipher_update;
    __typeof__(&EVP_CipherFinal_ex) cipher_final_ex;
    __typeof__(&EVP_aes_256_gcm) aes_256_gcm;
    __typeof__(&EVP_PBE_scrypt) pbe_scrypt;
} libcrypto;

static const struct library_function crypto_functions[] = {
    {"EVP_MD_CTX_new", &libcrypto.md_ctx_new},
    {"EVP_MD_CTX_free", &libcrypto.md_ctx_free},
    {"EVP_DigestInit_ex", &libcrypto.digest_init_ex},
    {"EVP_DigestUpdate", &libcrypto.digest_update},
    {"EVP_DigestFinal_ex", &libcrypto.digest_final_ex},
    {"EVP_Digest", &libcrypto.digest},
    {"EVP_sha256", &libcrypto.sha256},
    {"EVP_md5", &libcrypto.md5},
    {"HMAC", &libcrypto.hmac},
    {"EVP_CIPHER_CTX_new", &libcrypto.cipher_ctx_new},
    {"EVP_CIPHER_CTX_free", &libcrypto.cipher_ctx_free},
    {"EVP_CIPHER_CTX_ctrl", &libcrypto.cipher_ctx_ctrl},
    {"EVP_CipherInit_ex", &libcrypto.cipher_init_ex},
    {"EVP_CipherUpdate", &libcrypto.cipher_update},
    {"EVP_CipherFinal_ex", &libcrypto.cipher_final_ex},
    {"EVP_aes_256_gcm", &libcrypto.aes_256_gcm},
    {"EVP_PBE_scrypt", &libcrypto.pbe_scrypt},
};

static struct library crypto = {
    .soname = "libcrypto.so.3",
    .package = "libssl3",
    .functions = crypto_functions,
    .count = sizeof crypto_functions / sizeof *crypto_functions,
};

int sha256_begin(struct sha256 *hash)
{
    if (library_need(&crypto) != 0)
        return -1;
    if (hash->state == NULL)
        hash->state = libcrypto.md_ctx_new();
    if (hash->state == NULL || libcrypto.digest_init_ex(hash->state, libcrypto.sha256(), NULL) != 1)
        return log_out_of_memory();
    return 0;
}

void sha256_update(struct sha256 *hash, const void *data, size_t length)
{
    libcrypto.digest_update(hash->state, data, length); /* cannot fail for SHA-256 once begun */
}

void sha256_finish(struct sha256 *hash, unsigned char digest[SHA256_BYTES])
{
    libcrypto.digest_final_ex(hash->state, digest, NULL);
}

void sha256_free(struct sha256 *hash)
{
    if (hash == NULL || hash->state == NULL)
        return;
    libcrypto.md_ctx_free(hash->state);
    hash->state = NULL;
}

int sha256_of(const void *data, size_t length, unsigned char digest[SHA256_BYTES])
{
    if (library_need(&crypto) != 0)
        return -1;
    if (libcrypto.digest(data, length, digest, NULL, libcrypto.sha256(), NULL) != 1)
        return log_out_of_memory();
    return 0;
}

int md5_of(const void *data, size_t length, unsigned char digest[MD5_BYTES])
{
    return library_need(&crypto) == 0 &&
                   libcrypto.digest(data, length, digest, NULL, libcrypto.md5(), NULL) == 1
               ? 0
               : -1;
}

int hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                unsigned char mac[SHA256_BYTES])
{
    unsigned mac_length = SHA256_BYTES;

    if (library_need(&crypto) != 0)
        return -1;
    if (libcrypto.hmac(libcrypto.sha256(), key, (int)key_length, data, length, mac, &mac_length) == NULL)
        return log_out_of_memory();
    return 0;
}

/* AES-256-GCM */

static int cipher_failed(void)
{
    log_error("libcrypto could not do AES-256-GCM");
    return -1;
}

int cipher_begin(struct cipher *cipher, const unsigned char key[CIPHER_KEY_BYTES])
{
    if (library_need(&crypto) != 0)
        return -1;
    if (cipher->state == NULL) {
        cipher->state = libcrypto.cipher_ctx_new();
        if (cipher->state == NULL)
            return log_out_of_memory();
        if (libcrypto.cipher_init_ex(cipher->state, libcrypto.aes_256_gcm(), NULL, NULL, NULL, 1) != 1)
            return cipher_failed();
    }
    return libcrypto.cipher_init_ex(cipher->state, NULL, NULL, key, NULL, -1) == 1 ? 0 : cipher_failed();
}

void cipher_free(struct cipher *cipher)
{
    if (cipher == NULL || cipher->state == NULL)
        return;
    libcrypto.cipher_ctx_free(cipher->state);
    cipher->state = NULL;
}

/* Lengths are those of chunks, far below INT_MAX. */
static int cipher_run(struct cipher *cipher, const struct cipher_frame *frame, int seal, const void *in,
                      size_t length, void *out)
{
    int done = 0;

    return libcrypto.cipher_init_ex(cipher->state, NULL, NULL, NULL, frame->nonce, seal) == 1 &&
                   libcrypto.cipher_update(cipher->state, NULL, &done, frame->associated,
                                           (int)frame->associated_length) == 1 &&
                   (length == 0 || libcrypto.cipher_update(cipher->state, out, &done, in, (int)length) == 1)
               ? 0
               : cipher_failed();
}

int cipher_seal(struct cipher *cipher, const struct cipher_frame *frame, const void *in, size_t length,
                void *out, unsigned char tag[CIPHER_TAG_BYTES])
{
    unsigned char rest[CIPHER_TAG_BYTES];
    int done = 0;

    if (cipher_run(cipher, frame, 1, in, length, out) != 0)
        return -1;
    return libcrypto.cipher_final_ex(cipher->state, rest, &done) == 1 &&
                   libcrypto.cipher_ctx_ctrl(cipher->state, EVP_CTRL_AEAD_GET_TAG, CIPHER_TAG_BYTES, tag) == 1
               ? 0
               : cipher_failed();
}

int cipher_open(struct cipher *cipher, const struct cipher_frame *frame, const void *in, size_t length,
                const unsigned char tag[CIPHER_TAG_BYTES], void *out)
{
    unsigned char rest[CIPHER_TAG_BYTES], expected[CIPHER_TAG_BYTES];
    int done = 0;

    memcpy(expected, tag, sizeof expected); /* OpenSSL takes it without const */
    if (cipher_run(cipher, frame, 0, in, length, out) != 0)
        return -1;
    if (libcrypto.cipher_ctx_ctrl(cipher->state, EVP_CTRL_AEAD_SET_TAG, CIPHER_TAG_BYTES, expected) != 1)
        return cipher_failed();
    return libcrypto.cipher_final_ex(cipher->state, rest, &done) == 1 ? 0 : 1;
}

/* Keys from keys */

int hkdf_sha256(const void *key, size_t key_length, const void *salt, size_t salt_length, const char *info,
                unsigned char out[CIPHER_KEY_BYTES])
{
    unsigned char pseudorandom[SHA256_BYTES], block[128];
    size_t length = strlen(info);
    int result = -1;

    if (length >= sizeof block) {
        log_error("the text \"%s\" is too long to derive a key with", info);
        return -1;
    }
    memcpy(block, info, length);
    block[length] = 1; /* of one block only */
    if (hmac_sha256(salt, salt_length, key, key_length, pseudorandom) == 0)
        result = hmac_sha256(pseudorandom, sizeof pseudorandom, block, length + 1, out);
    explicit_bzero(pseudorandom, sizeof pseudorandom);
    return result;
}

int scrypt_key(const void *passphrase, size_t length, const void *salt, size_t salt_length, uint64_t n,
               uint64_t r, uint64_t p, unsigned char out[CIPHER_KEY_BYTES])
{
    if (library_need(&crypto) != 0)
        return -1;
    if (libcrypto.pbe_scrypt(passphrase, length, salt, salt_length, n, r, p, 128 * n * r + (1u << 26), out,
                             CIPHER_KEY_BYTES) == 1)
        return 0;
    log_error("libcrypto could not derive a key from the passphrase with scrypt (n %llu, r %llu, p %llu)",
              (unsigned long long)n, (unsigned long long)r, (unsigned long long)p);
    return -1;
}

void hex_encode(const void *data, size_t length, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;

    for (size_t i = 0; i < length; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

/* What a digit is worth, and one more; 0: it is none. */
static const unsigned char hex_digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

bool hex_decode(const char *text, void *out, size_t length)
{
    unsigned char *bytes = out;

    if (strlen(text) != 2 * length)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned high = hex_digits[(unsigned char)text[2 * i]];
        unsigned low = hex_digits[(unsigned char)text[2 * i + 1]];
        if (high == 0 || low == 0)
            return false;
        bytes[i] = (unsigned char)((high - 1) << 4 | (low - 1));
    }
    return true;
}

int random_bytes(void *out, size_t length)
{
    unsigned char *next = out;

    while (length > 0) {
        ssize_t got = getrandom(next, length, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            log_error("could not get random bytes: %m");
            return -1;
        }
        next += got;
        length -= (size_t)got;
    }
    return 0;
}
