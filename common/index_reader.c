#include "index_reader.h"

#include "document.h"
#include "log.h"
#include "timestamp.h"

#include <stdlib.h>
#include <string.h>

#define LINE_LIMIT_BYTES (64 * 1024) /* a path of 4 kB in hex and its members, with room */
#define INDEX_TIME_BYTES 20          /* 2026-11-20T02:00:03Z */
#define PART_NAME_BYTES 24           /* an OID or a word, a dash, eight digits */

struct index_reader {
    char *backup_id;
    char *what;
    int (*each)(void *context, struct index_entry *entry);
    void *context;
    struct buffer line; /* the beginning of a line whose end has not come yet */
    uint64_t line_number;
    bool header_seen;
    /* the part whose files are being read */
    bool part_seen;
    char part_name[PART_NAME_BYTES];
    uint64_t part_bytes;
    uint64_t part_files;
    uint64_t files_seen;
    uint64_t offset_end; /* where the last file of the part ended */
    bool piece_seen;
    struct index_entry piece; /* the last one, of a file of which more have to come; path NULL: of none */
};

struct index_reader *index_reader_new(const char *backup_id, const char *what,
                                      int (*each)(void *context, struct index_entry *entry), void *context)
{
    struct index_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL) {
        log_out_of_memory();
        return NULL;
    }
    reader->backup_id = string_copy(backup_id);
    reader->what = string_copy(what);
    reader->each = each;
    reader->context = context;
    if (reader->backup_id == NULL || reader->what == NULL) {
        index_reader_free(reader);
        return NULL;
    }
    return reader;
}

void index_reader_free(struct index_reader *reader)
{
    if (reader == NULL)
        return;
    buffer_free(&reader->line);
    index_entry_free(&reader->piece);
    free(reader->backup_id);
    free(reader->what);
    free(reader);
}

static int damaged(const struct index_reader *reader, const char *problem)
{
    log_error("%s is damaged: line %llu: %s", reader->what, (unsigned long long)reader->line_number, problem);
    return -1;
}

/* main-00000001, 16400-00000001, external-00000001: it becomes part of a key. */
static bool part_name_is_valid(const char *name)
{
    size_t kind = strcspn(name, "-");
    bool is_oid = kind >= 1 && kind <= 10 && strspn(name, "0123456789") == kind;
    bool is_word =
        (kind == 4 && memcmp(name, "main", 4) == 0) || (kind == 8 && memcmp(name, "external", 8) == 0);

    return (is_oid || is_word) && name[kind] == '-' && strspn(name + kind + 1, "0123456789") == 8 &&
           name[kind + 9] == '\0';
}

/* The path from "file", "directory" or "path_hex". A new string, or NULL after logging. */
static char *read_path(const struct index_reader *reader, const struct json *line, const char *text)
{
    const char *hex = json_text(line, "path_hex");
    size_t length = hex == NULL ? 0 : strlen(hex) / 2;
    char *path = hex == NULL ? string_copy(text) : calloc(1, length + 1);

    if (path == NULL) {
        log_out_of_memory();
        return NULL;
    }
    if (hex != NULL && (!hex_decode(hex, path, length) || strlen(path) != length)) {
        damaged(reader, "\"path_hex\" is no path in hex");
    } else if (!index_path_is_safe(path)) {
        log_error("%s is damaged: line %llu: \"%s\" is no path inside a data directory", reader->what,
                  (unsigned long long)reader->line_number, path);
    } else {
        return path;
    }
    free(path);
    return NULL;
}

static bool read_mode(const struct json *line, unsigned *mode)
{
    const char *text = json_text(line, "mode");
    size_t length = text == NULL ? 0 : strlen(text);

    if (length < 3 || length > 5 || strspn(text, "01234567") != length)
        return false;
    *mode = (unsigned)strtoul(text, NULL, 8);
    return *mode <= 07777;
}

static int read_header(struct index_reader *reader, const struct json *line)
{
    const char *kind = json_text(line, "kind"), *backup = json_text(line, "backup");
    uint64_t version;

    if (json_uint(line, "walferry", &version) != 0 || version == 0 || kind == NULL ||
        strcmp(kind, INDEX_KIND) != 0)
        return damaged(reader, "this is not how an index begins");
    if (version > DOCUMENT_VERSION) {
        log_error("%s has format version %llu; this program understands up to %d", reader->what,
                  (unsigned long long)version, DOCUMENT_VERSION);
        log_hint("It was made by a newer walferry: install that version here.");
        return -1;
    }
    if (backup == NULL || strcmp(backup, reader->backup_id) != 0)
        return damaged(reader, "it is the index of another backup");
    reader->header_seen = true;
    return 0;
}

