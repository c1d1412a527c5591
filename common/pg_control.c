#include "pg_control.h"

#include "buffer.h"
#include "crc32c.h"
#include "file.h"
#include "log.h"
#include "wal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Offsets in struct ControlFileData, 64-bit and little-endian (the only platforms walferry is built for). */
enum {
    AT_SYSTEM_IDENTIFIER = 0,
    AT_CONTROL_VERSION = 8,
    AT_CATALOG_VERSION = 12,
    AT_STATE = 16,
    AT_CHECKPOINT = 32,
    AT_REDO = 40,
    AT_TIMELINE = 48,
};

/* Behind minRecoveryPoint, in all versions. */
enum { TO_MAX_CONNECTIONS = 44 };

/* What follows the checkpoint's copy moved with the versions. Read from pg_control.h of 13, 15, 17, 18
 * and 19. */
struct layout {
    uint32_t first_version, last_version; /* pg_control_version */
    size_t minimum_recovery, block_bytes, relation_segment_blocks, wal_block_bytes, segment_bytes,
        checksum_version, crc;
};

static const struct layout layouts[] = {
    {1300, 1799, 136, 216, 220, 224, 228, 252, 288}, /* 13 to 17 */
    {1800, 1899, 136, 216, 220, 224, 228, 252, 292}, /* 18 */
    {1900, 1999, 144, 224, 228, 236, 240, 268, 308}, /* 19 */
};

static uint32_t get32(const unsigned char *bytes, size_t offset)
{
    uint32_t value;
    memcpy(&value, bytes + offset, sizeof value);
    return value;
}

static uint64_t get64(const unsigned char *bytes, size_t offset)
{
    uint64_t value;
    memcpy(&value, bytes + offset, sizeof value);
    return value;
}

static const struct layout *find_layout(uint32_t control_version)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        if (control_version >= layouts[i].first_version && control_version <= layouts[i].last_version)
            return &layouts[i];
    return NULL;
}

static bool block_size_is_legal(uint32_t bytes)
{
    return bytes >= 1024 && bytes <= 65536 && (bytes & (bytes - 1)) == 0;
}

const char *pg_control_parse(const void *data, size_t length, struct pg_control *control)
{
    const unsigned char *bytes = data;

    if (length < 512)
        return "it is too short";
    const struct layout *layout = find_layout(get32(bytes, AT_CONTROL_VERSION));
    if (layout == NULL)
        return "its version is not that of PostgreSQL 13 to 19";
    if (crc32c(bytes, layout->crc) != get32(bytes, layout->crc))
        return "its checksum does not match";
    const size_t maxima = layout->minimum_recovery + TO_MAX_CONNECTIONS;
    *control = (struct pg_control){
        .system_identifier = get64(bytes, AT_SYSTEM_IDENTIFIER),
        .control_version = get32(bytes, AT_CONTROL_VERSION),
        .catalog_version = get32(bytes, AT_CATALOG_VERSION),
        .state = get32(bytes, AT_STATE),
        .timeline = get32(bytes, AT_TIMELINE),
        .checkpoint_lsn = get64(bytes, AT_CHECKPOINT),
        .redo_lsn = get64(bytes, AT_REDO),
        .minimum_recovery_lsn = get64(bytes, layout->minimum_recovery),
        .minimum_recovery_timeline = get32(bytes, layout->minimum_recovery + sizeof(uint64_t)),
        .block_bytes = get32(bytes, layout->block_bytes),
        .relation_segment_blocks = get32(bytes, layout->relation_segment_blocks),
        .wal_block_bytes = get32(bytes, layout->wal_block_bytes),
        .segment_bytes = get32(bytes, layout->segment_bytes),
        .data_checksum_version = get32(bytes, layout->checksum_version),
        .max_connections = get32(bytes, maxima),
        .max_worker_processes = get32(bytes, maxima + 4),
        .max_wal_senders = get32(bytes, maxima + 8),
        .max_prepared_transactions = get32(bytes, maxima + 12),
        .max_locks_per_transaction = get32(bytes, maxima + 16),
    };
    /* Others divide by them. */
    if (!block_size_is_legal(control->block_bytes) || !block_size_is_legal(control->wal_block_bytes) ||
        !wal_segment_size_is_legal(control->segment_bytes) || control->relation_segment_blocks == 0)
        return "its block or segment sizes are impossible";
    return NULL;
}

