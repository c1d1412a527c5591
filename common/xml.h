/* XML answers of an S3 store, read flat: one call at each element's end. Layer 0; the only user of expat. */
#ifndef WALFERRY_XML_H
#define WALFERRY_XML_H

#include "buffer.h"

#include <stdbool.h>
#include <stddef.h>

/* Tells each element at its end: path is the names from the root joined with "/"
 * ("ListBucketResult/Contents/Key"; namespace prefixes are left out), text the character data between its
 * last child and its end: the whole text of an element without children. Both are borrowed for the call.
 * element returns false to stop (which is a success). A document type declaration (and with it every entity
 * of its own), more than 32 levels and texts over 64 KiB are refused. Returns 0, or -1 with *problem set to a
 * few words; nothing is logged. What was told before the failure is not to be believed: a caller that must
 * not act on half a document collects first. */
int xml_parse(const void *data, size_t length,
              bool (*element)(void *context, const char *path, const char *text), void *context,
              const char **problem);

/* Appends text as it stands between two tags of a document that is sent. 0, or -1 after logging. */
int xml_append_text(struct buffer *out, const char *text);

#endif
