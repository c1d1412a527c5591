/* A JSON document that carries its own SHA-256, as PostgreSQL's backup_manifest does: the last member is
 * "sha256": the hash of every byte before the comma that begins it. Layer 1.
 * All metadata of a repository is kept so: cluster.json, started.json, manifest.json, the trailer of an
 * object.
 *
 *     {"walferry":1,"kind":"cluster", ... ,"sha256":"0123..."}
 * By hand: head -c -78 FILE | sha256sum. Format: docs/format.md. */
#ifndef WALFERRY_DOCUMENT_H
#define WALFERRY_DOCUMENT_H

#include "json.h"

/* The version written and the newest one understood, in the member "walferry". A reader refuses a newer one.
 */
#define DOCUMENT_VERSION 1

/* A new object with "walferry" and "kind" set. NULL never: failures are remembered, see json.h. */
struct json *document_new(const char *kind);

/* Serialises, adds the hash and a line end, appends to *out. Frees document in any case. 0, or -1 after
 * logging. */
int document_seal(struct json *document, struct buffer *out);

/* Checks hash, version and kind; trailing blanks are allowed (a padded trailer). what names the object in
 * messages; kind NULL: any. Caller frees with json_free. NULL after logging "%s is damaged: ..." (or made by
 * a newer walferry). */
struct json *document_open(const void *data, size_t length, const char *kind, const char *what);

/* Members in the forms that docs/format.md has for them. The readers return false when the member is absent
 * or malformed; the value is then unchanged. */
void document_set_time(struct json *object, const char *name, int64_t time); /* UTC, with microseconds */
bool document_time(const struct json *object, const char *name, int64_t *time);
void document_set_lsn(struct json *object, const char *name, uint64_t lsn);
bool document_lsn(const struct json *object, const char *name, uint64_t *lsn);
/* "system_identifier" */
void document_set_system(struct json *object, uint64_t system_identifier);
bool document_system(const struct json *object, uint64_t *system_identifier);
/* Text of any bytes: as NAME_hex where it is not UTF-8. NULL becomes null. */
void document_set_text(struct json *object, const char *name, const char *text);
/* A new string; NULL when it is null or absent. False when it is malformed, or without memory. */
bool document_text(const struct json *object, const char *name, char **text);

#endif
