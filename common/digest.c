#include "digest.h"

#include "log.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>

int sha256_begin(struct sha256 *hash)
{
    if (hash->state == NULL)
        hash->state = EVP_MD_CTX_new();
    if (hash->state == NULL || EVP_DigestInit_ex(hash->state, EVP_sha256(), NULL) != 1)
        return log_out_of_memory();
    return 0;
}

void sha256_update(struct sha256 *hash, const void *data, size_t length)
{
    EVP_DigestUpdate(hash->state, data, length); /* cannot fail for SHA-256 once begun */
}

void sha256_finish(struct sha256 *hash, unsigned char digest[SHA256_BYTES])
{
    EVP_DigestFinal_ex(hash->state, digest, NULL);
}

void sha256_free(struct sha256 *hash)
{
    if (hash == NULL)
        return;
    EVP_MD_CTX_free(hash->state);
    hash->state = NULL;
}

int sha256_of(const void *data, size_t length, unsigned char digest[SHA256_BYTES])
{
    if (EVP_Digest(data, length, digest, NULL, EVP_sha256(), NULL) != 1)
        return log_out_of_memory();
    return 0;
}

int hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                unsigned char mac[SHA256_BYTES])
{
    unsigned mac_length = SHA256_BYTES;

    if (HMAC(EVP_sha256(), key, (int)key_length, data, length, mac, &mac_length) == NULL)
        return log_out_of_memory();
    return 0;
}

int md5_base64(const void *data, size_t length, char base64[25])
{
    unsigned char digest[16];

    if (EVP_Digest(data, length, digest, NULL, EVP_md5(), NULL) != 1) {
        log_error("OpenSSL on this machine refuses MD5, which S3 demands for this request");
        return -1;
    }
    EVP_EncodeBlock((unsigned char *)base64, digest, sizeof digest);
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

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hex_decode(const char *text, void *out, size_t length)
{
    unsigned char *bytes = out;

    if (strlen(text) != 2 * length)
        return false;
    for (size_t i = 0; i < length; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

uint32_t crc32c(const void *data, size_t length)
{
    /* Bit by bit is enough: only pg_control's few hundred bytes are ever checked with it. */
    const unsigned char *bytes = data;
    uint32_t crc = 0xFFFFFFFFu;

    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82F63B78u : crc >> 1;
    }
    return crc ^ 0xFFFFFFFFu;
}

enum { XXH32_STRIPE_BYTES = 16 };
static const uint32_t xxh32_primes[] = {2654435761u, 2246822519u, 3266489917u, 668265263u, 374761393u};

static uint32_t rotate_left(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

static uint32_t little_endian_32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

void xxh32_begin(struct xxh32 *hash)
{
    *hash = (struct xxh32){
        .lanes = {xxh32_primes[0] + xxh32_primes[1], xxh32_primes[1], 0, 0u - xxh32_primes[0]}};
}

static uint32_t xxh32_round(uint32_t lane, const unsigned char *bytes)
{
    lane = rotate_left(lane + little_endian_32(bytes) * xxh32_primes[1], 13);
    __asm__("" : "+r"(lane)); /* gcc would put the four lanes into one vector, which takes twice as long */
    return lane * xxh32_primes[0];
}

/* Whole stripes; each lane takes its quarter of every one. */
static void xxh32_stripes(struct xxh32 *hash, const unsigned char *bytes, size_t length)
{
    uint32_t a = hash->lanes[0], b = hash->lanes[1], c = hash->lanes[2], d = hash->lanes[3];

    for (; length > 0; length -= XXH32_STRIPE_BYTES, bytes += XXH32_STRIPE_BYTES) {
        a = xxh32_round(a, bytes);
        b = xxh32_round(b, bytes + 4);
        c = xxh32_round(c, bytes + 8);
        d = xxh32_round(d, bytes + 12);
    }
    hash->lanes[0] = a;
    hash->lanes[1] = b;
    hash->lanes[2] = c;
    hash->lanes[3] = d;
}

void xxh32_update(struct xxh32 *hash, const void *data, size_t length)
{
    const unsigned char *bytes = data;

    hash->length += length;
    if (hash->rest_length > 0) {
        size_t room = XXH32_STRIPE_BYTES - hash->rest_length, taken = length < room ? length : room;
        memcpy(hash->rest + hash->rest_length, bytes, taken);
        hash->rest_length += taken;
        bytes += taken;
        length -= taken;
        if (hash->rest_length < XXH32_STRIPE_BYTES)
            return;
        xxh32_stripes(hash, hash->rest, XXH32_STRIPE_BYTES);
    }
    hash->rest_length = length % XXH32_STRIPE_BYTES;
    xxh32_stripes(hash, bytes, length - hash->rest_length);
    if (hash->rest_length > 0)
        memcpy(hash->rest, bytes + length - hash->rest_length, hash->rest_length);
}

uint32_t xxh32_finish(const struct xxh32 *hash)
{
    static const unsigned rotations[] = {1, 7, 12, 18};
    const unsigned char *next = hash->rest, *end = next + hash->rest_length;
    uint32_t sum = xxh32_primes[4];

    if (hash->length >= XXH32_STRIPE_BYTES) {
        sum = 0;
        for (size_t i = 0; i < 4; i++)
            sum += rotate_left(hash->lanes[i], rotations[i]);
    }
    sum += (uint32_t)hash->length;
    for (; end - next >= 4; next += 4)
        sum = rotate_left(sum + little_endian_32(next) * xxh32_primes[2], 17) * xxh32_primes[3];
    for (; next < end; next++)
        sum = rotate_left(sum + *next * xxh32_primes[4], 11) * xxh32_primes[0];
    sum = (sum ^ sum >> 15) * xxh32_primes[1];
    sum = (sum ^ sum >> 13) * xxh32_primes[2];
    return sum ^ sum >> 16;
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
