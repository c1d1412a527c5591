/* PostgreSQL's own backup_manifest, which the start/stop functions do not make: written from the index, so
 * that pg_verifybackup can check a restored directory. Source: PostgreSQL backup_manifest.c of 13 to 18. */
#ifndef WALFERRY_PG_MANIFEST_H
#define WALFERRY_PG_MANIFEST_H

#include "catalog.h"

struct pg_manifest_file {
    const char *path;
    uint64_t bytes;
    int64_t modified; /* timestamp */
    unsigned char sha256[SHA256_BYTES];
    bool has_crc32c; /* of a file in pieces there is no SHA-256 */
    uint32_t crc32c;
};

struct pg_manifest_settings {
    const char *backup_id;
    unsigned postgresql_version; /* major: 17 and later write version 2, with the system identifier */
    uint64_t system_identifier;
    uint32_t timeline;
    uint64_t start_lsn;
    uint64_t stop_lsn;
    const struct pg_manifest_file *files; /* not in the catalog yet: they come behind those that are */
    size_t file_count;
};

/* Writes it into fd, at its end; lane: one that is whole. *bytes: its size. Files outside the data directory
 * are not in it. 0, or -1 after logging. */
int pg_manifest_write(const struct pg_manifest_settings *settings, struct catalog *catalog, size_t lane,
                      int fd, uint64_t *bytes);

#endif
