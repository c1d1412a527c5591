#include "document.h"

#include "digest.h"
#include "log.h"

#include <stdio.h>
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
    } else if (strcmp(json_text(document, "kind"), kind) != 0) {
        log_error("%s is a document of kind \"%s\", but \"%s\" was expected", what,
                  json_text(document, "kind"), kind);
    } else {
        return document;
    }
    json_free(document);
    return NULL;
}
