#include "key.h"

#include "digest.h"
#include "document.h"
#include "file.h"
#include "log.h"
#include "sealing.h"
#include "timestamp.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_INFO "walferry key id"
#define WRAP_INFO "walferry wrap 1"
#define KEY_FILE_MOST_BYTES 4096
#define SCRYPT_MEMORY_MOST (1ull << 30)
#define SCRYPT_N (1u << 17) /* with r 8: 128 MiB, half a second */
#define SCRYPT_R 8
#define SCRYPT_P_MOST 16

void key_wipe(struct key *key)
{
    explicit_bzero(key, sizeof *key);
}

int key_from_bytes(const unsigned char bytes[CIPHER_KEY_BYTES], struct key *key)
{
    unsigned char id[CIPHER_KEY_BYTES];

    if (hkdf_sha256(bytes, CIPHER_KEY_BYTES, "", 0, ID_INFO, id) != 0)
        return -1;
    memcpy(key->bytes, bytes, CIPHER_KEY_BYTES);
    hex_encode(id, (KEY_ID_BYTES - 1) / 2, key->id);
    return 0;
}

int key_take(const void *data, size_t length, const char *what, struct key *key)
{
    unsigned char bytes[CIPHER_KEY_BYTES];
    char text[2 * CIPHER_KEY_BYTES + 1] = "";
    const char *end = data;
    size_t text_length = length;
    bool is_key = length == CIPHER_KEY_BYTES;
    int result = -1;

    if (is_key) {
        memcpy(bytes, data, sizeof bytes);
    } else {
        while (text_length > 0 && isspace((unsigned char)end[text_length - 1]))
            text_length--;
        if (text_length == 2 * CIPHER_KEY_BYTES) {
            memcpy(text, data, text_length);
            is_key = hex_decode(text, bytes, sizeof bytes);
        }
    }
    if (is_key) {
        result = key_from_bytes(bytes, key);
    } else {
        log_error("%s holds no key: it is %zu bytes long, not 32 bytes, or 64 hex digits", what, length);
        log_hint("A new key is made by repository-key generate.");
    }
    explicit_bzero(bytes, sizeof bytes);
    explicit_bzero(text, sizeof text);
    return result;
}

int key_read(const char *path, struct key *key)
{
    struct buffer text = BUFFER_EMPTY;
    char *what = string_printf("key file \"%s\"", path);
    enum file_result result = what == NULL ? FILE_FAILED : FILE_OK;

    if (result == FILE_OK && buffer_reserve(&text, KEY_FILE_MOST_BYTES + 1) != 0)
        result = FILE_FAILED; /* reserved, so that no copy is left behind when it grows */
    if (result == FILE_OK)
        result = file_read_private(path, KEY_FILE_MOST_BYTES, &text);
    if (result == FILE_OK && key_take(text.data, text.length, what, key) != 0)
        result = FILE_FAILED;
    buffer_wipe(&text);
    free(what);
    return result == FILE_OK ? 0 : result == FILE_ABSENT ? 1 : -1;
}

/* Passphrases */

int key_derivation_new(struct key_derivation *derivation)
{
    *derivation = (struct key_derivation){.n = SCRYPT_N, .r = SCRYPT_R, .p = 1};
    return random_bytes(derivation->salt, sizeof derivation->salt);
}

bool key_derivation_is_sensible(const struct key_derivation *derivation)
{
    uint64_t n = derivation->n, r = derivation->r, p = derivation->p;

    return n >= 2 && (n & (n - 1)) == 0 && n <= SCRYPT_MEMORY_MOST && r >= 1 && r <= 1024 && p >= 1 &&
           p <= SCRYPT_P_MOST && 128 * n * r <= SCRYPT_MEMORY_MOST;
}

int key_derive(const void *passphrase, size_t length, const struct key_derivation *derivation,
               struct key *key)
{
    unsigned char bytes[CIPHER_KEY_BYTES];
    int result = scrypt_key(passphrase, length, derivation->salt, sizeof derivation->salt, derivation->n,
                            derivation->r, derivation->p, bytes);

    if (result == 0)
        result = key_from_bytes(bytes, key);
    explicit_bzero(bytes, sizeof bytes);
    return result;
}

/* Names */

void key_object_name(uint32_t epoch, const char *id, char name[KEY_NAME_BYTES])
{
    snprintf(name, KEY_NAME_BYTES, "keys/%08" PRIu32 ".%.16s", epoch, id);
}

static bool id_is_well_formed(const char *id)
{
    return strlen(id) == KEY_ID_BYTES - 1 && strspn(id, "0123456789abcdef") == KEY_ID_BYTES - 1;
}

bool key_object_name_parse(const char *name, uint32_t *epoch, char id[KEY_ID_BYTES])
{
    if (strspn(name, "0123456789") != 8 || name[8] != '.' || !id_is_well_formed(name + 9))
        return false;
    *epoch = (uint32_t)strtoul(name, NULL, 10);
    memcpy(id, name + 9, KEY_ID_BYTES);
    return *epoch > 0;
}

/* Documents */

/* What a wrapped key is bound to: so no epoch's passes for another's. */
static int wrap_frame(uint32_t epoch, const char *id, char text[64], struct cipher_frame *frame)
{
    int length = snprintf(text, 64, WRAP_INFO " %" PRIu32 " %s", epoch, id);

    frame->associated = text;
    frame->associated_length = (size_t)length;
    return length < 64 ? 0 : -1;
}

