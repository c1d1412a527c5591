/* What recovery-config must know of the data directory. */
#ifndef WALFERRY_DATA_DIRECTORY_H
#define WALFERRY_DATA_DIRECTORY_H

#include "common/pg_control.h"
#include "common/running_server.h"

#include <sys/types.h>

#define POSTGRESQL_LEAST_VERSION 13

/* Strings are owned, path is borrowed. */
struct data_directory {
    const char *path;
    unsigned major;
    struct pg_control control;
    uid_t owner;
    mode_t settings_mode;       /* for a new postgresql.auto.conf, as PostgreSQL would make it */
    enum running_server server; /* that runs in it */
    int64_t server_pid;
    enum server_mode mode;

    bool is_fresh;      /* a base backup that was not started since it was restored: backup_label is there */
    bool in_recovery;   /* a recovery was begun in it, and is not over */
    bool has_label;     /* backup_label, or in mid-recovery backup_label.old, what PostgreSQL made of it */
    uint64_t start_lsn; /* out of it, all three */
    uint32_t start_timeline;
    char *label;
};

/* 0, or -1 after logging: not a data directory, PostgreSQL older than 13, not readable. To be freed in both
 * cases. */
int data_directory_read(const char *path, struct data_directory *directory);
void data_directory_free(struct data_directory *directory);

/* True if the caller may write into it; else the reason was logged. */
bool data_directory_is_ours(const struct data_directory *directory);

/* START WAL LOCATION, START TIMELINE and LABEL out of a backup_label. False when it is none. label is owned
 * by the directory. */
bool backup_label_parse(const char *text, struct data_directory *directory);

#endif
