#include "pg_manifest.h"

#include "common/crc32c.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "common/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FLUSH_BYTES (256 * 1024)

struct writing {
    struct buffer text; /* not yet in the file */
    struct sha256 hash; /* of everything before the line with the checksum */
    int fd;
    uint64_t bytes;
    bool has_files;
    bool is_outside; /* the part at hand holds files that are not of the data directory */
    uint32_t crc32c; /* of the pieces so far, in a file that has some */
};

static int flush(struct writing *writing)
{
    sha256_update(&writing->hash, writing->text.data, writing->text.length);
    if (file_write_fully(writing->fd, writing->text.data, writing->text.length) != 0) {
        log_error("could not write the temporary file of backup_manifest: %m");
        return -1;
    }
    writing->bytes += writing->text.length;
    buffer_clear(&writing->text);
    return 0;
}

/* "2026-11-20 14:29:59 GMT" */
static void format_modified(int64_t value, char out[TIMESTAMP_TEXT_BYTES])
{
    char iso[TIMESTAMP_TEXT_BYTES];

    timestamp_format_iso(value, iso);
    memcpy(out, iso, 19);
    out[10] = ' ';
    memcpy(out + 19, " GMT", sizeof " GMT");
}

static int append_path(struct buffer *text, const char *path)
{
    size_t length = strlen(path);

    if (utf8_is_valid(path, length))
        return buffer_append_string(text, "{ \"Path\": ") == 0 ? json_append_quoted(text, path, length) : -1;
    if (buffer_append_string(text, "{ \"Encoded-Path\": \"") != 0)
        return -1;
    for (size_t i = 0; i < length; i++)
        if (buffer_printf(text, "%02x", (unsigned char)path[i]) != 0)
            return -1;
    return buffer_append_string(text, "\"");
}

static int append_checksum_of(struct buffer *text, const struct pg_manifest_file *file)
{
    char hex[SHA256_HEX_BYTES];

    if (file->has_crc32c) /* PostgreSQL writes the bytes as they lie in memory */
        hex_encode(&file->crc32c, sizeof file->crc32c, hex);
    else
        hex_encode(file->sha256, SHA256_BYTES, hex);
    if (buffer_append_string(text, file->has_crc32c ? "CRC32C" : "SHA256") != 0 ||
        buffer_append_string(text, "\", \"Checksum\": \"") != 0 || buffer_append_string(text, hex) != 0)
        return -1;
    return buffer_append_string(text, "\" }");
}

static int append_file(struct writing *writing, const struct pg_manifest_file *file)
{
    char modified[TIMESTAMP_TEXT_BYTES];

    format_modified(file->modified, modified);
    if (buffer_append_string(&writing->text, writing->has_files ? ",\n" : "\n") != 0 ||
        append_path(&writing->text, file->path) != 0 ||
        buffer_append_string(&writing->text, ", \"Size\": ") != 0 ||
        buffer_append_uint(&writing->text, file->bytes) != 0 ||
        buffer_append_string(&writing->text, ", \"Last-Modified\": \"") != 0 ||
        buffer_append_string(&writing->text, modified) != 0 ||
        buffer_append_string(&writing->text, "\", \"Checksum-Algorithm\": \"") != 0 ||
        append_checksum_of(&writing->text, file) != 0)
        return -1;
    writing->has_files = true;
    return writing->text.length < FLUSH_BYTES ? 0 : flush(writing);
}

/* Pieces become one file, with the last of them. */
static int take_file(struct writing *writing, const struct index_entry *entry)
{
    struct pg_manifest_file file = {.path = entry->path,
                                    .bytes = entry->of == 0 ? entry->bytes : entry->of,
                                    .modified = entry->modified,
                                    .has_crc32c = entry->of != 0};

    memcpy(file.sha256, entry->sha256, SHA256_BYTES);
    writing->crc32c = index_entry_begins_file(entry)
                          ? entry->crc32c
                          : crc32c_combine(writing->crc32c, entry->crc32c, entry->bytes);
    file.crc32c = writing->crc32c;
    return index_entry_ends_file(entry) ? append_file(writing, &file) : 0;
}

static int take_entry(void *context, struct index_entry *entry)
{
    static const char outside[] = "external-", wal[] = "pg_wal/";
    struct writing *writing = context;

    if (entry->line == INDEX_PART)
        writing->is_outside = strncmp(entry->path, outside, sizeof outside - 1) == 0;
    /* What is in pg_wal pg_verifybackup knows from the WAL ranges. */
    if (entry->line != INDEX_FILE || writing->is_outside || strncmp(entry->path, wal, sizeof wal - 1) == 0)
        return 0;
    return take_file(writing, entry);
}

static int append_catalog(struct writing *writing, const char *backup_id, struct catalog *catalog,
                          size_t lane)
{
    struct index_reader *reader = index_reader_new(backup_id, "the index being made", take_entry, writing);
    int result = -1;

    if (reader == NULL)
        return -1;
    struct sink sink = index_reader_sink(reader);
    if (catalog_read(catalog, lane, &sink) == 0)
        result = index_reader_finish(reader);
    index_reader_free(reader);
    return result;
}

static int append_head(struct writing *writing, const struct pg_manifest_settings *settings)
{
    if (settings->postgresql_version < 17)
        return buffer_append_string(&writing->text,
                                    "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [");
    return buffer_printf(&writing->text,
                         "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": %" PRIu64
                         ",\n\"Files\": [",
                         settings->system_identifier);
}

static int append_wal_range(struct writing *writing, const struct pg_manifest_settings *settings)
{
    char start[24], stop[24];

    lsn_format(settings->start_lsn, start);
    lsn_format(settings->stop_lsn, stop);
    return buffer_printf(
        &writing->text,
        "\n],\n\"WAL-Ranges\": [\n{ \"Timeline\": %u, \"Start-LSN\": \"%s\", \"End-LSN\": \"%s\" }\n],\n",
        (unsigned)settings->timeline, start, stop);
}

static int append_checksum(struct writing *writing)
{
    unsigned char digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];

    sha256_finish(&writing->hash, digest);
    hex_encode(digest, SHA256_BYTES, hex);
    return buffer_printf(&writing->text, "\"Manifest-Checksum\": \"%s\"}\n", hex);
}

int pg_manifest_write(const struct pg_manifest_settings *settings, struct catalog *catalog, size_t lane,
                      int fd, uint64_t *bytes)
{
    struct writing writing = {.text = BUFFER_EMPTY, .fd = fd};
    int result = -1;

    if (sha256_begin(&writing.hash) != 0 || append_head(&writing, settings) != 0 ||
        append_catalog(&writing, settings->backup_id, catalog, lane) != 0)
        goto done;
    for (size_t i = 0; i < settings->file_count; i++)
        if (append_file(&writing, &settings->files[i]) != 0)
            goto done;
    if (append_wal_range(&writing, settings) != 0 || flush(&writing) != 0 || append_checksum(&writing) != 0 ||
        sha256_begin(&writing.hash) != 0 || flush(&writing) != 0)
        goto done;
    *bytes = writing.bytes;
    result = 0;
done:
    sha256_free(&writing.hash);
    buffer_free(&writing.text);
    return result;
}