int pg_control_read(const char *data_directory, struct pg_control *control,
                    unsigned char raw[PG_CONTROL_FILE_BYTES])
{
    struct buffer file = BUFFER_EMPTY;
    const char *problem = NULL;
    int result = -1;
    char *path = path_join(data_directory, "global/pg_control");

    if (path == NULL)
        return -1;
    for (int attempt = 0; attempt < 100; attempt++) { /* the server may be writing it right now */
        buffer_clear(&file);
        enum file_result read = file_read_all(path, 64 * 1024, &file);
        if (read != FILE_OK) {
            result = read == FILE_ABSENT ? 1 : -1;
            goto done;
        }
        problem = pg_control_parse(file.data, file.length, control);
        if (problem == NULL)
            break;
        nanosleep(&(struct timespec){0, 10 * 1000 * 1000}, NULL);
    }
    if (problem != NULL) {
        log_error("\"%s\" cannot be used: %s", path, problem);
        goto done;
    }
    if (raw != NULL) {
        memset(raw, 0, PG_CONTROL_FILE_BYTES);
        memcpy(raw, file.data, file.length < PG_CONTROL_FILE_BYTES ? file.length : PG_CONTROL_FILE_BYTES);
    }
    result = 0;
done:
    buffer_free(&file);
    free(path);
    return result;
}

unsigned pg_version_read(const char *data_directory)
{
    struct buffer text = BUFFER_EMPTY;
    unsigned version = 0;
    char *path = path_join(data_directory, "PG_VERSION"), *end;

    if (path != NULL && file_read_all(path, 64, &text) == FILE_OK) {
        unsigned long number = strtoul(buffer_string(&text), &end, 10);
        if (end != buffer_string(&text) && (*end == '\n' || *end == '\0') && number >= 10 && number < 1000)
            version = (unsigned)number;
    }
    buffer_free(&text);
    free(path);
    return version;
}

/* 1, 0, or -1 after logging. */
static int has_file(const char *directory, const char *name)
{
    struct stat status;
    char *path = path_join(directory, name);
    int result = path == NULL ? -1 : lstat(path, &status) == 0;

    if (result == 0 && errno != ENOENT && errno != ENOTDIR) {
        log_error("could not stat file \"%s\": %m", path);
        result = -1;
    }
    free(path);
    return result;
}

int server_mode_read(const char *data_directory, enum server_mode *mode)
{
    int standby = has_file(data_directory, "standby.signal");
    int recovery = standby == 0 ? has_file(data_directory, "recovery.signal") : 0;

    if (standby < 0 || recovery < 0)
        return -1;
    *mode = standby ? SERVER_STANDBY : recovery ? SERVER_RECOVERY : SERVER_NORMAL;
    return 0;
}

/* Its lines: process id, data directory, start time, port, socket directory, address, shared memory. Caller
 * frees text. NULL: there is no such line. */
static const char *read_postmaster_line(const char *data_directory, int number, struct buffer *text)
{
    const char *line = NULL;
    char *path = path_join(data_directory, "postmaster.pid");

    if (path != NULL && file_exists(path) && file_read_all(path, 8192, text) == FILE_OK) {
        line = buffer_string(text);
        for (int i = 1; i < number && line != NULL; i++) {
            line = strchr(line, '\n');
            line = line == NULL ? NULL : line + 1;
        }
    }
    free(path);
    return line;
}

bool postmaster_read(const char *data_directory, int64_t *pid, int64_t *started_seconds)
{
    struct buffer text = BUFFER_EMPTY;
    const char *line = read_postmaster_line(data_directory, 3, &text);

    *pid = line == NULL ? 0 : strtoll(buffer_string(&text), NULL, 10);
    *started_seconds = line == NULL ? 0 : strtoll(line, NULL, 10);
    buffer_free(&text);
    return *pid != 0 && *started_seconds > 0;
}

bool postmaster_read_memory(const char *data_directory, uint32_t *key, int *id)
{
    struct buffer text = BUFFER_EMPTY;
    const char *line = read_postmaster_line(data_directory, 7, &text);
    bool read = line != NULL && sscanf(line, "%" SCNu32 " %d", key, id) == 2;

    buffer_free(&text);
    return read;
}

bool postmaster_is_ready(const char *data_directory)
{
    struct buffer text = BUFFER_EMPTY;
    const char *line = read_postmaster_line(data_directory, 8, &text);
    bool ready = line != NULL && strncmp(line, "ready", 5) == 0;

    buffer_free(&text);
    return ready;
}
