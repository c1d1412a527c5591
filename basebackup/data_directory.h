/* The server's data directory as a backup looks at it: where it is, whose it is, and its pg_control before,
 * and at the end. */
#ifndef WALFERRY_DATA_DIRECTORY_H
#define WALFERRY_DATA_DIRECTORY_H

#include "common/config.h"
#include "common/pg_control.h"
#include "session.h"
#include "ship.h"

struct data_directory {
    const char *path; /* borrowed from config or facts */
    struct ship_owner owner;
    unsigned file_mode;        /* of what we add: 0600, or 0640 where the group may read */
    struct pg_control control; /* as of the last look */
    unsigned char control_bytes[PG_CONTROL_FILE_BYTES]; /* of the last look */
    int64_t control_modified_seconds;                   /* set by data_directory_keep_control */
};

/* Finds it and reads its pg_control, which must be of the server's system. 0, or -1 after logging. */
int data_directory_open(const struct config *config, const struct session_facts *facts,
                        struct data_directory *directory);

/* A copy of the data directory has the same system identifier. Proves, after the backup has begun, that this
 * is the one the server works in. 0, or -1 after logging. */
int data_directory_verify(struct data_directory *directory, struct server *server,
                          const struct session_facts *facts, const struct session_start *start);

/* Keeps pg_control as it is now: the last file of a backup that is read, just before its end. 0, or -1 after
 * logging. */
int data_directory_keep_control(struct data_directory *directory);

/* After the end of a backup from a standby: is what was copied no newer than the server says it is? It would
 * not be consistent then. 0, or -1 after logging. */
int data_directory_verify_end(const struct data_directory *directory, const struct session_stop *stop);

#endif
