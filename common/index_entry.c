#include "index_entry.h"

#include "document.h"
#include "json.h"
#include "timestamp.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

void index_entry_free(struct index_entry *entry)
{
    free(entry->path);
    entry->path = NULL;
}

bool index_entry_begins_file(const struct index_entry *entry)
{
    return entry->line == INDEX_FILE && entry->at == 0;
}

bool index_entry_ends_file(const struct index_entry *entry)
{
    return entry->line == INDEX_FILE && (entry->of == 0 || entry->at + entry->bytes == entry->of);
}

/* A relative path that stays below where it begins: no empty component, no "." and "..". */
bool index_path_is_safe(const char *path)
{
    if (strlen(path) >= INDEX_PATH_BYTES)
        return false;
    for (;;) {
        size_t length = strcspn(path, "/");
        if (length == 0 || (length == 1 && path[0] == '.') ||
            (length == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        if (path[length] == '\0')
            return true;
        path += length + 1;
    }
}

/* Writing */

/* "name":"path", or "path_hex":"..." for a path that is not UTF-8. */
static int write_path(struct buffer *out, const char *name, const char *path)
{
    size_t length = strlen(path);

    if (utf8_is_valid(path, length))
        return buffer_printf(out, "{\"%s\":", name) == 0 ? json_append_quoted(out, path, length) : -1;
    if (buffer_append_string(out, "{\"path_hex\":\"") != 0 || buffer_reserve(out, 2 * length + 1) != 0)
        return -1;
    hex_encode(path, length, (char *)out->data + out->length);
    out->length += 2 * length;
    return buffer_append_string(out, "\"");
}

static int write_part(const struct index_entry *entry, struct buffer *out)
{
    return buffer_printf(out, "{\"part\":\"%s\",\"bytes\":%llu,\"codec\":\"%s\",\"files\":%llu}\n",
                         entry->path, (unsigned long long)entry->bytes, codec_name(entry->codec),
                         (unsigned long long)entry->files);
}

/* ,"name":value. There are a million lines of files: printf would take most of the time. */
static int write_uint(struct buffer *out, const char *name, uint64_t value)
{
    if (buffer_append_string(out, ",\"") != 0 || buffer_append_string(out, name) != 0 ||
        buffer_append_string(out, "\":") != 0)
        return -1;
    return buffer_append_uint(out, value);
}

static int write_mode(struct buffer *out, unsigned mode)
{
    const char digits[] = {(char)('0' + (mode >> 9 & 7)), (char)('0' + (mode >> 6 & 7)),
                           (char)('0' + (mode >> 3 & 7)), (char)('0' + (mode & 7))};

    return buffer_append(out, digits, sizeof digits);
}

static int write_file(const struct index_entry *entry, struct buffer *out)
{
    char sha256[SHA256_HEX_BYTES], modified[TIMESTAMP_TEXT_BYTES];

    hex_encode(entry->sha256, SHA256_BYTES, sha256);
    timestamp_format_iso(entry->modified, modified);
    if (write_path(out, "file", entry->path) != 0 || write_uint(out, "bytes", entry->bytes) != 0 ||
        buffer_append_string(out, ",\"sha256\":\"") != 0 || buffer_append_string(out, sha256) != 0 ||
        buffer_append_string(out, "\",\"mode\":\"") != 0 || write_mode(out, entry->mode) != 0 ||
        buffer_append_string(out, "\",\"modified\":\"") != 0 || buffer_append_string(out, modified) != 0 ||
        buffer_append_string(out, "\"") != 0 || write_uint(out, "offset", entry->offset) != 0 ||
        write_uint(out, "stored", entry->stored) != 0)
        return -1;
    if (entry->header != INDEX_USUAL_HEADER_BYTES && buffer_printf(out, ",\"header\":%u", entry->header) != 0)
        return -1;
    if (entry->of != 0 &&
        buffer_printf(out, ",\"at\":%llu,\"of\":%llu,\"crc32c\":\"%08x\"", (unsigned long long)entry->at,
                      (unsigned long long)entry->of, (unsigned)entry->crc32c) != 0)
        return -1;
    return buffer_append_string(out, "}\n");
}

int index_entry_write(const struct index_entry *entry, struct buffer *out)
{
    switch (entry->line) {
    case INDEX_DIRECTORY:
        return write_path(out, "directory", entry->path) == 0
                   ? buffer_printf(out, ",\"mode\":\"%04o\"}\n", entry->mode)
                   : -1;
    case INDEX_PART:
        return write_part(entry, out);
    case INDEX_FILE:
        break;
    }
    return write_file(entry, out);
}

int index_header_write(const char *backup_id, struct buffer *out)
{
    return buffer_printf(out, "{\"walferry\":%d,\"kind\":\"" INDEX_KIND "\",\"backup\":\"%s\"}\n",
                         DOCUMENT_VERSION, backup_id);
}