/* The part whose files came last must have had all of them. */
static int end_part(const struct index_reader *reader)
{
    if (reader->part_seen && reader->files_seen != reader->part_files)
        return damaged(reader, "the part before does not have as many files as it says");
    if (reader->piece.path != NULL && !reader->piece_seen)
        return damaged(reader,
                       "the part before does not go on with the file of which it should have a piece");
    return 0;
}

/* The parts of a file's pieces follow each other: so they do for who reads all of them, in the order of their
 * names. */
static bool part_name_is_next(const char *before, const char *name)
{
    size_t kind = strcspn(name, "-") + 1;

    return strncmp(before, name, kind) == 0 &&
           strtoul(name + kind, NULL, 10) == strtoul(before + kind, NULL, 10) + 1;
}

static int read_part(struct index_reader *reader, const struct json *line, const char *name)
{
    struct index_entry entry = {.line = INDEX_PART};
    const char *codec = json_text(line, "codec");

    if (end_part(reader) != 0)
        return -1;
    if (!part_name_is_valid(name))
        return damaged(reader, "this is no name of a part");
    if (reader->piece.path != NULL && !part_name_is_next(reader->part_name, name))
        return damaged(reader, "this is not the part with the next piece of the file before");
    if (json_uint(line, "bytes", &entry.bytes) != 0 || json_uint(line, "files", &entry.files) != 0 ||
        codec == NULL)
        return damaged(reader, "a member of a part is missing or malformed");
    if (!codec_by_name(codec, &entry.codec)) {
        log_error("%s: part \"%s\" is packed with codec \"%s\", which this program does not know",
                  reader->what, name, codec);
        log_hint("It was made by a newer walferry: install that version here.");
        return -1;
    }
    entry.path = string_copy(name);
    if (entry.path == NULL)
        return -1;
    reader->part_seen = true;
    memcpy(reader->part_name, name, strlen(name) + 1);
    reader->part_bytes = entry.bytes;
    reader->part_files = entry.files;
    reader->files_seen = 0;
    reader->offset_end = 0;
    reader->piece_seen = false;
    int result = reader->each(reader->context, &entry);
    index_entry_free(&entry);
    return result;
}

static int read_directory(struct index_reader *reader, const struct json *line, const char *path)
{
    struct index_entry entry = {.line = INDEX_DIRECTORY};

    if (reader->piece.path != NULL)
        return damaged(reader, "a directory between the pieces of a file");
    if (!read_mode(line, &entry.mode))
        return damaged(reader, "a member of a directory is missing or malformed");
    entry.path = read_path(reader, line, path);
    if (entry.path == NULL)
        return -1;
    int result = reader->each(reader->context, &entry);
    index_entry_free(&entry);
    return result;
}

/* What a line says of a piece: all of it, or nothing, then the file is whole. */
static int read_piece(const struct index_reader *reader, const struct json *line, struct index_entry *entry)
{
    const char *crc = json_text(line, "crc32c");
    unsigned char bytes[sizeof entry->crc32c];

    if (json_member(line, "at") == NULL && json_member(line, "of") == NULL &&
        json_member(line, "crc32c") == NULL)
        return 0;
    if (json_uint(line, "at", &entry->at) != 0 || json_uint(line, "of", &entry->of) != 0 || crc == NULL ||
        !hex_decode(crc, bytes, sizeof bytes))
        return damaged(reader, "a member of a piece is missing or malformed");
    for (size_t i = 0; i < sizeof bytes; i++)
        entry->crc32c = entry->crc32c << 8 | bytes[i];
    if (entry->bytes == 0 || entry->bytes >= entry->of || entry->at > entry->of - entry->bytes)
        return damaged(reader, "a piece that can't lie where it should in its file");
    return 0;
}

/* What a line says of a file, but its path. */
static int read_file_members(const struct index_reader *reader, const struct json *line,
                             struct index_entry *entry)
{
    const char *sha256 = json_text(line, "sha256"), *modified = json_text(line, "modified");
    uint64_t header = INDEX_USUAL_HEADER_BYTES;

    if (json_member(line, "header") != NULL &&
        (json_uint(line, "header", &header) != 0 || header > UINT32_MAX))
        return damaged(reader, "\"header\" is malformed");
    entry->header = (uint32_t)header;
    if (json_uint(line, "bytes", &entry->bytes) != 0 || json_uint(line, "offset", &entry->offset) != 0 ||
        json_uint(line, "stored", &entry->stored) != 0 || !read_mode(line, &entry->mode) || sha256 == NULL ||
        !hex_decode(sha256, entry->sha256, SHA256_BYTES) || modified == NULL ||
        timestamp_parse(modified, &entry->modified) != TIMESTAMP_OK)
        return damaged(reader, "a member of a file is missing or malformed");
    return read_piece(reader, line, entry);
}

