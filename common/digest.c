#include "digest.h"

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
