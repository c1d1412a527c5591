/* What is needed of a data directory without a running server: global/pg_control, PG_VERSION, signal files.
 * Layer 1. Source: PostgreSQL pg_control.h of 13, 15, 17, 18 and 19 (14 and 16 are laid out as 13). */
#ifndef WALFERRY_PG_CONTROL_H
#define WALFERRY_PG_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PG_CONTROL_FILE_BYTES 8192

struct pg_control {
    uint64_t system_identifier;
    uint32_t control_version; /* 1300 for 13 to 17, 1800 for 18, ... */
    uint32_t catalog_version;
    uint32_t state;    /* DBState */
    uint32_t timeline; /* checkPointCopy.ThisTimeLineID */
    uint64_t checkpoint_lsn;
    uint64_t redo_lsn;
    uint64_t minimum_recovery_lsn; /* of a standby: no page on disk is newer; 0 on a primary */
    uint32_t minimum_recovery_timeline;
    uint32_t block_bytes;
    uint32_t wal_block_bytes; /* xlog_blcksz */
    uint32_t segment_bytes;   /* xlog_seg_size */
    uint32_t relation_segment_blocks;
    uint32_t data_checksum_version; /* 0: off */
    /* Settings of the primary that a server in recovery needs at least. */
    uint32_t max_connections, max_worker_processes, max_wal_senders, max_prepared_transactions,
        max_locks_per_transaction;
};

#define PG_CONTROL_IN_ARCHIVE_RECOVERY 5 /* state of a standby that runs */

/* data: the file. Checks its CRC. NULL, or what is wrong in a few words. */
const char *pg_control_parse(const void *data, size_t length, struct pg_control *control);

/* Reads DIR/global/pg_control; a torn read is read again for up to a second (rule 27). raw may be NULL; else
 * it receives the very bytes that were parsed. 0; 1 if there is none (nothing logged); -1 after logging. */
int pg_control_read(const char *data_directory, struct pg_control *control,
                    unsigned char raw[PG_CONTROL_FILE_BYTES]);

/* Major version in DIR/PG_VERSION: 13, 14, ...; 0 when there is none or it is malformed (nothing is logged)
 * or cannot be read (logged).
 */
unsigned pg_version_read(const char *data_directory);

/* Which recovery the signal files ask for; standby.signal wins, as in PostgreSQL. */
enum server_mode {
    SERVER_NORMAL,   /* no signal file: running, or past the point of no return of a recovery (rule 2) */
    SERVER_RECOVERY, /* recovery.signal */
    SERVER_STANDBY,  /* standby.signal */
};
int server_mode_read(const char *data_directory, enum server_mode *mode); /* 0, or -1 after logging */

/* Process id and start time out of postmaster.pid: they name one run of the server. False when there is none.
 */
bool postmaster_read(const char *data_directory, int64_t *pid, int64_t *started_seconds);
/* Key and id (shmget(2)) of the segment to which each of its processes is attached. False when it names none.
 */
bool postmaster_read_memory(const char *data_directory, uint32_t *key, int *id);
/* Does it say that the server takes sessions? */
bool postmaster_is_ready(const char *data_directory);

/* PostgreSQL's checksum of one data page. block: number within the whole relation, not the file.
 * Source: checksum_impl.h (FNV-1a, 32 lanes), storage/checksum.c. */
uint16_t pg_page_checksum(const void *page, size_t block_bytes, uint32_t block);

#endif