static int begin_wrapping(struct cipher *cipher, const struct key *key)
{
    unsigned char wrapping[CIPHER_KEY_BYTES];
    int result = hkdf_sha256(key->bytes, sizeof key->bytes, "", 0, WRAP_INFO, wrapping);

    if (result == 0)
        result = cipher_begin(cipher, wrapping);
    explicit_bzero(wrapping, sizeof wrapping);
    return result;
}

static void set_hex(struct json *object, const char *name, const void *data, size_t length)
{
    char hex[2 * (CIPHER_KEY_BYTES + CIPHER_TAG_BYTES) + 1];

    hex_encode(data, length, hex);
    json_set_string(object, name, hex);
}

static struct json *derivation_to_json(const struct key_derivation *derivation)
{
    struct json *object = json_new_object();

    json_set_uint(object, "n", derivation->n);
    json_set_uint(object, "r", derivation->r);
    json_set_uint(object, "p", derivation->p);
    set_hex(object, "salt", derivation->salt, sizeof derivation->salt);
    return object;
}

int key_object_make(const struct key *key, uint32_t epoch, const unsigned char epoch_key[CIPHER_KEY_BYTES],
                    const struct key_derivation *derivation, struct buffer *out)
{
    unsigned char wrapped[CIPHER_KEY_BYTES + CIPHER_TAG_BYTES];
    char text[64];
    struct cipher cipher = {NULL};
    struct cipher_frame frame;
    struct json *document;
    int result = -1;

    if (wrap_frame(epoch, key->id, text, &frame) == 0 && random_bytes(frame.nonce, sizeof frame.nonce) == 0 &&
        begin_wrapping(&cipher, key) == 0)
        result =
            cipher_seal(&cipher, &frame, epoch_key, CIPHER_KEY_BYTES, wrapped, wrapped + CIPHER_KEY_BYTES);
    cipher_free(&cipher);
    if (result != 0)
        return -1;
    document = document_new("key");
    json_set_uint(document, "epoch", epoch);
    json_set_string(document, "key_id", key->id);
    document_set_time(document, "time", timestamp_now());
    set_hex(document, "nonce", frame.nonce, sizeof frame.nonce);
    set_hex(document, "wrapped", wrapped, sizeof wrapped);
    if (derivation != NULL)
        json_set(document, "scrypt", derivation_to_json(derivation));
    return document_seal(document, out);
}

static bool take_hex(const struct json *object, const char *name, void *out, size_t length)
{
    const char *text = json_text(object, name);

    return text != NULL && hex_decode(text, out, length);
}

static const char *parse_members(const struct json *document, struct key_object *object)
{
    const struct json *scrypt = json_member(document, "scrypt");
    const char *id = json_text(document, "key_id");
    uint64_t epoch;

    if (json_uint(document, "epoch", &epoch) != 0 || epoch == 0 || epoch > SEALING_EPOCH_MOST || id == NULL ||
        !id_is_well_formed(id) || !take_hex(document, "nonce", object->nonce, sizeof object->nonce) ||
        !take_hex(document, "wrapped", object->wrapped, sizeof object->wrapped))
        return "a member is missing or malformed";
    object->epoch = (uint32_t)epoch;
    memcpy(object->id, id, KEY_ID_BYTES);
    if (scrypt == NULL)
        return NULL;
    if (json_uint(scrypt, "n", &object->derivation.n) != 0 ||
        json_uint(scrypt, "r", &object->derivation.r) != 0 ||
        json_uint(scrypt, "p", &object->derivation.p) != 0 ||
        !take_hex(scrypt, "salt", object->derivation.salt, sizeof object->derivation.salt))
        return "its parameters of scrypt are malformed";
    return key_derivation_is_sensible(&object->derivation)
               ? NULL
               : "its parameters of scrypt would take more than 1 GiB of memory, or make no sense";
}

int key_object_parse(const void *data, size_t length, const char *what, struct key_object *object)
{
    struct json *document = document_open(data, length, "key", what);
    const char *problem;

    *object = (struct key_object){.epoch = 0};
    if (document == NULL)
        return -1;
    problem = parse_members(document, object);
    if (problem != NULL)
        log_error("%s is damaged: %s", what, problem);
    json_free(document);
    return problem == NULL ? 0 : -1;
}

int key_object_unwrap(const struct key_object *object, const struct key *key, const char *what,
                      unsigned char epoch_key[CIPHER_KEY_BYTES])
{
    char text[64];
    struct cipher cipher = {NULL};
    struct cipher_frame frame;
    int result = -1;

    if (wrap_frame(object->epoch, key->id, text, &frame) == 0 && begin_wrapping(&cipher, key) == 0) {
        memcpy(frame.nonce, object->nonce, sizeof frame.nonce);
        result = cipher_open(&cipher, &frame, object->wrapped, CIPHER_KEY_BYTES,
                             object->wrapped + CIPHER_KEY_BYTES, epoch_key);
    }
    cipher_free(&cipher);
    if (result == 1)
        log_error("%s is damaged: the key %s does not open it", what, key->id);
    return result == 0 ? 0 : -1;
}
