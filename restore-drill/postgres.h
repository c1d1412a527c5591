/* A private server in a restored directory (rule 31 of the field): nothing of the restored configuration is
 * trusted. Its settings, its hba and its ident file are ours, postgresql.auto.conf holds what recovery-config
 * writes and nothing else, and what could reach out stands on the command line besides. It listens on a
 * socket in the scratch directory only. */
#ifndef WALFERRY_POSTGRES_H
#define WALFERRY_POSTGRES_H

#include "server_log.h"

#include "common/child.h"
#include "common/pg_control.h"

#include <stdint.h>

struct postgres {
    const char *scratch; /* borrowed: the directory of the drill */
    char *data;          /* "<scratch>/data" */
    char *log_path;      /* "<scratch>/server.log" */
    char *bin;           /* directory of PostgreSQL's programs */
    unsigned major;
    pid_t pid; /* 0: it does not run */
    struct server_log log;
};

#define POSTGRES_PORT "5432" /* names the socket, in a directory of its own */

/* Finds the programs of that major version: pg_bin if it is not NULL, else where Debian and Red Hat have
 * them, else those of pg_config. 0, or -1 after logging. postgres_close in any case. */
int postgres_open(const char *scratch, unsigned major, const char *pg_bin, const struct look *look,
                  struct postgres *postgres);
void postgres_close(struct postgres *postgres);
/* 0, or -1 after logging: it is not there. */
int postgres_check_amcheck(const struct postgres *postgres);

/* Before recovery-config: empties the restored postgresql.auto.conf (which stays as "restored.auto.conf" in
 * the scratch directory), and writes our own files. 0, or -1 after logging. */
int postgres_prepare(const struct postgres *postgres);

/* preload: shared_preload_libraries; NULL: none. 0 when recovery has begun, or -1 after logging. */
int postgres_start(struct postgres *postgres, const char *preload, const struct look *look);

/* Until recovery is over and it takes sessions. 0, or -1 after logging: it has ended, or was given up. */
int postgres_wait(struct postgres *postgres, const struct look *look);

/* Ends it, also if it does not want to; its shared memory goes too. */
void postgres_stop(struct postgres *postgres);

/* What a session has to be told besides, since a role's and a database's settings beat the command line.
 * until: a timestamp, for the user's checks, which find it as drill.until. Caller frees; NULL after logging.
 */
char *postgres_session_options(const struct postgres *postgres, bool may_write, int64_t until);

#endif
