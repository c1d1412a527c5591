#include "document.h"

#include "digest.h"
#include "log.h"
#include "sealing.h"
#include "timestamp.h"
#include "utf8.h"
#include "wal.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_MEMBER ",\"sha256\":\""

struct json *document_new(const char *kind)
{
    struct json *document = json_new_object();

    json_set_uint(document, "walferry", DOCUMENT_VERSION);
    json_set_string(document, "kind", kind);
    return document;
}

int document_seal(struct json *document, struct buffer *out)
{
    size_t start = out->length;
    unsigned char digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    int result = json_write(document, 0, out);

    json_free(document);
    if (result != 0)
        return -1;
    out->length--; /* the closing brace comes behind the hash */
    if (sha256_of(out->data + start, out->length - start, digest) != 0)
        return -1;
    hex_encode(digest, sizeof digest, hex);
    return buffer_printf(out, HASH_MEMBER "%s\"}\n", hex);
}

/* Where the hash member begins, and that nothing but it stands behind. NULL if it is not there. */
static const char *find_hash(const char *text, size_t length)
{
    const size_t tail = strlen(HASH_MEMBER) + 2 * SHA256_BYTES + strlen("\"}");

    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\n'))
        length--;
    if (length < tail)
        return NULL;
    const char *member = text + length - tail;
    return memcmp(member, HASH_MEMBER, strlen(HASH_MEMBER)) == 0 && text[length - 1] == '}' ? member : NULL;
}

static bool hash_is_right(const char *text, const char *member)
{
    unsigned char digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];

    if (sha256_of(text, (size_t)(member - text), digest) != 0)
        return false;
    hex_encode(digest, sizeof digest, hex);
    return memcmp(member + strlen(HASH_MEMBER), hex, 2 * SHA256_BYTES) == 0;
}

struct json *document_open(const void *data, size_t length, const char *kind, const char *what)
{
    char error[200];
    uint64_t version;
    const char *member = find_hash(data, length);

    if (sealing_is_end(data, length)) {
        log_error("%s is encrypted, and the configuration has no encryption_key_file for its repository",
                  what);
        return NULL;
    }
    if (member == NULL || !hash_is_right(data, member)) {
        log_error("%s is damaged: %s", what,
                  member == NULL ? "it does not end with its SHA-256" : "its SHA-256 does not match");
        return NULL;
    }
    struct json *document = json_parse(data, length, error, sizeof error);
    if (document == NULL) {
        log_error("%s is damaged: %s", what, error);
        return NULL;
    }
    if (json_uint(document, "walferry", &version) != 0 || version == 0 ||
        json_text(document, "kind") == NULL) {
        log_error("%s is damaged: it is no document of walferry", what);
    } else if (version > DOCUMENT_VERSION) {
        log_error("%s has format version %llu; this program understands up to %d", what,
                  (unsigned long long)version, DOCUMENT_VERSION);
        log_hint("It was made by a newer walferry: install that version here.");
    } else if (kind != NULL && strcmp(json_text(document, "kind"), kind) != 0) {
        log_error("%s is a document of kind \"%s\", but \"%s\" was expected", what,
                  json_text(document, "kind"), kind);
    } else {
        return document;
    }
    json_free(document);
    return NULL;
}

/* Members */

void document_set_time(struct json *object, const char *name, int64_t time)
{
    char text[TIMESTAMP_TEXT_BYTES];

    timestamp_format_iso_micros(time, text);
    json_set_string(object, name, text);
}

bool document_time(const struct json *object, const char *name, int64_t *time)
{
    const char *text = json_text(object, name);

    return text != NULL && timestamp_parse(text, time) == TIMESTAMP_OK;
}

void document_set_lsn(struct json *object, const char *name, uint64_t lsn)
{
    char text[24];

    lsn_format(lsn, text);
    json_set_string(object, name, text);
}

bool document_lsn(const struct json *object, const char *name, uint64_t *lsn)
{
    const char *text = json_text(object, name);

    return text != NULL && lsn_parse(text, lsn);
}

void document_set_system(struct json *object, uint64_t system_identifier)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, system_identifier);
    json_set_string(object, "system_identifier", text);
}

bool document_system(const struct json *object, uint64_t *system_identifier)
{
    const char *text = json_text(object, "system_identifier");
    unsigned long long value;
    int used = 0;

    if (text == NULL || !isdigit((unsigned char)*text) || sscanf(text, "%20llu%n", &value, &used) != 1 ||
        text[used] != '\0' || value == 0)
        return false;
    *system_identifier = value;
    return true;
}

void document_set_text(struct json *object, const char *name, const char *text)
{
    size_t length = text == NULL ? 0 : strlen(text);

    if (text == NULL || utf8_is_valid(text, length)) {
        json_set_string(object, name, text);
        return;
    }
    char *hex = malloc(2 * length + 1);
    char *hex_name = string_printf("%s_hex", name);
    if (hex != NULL)
        hex_encode(text, length, hex);
    /* Without memory there is no name to set it under, and json_write reports the NULL child. */
    if (hex == NULL || hex_name == NULL)
        json_set(object, name, NULL);
    else
        json_set_string(object, hex_name, hex);
    free(hex);
    free(hex_name);
}

bool document_text(const struct json *object, const char *name, char **text)
{
    const char *value = json_text(object, name);
    char hex_name[64];

    *text = NULL;
    if (value != NULL)
        return (*text = string_copy(value)) != NULL;
    snprintf(hex_name, sizeof hex_name, "%s_hex", name);
    value = json_text(object, hex_name);
    if (value == NULL)
        return true;
    size_t length = strlen(value) / 2;
    char *decoded = calloc(1, length + 1);
    if (decoded != NULL && hex_decode(value, decoded, length) && strlen(decoded) == length) {
        *text = decoded;
        return true;
    }
    free(decoded);
    return false;
}