/* A piece has its part for itself; else there must be one more file than came so far. */
static bool belongs_to_part(const struct index_reader *reader, const struct index_entry *entry)
{
    if (!reader->part_seen)
        return false;
    if (entry->of == 0)
        return reader->files_seen < reader->part_files;
    return reader->files_seen == 0 && reader->part_files == (index_entry_begins_file(entry) ? 1 : 0) &&
           entry->stored == reader->part_bytes;
}

/* Members follow each other in the part and lie inside it. */
static bool place_is_possible(const struct index_reader *reader, const struct index_entry *entry)
{
    bool header_is_possible =
        index_entry_begins_file(entry)
            ? entry->header >= INDEX_USUAL_HEADER_BYTES && entry->header % INDEX_USUAL_HEADER_BYTES == 0
            : entry->header == 0;

    return entry->offset >= reader->offset_end && entry->offset <= reader->part_bytes && entry->stored > 0 &&
           entry->stored <= reader->part_bytes - entry->offset && header_is_possible;
}

/* The pieces of a file follow each other without a gap, and nothing stands between them. */
static bool follows_piece(const struct index_reader *reader, const struct index_entry *entry)
{
    const struct index_entry *before = &reader->piece;

    if (before->path == NULL)
        return entry->at == 0;
    return entry->of == before->of && entry->at == before->at + before->bytes &&
           entry->mode == before->mode && entry->modified == before->modified &&
           strcmp(entry->path, before->path) == 0;
}

/* Keeps it while more pieces of the file have to come. Takes the path over. */
static void keep_piece(struct index_reader *reader, struct index_entry *entry)
{
    index_entry_free(&reader->piece);
    if (index_entry_ends_file(entry))
        index_entry_free(entry);
    else
        reader->piece = *entry;
}

/* Takes the entry's path over. */
static int take_file(struct index_reader *reader, struct index_entry *entry)
{
    struct index_entry kept = *entry;
    int result = 0;

    if (!belongs_to_part(reader, entry))
        result = damaged(reader, "a file that belongs to no part");
    else if (!place_is_possible(reader, entry))
        result = damaged(reader, "a file that can't lie where it should in its part");
    else if (!follows_piece(reader, entry))
        result = damaged(reader, "it is not the next piece of its file");
    reader->files_seen += index_entry_begins_file(entry) ? 1 : 0;
    reader->piece_seen = entry->of != 0;
    reader->offset_end = entry->offset + entry->stored;
    if (result == 0)
        result = reader->each(reader->context, entry);
    keep_piece(reader, &kept);
    return result;
}

static int read_file(struct index_reader *reader, const struct json *line, const char *path)
{
    struct index_entry entry = {.line = INDEX_FILE};

    if (read_file_members(reader, line, &entry) != 0)
        return -1;
    entry.path = read_path(reader, line, path);
    return entry.path == NULL ? -1 : take_file(reader, &entry);
}

/* A line of a whole file exactly as it is written here: of a million lines nearly all are. Whatever is
 * different in the least is left to the parser of JSON, which takes ten times as long. */

/* Goes over text, if that is what comes. */
static bool scan_text(const char **next, const char *end, const char *text)
{
    size_t length = strlen(text);

    if ((size_t)(end - *next) < length || memcmp(*next, text, length) != 0)
        return false;
    *next += length;
    return true;
}

/* Up to eighteen digits, which fit every integer. */
static bool scan_uint(const char **next, const char *end, uint64_t *value)
{
    const char *first = *next;

    for (*value = 0; *next < end && **next >= '0' && **next <= '9' && *next - first < 18; (*next)++)
        *value = *value * 10 + (uint64_t)(**next - '0');
    return *next > first && (*first != '0' || *next == first + 1);
}

/* So many characters and the quote behind them, into out as a string. */
static bool scan_quoted(const char **next, const char *end, size_t length, char *out)
{
    if ((size_t)(end - *next) <= length || (*next)[length] != '"' || memchr(*next, '\0', length) != NULL)
        return false;
    memcpy(out, *next, length);
    out[length] = '\0';
    *next += length + 1;
    return true;
}

/* The length of a path in which every byte stands for itself. */
static size_t plain_path_length(const char *path, const char *end)
{
    const char *next = path;

    while (next < end && *next >= 0x20 && *next < 0x7f && *next != '"' && *next != '\\')
        next++;
    return (size_t)(next - path);
}

/* path: room for INDEX_PATH_BYTES. */
static bool scan_file(const char *text, size_t length, struct index_entry *entry, char *path)
{
    const char *next = text, *end = text + length;
    char sha256[SHA256_HEX_BYTES], mode[5], modified[INDEX_TIME_BYTES + 1];

    if (!scan_text(&next, end, "{\"file\":\""))
        return false;
    size_t path_length = plain_path_length(next, end);
    if (path_length >= INDEX_PATH_BYTES || !scan_quoted(&next, end, path_length, path) ||
        !index_path_is_safe(path) || !scan_text(&next, end, ",\"bytes\":") ||
        !scan_uint(&next, end, &entry->bytes) || !scan_text(&next, end, ",\"sha256\":\"") ||
        !scan_quoted(&next, end, sizeof sha256 - 1, sha256) ||
        !hex_decode(sha256, entry->sha256, SHA256_BYTES) || !scan_text(&next, end, ",\"mode\":\"") ||
        !scan_quoted(&next, end, sizeof mode - 1, mode) || strspn(mode, "01234567") != sizeof mode - 1 ||
        !scan_text(&next, end, ",\"modified\":\"") ||
        !scan_quoted(&next, end, sizeof modified - 1, modified) ||
        timestamp_parse(modified, &entry->modified) != TIMESTAMP_OK ||
        !scan_text(&next, end, ",\"offset\":") || !scan_uint(&next, end, &entry->offset) ||
        !scan_text(&next, end, ",\"stored\":") || !scan_uint(&next, end, &entry->stored) ||
        !scan_text(&next, end, "}") || next != end)
        return false;
    entry->mode = (unsigned)strtoul(mode, NULL, 8);
    entry->header = INDEX_USUAL_HEADER_BYTES;
    return true;
}

static int read_json_line(struct index_reader *reader, const char *text, size_t length)
{
    char error[200];
    struct json *line = json_parse(text, length, error, sizeof error);
    int result;

    if (line == NULL)
        return damaged(reader, error);
    const char *part = json_text(line, "part"), *file = json_text(line, "file");
    const char *directory = json_text(line, "directory"), *hex = json_text(line, "path_hex");
    if ((part != NULL) + (file != NULL) + (directory != NULL) + (hex != NULL) > 1)
        result = damaged(reader, "it is more than one thing");
    else if (!reader->header_seen)
        result = read_header(reader, line);
    else if (part != NULL)
        result = read_part(reader, line, part);
    else if (file != NULL || (hex != NULL && json_text(line, "sha256") != NULL))
        result = read_file(reader, line, file);
    else if (directory != NULL || hex != NULL)
        result = read_directory(reader, line, directory);
    else
        result = damaged(reader, "it is neither a directory nor a part nor a file");
    json_free(line);
    return result;
}

static int read_line(struct index_reader *reader, const char *text, size_t length)
{
    struct index_entry entry = {.line = INDEX_FILE};
    char path[INDEX_PATH_BYTES];

    reader->line_number++;
    if (!reader->header_seen || !scan_file(text, length, &entry, path))
        return read_json_line(reader, text, length);
    entry.path = string_copy(path);
    return entry.path == NULL ? -1 : take_file(reader, &entry);
}

static int reader_write(void *context, const void *data, size_t length)
{
    struct index_reader *reader = context;
    const char *next = data;

    while (length > 0) {
        const char *end = memchr(next, '\n', length);
        size_t taken = end == NULL ? length : (size_t)(end - next);
        int result = 0;

        if (reader->line.length + taken > LINE_LIMIT_BYTES) {
            reader->line_number++;
            return damaged(reader, "it is too long");
        }
        if (end == NULL)
            return buffer_append(&reader->line, next, taken);
        if (reader->line.length == 0) {
            result = read_line(reader, next, taken);
        } else {
            result = buffer_append(&reader->line, next, taken);
            if (result == 0)
                result = read_line(reader, buffer_string(&reader->line), reader->line.length);
            buffer_clear(&reader->line);
        }
        if (result != 0)
            return -1;
        next += taken + 1;
        length -= taken + 1;
    }
    return 0;
}

struct sink index_reader_sink(struct index_reader *reader)
{
    return (struct sink){reader_write, reader};
}

int index_reader_finish(struct index_reader *reader)
{
    if (reader->line.length > 0 || !reader->header_seen) {
        reader->line_number++;
        return damaged(reader, reader->line.length > 0 ? "it ends in mid-line" : "it is empty");
    }
    if (end_part(reader) != 0)
        return -1;
    return reader->piece.path == NULL ? 0 : damaged(reader, "it ends before the last piece of a file");
}
