/* What a backup asks of the server: facts, start and stop of the backup, the WAL position, names of files and
 * tablespaces. Source: PostgreSQL documentation, "Backup Control Functions" of 13 to 18. */
#ifndef WALFERRY_SESSION_H
#define WALFERRY_SESSION_H

#include "server.h"

#include <stdint.h>

/* Strings are owned; NULL where the server does not show them to this user. */
struct session_facts {
    uint32_t version; /* server_version_num: 150018 */
    unsigned major;
    uint64_t system_identifier;
    char *data_directory;
    char *config_file;
    char *hba_file;
    char *ident_file;
    char *stats_directory; /* stats_temp_directory; before 15 only */
};

/* Prepares the session (no timeouts, a safe search_path) and reads the facts. Refuses, after logging: a
 * server before 13, a standby, a server that archives nothing. 0, or -1. */
int session_open(struct server *server, struct session_facts *facts);
void session_facts_free(struct session_facts *facts); /* NULL-safe */

struct session_start {
    int64_t time; /* the server's clock, just before */
    uint64_t lsn; /* redo location of the backup's checkpoint */
    uint32_t timeline;
};
/* May take as long as a checkpoint does. 0, or -1 after logging. */
int session_start_backup(struct server *server, const char *label, bool fast_checkpoint,
                         struct session_start *start);

struct session_stop {
    uint64_t lsn;
    char *backup_label;   /* owned; to be stored byte by byte */
    char *tablespace_map; /* owned; NULL without tablespaces */
    int64_t time;         /* the server's clock, just after */
};
/* Does not wait for the archive. 0, or -1 after logging. */
int session_stop_backup(struct server *server, struct session_stop *stop);
void session_stop_free(struct session_stop *stop); /* NULL-safe */

/* Where the next WAL record will be written. context: the struct server. 0, or -1 after logging. */
int session_insert_lsn(void *context, uint64_t *lsn);

/* Is the session alive? 0, or -1 after logging. */
int session_check(struct server *server);

/* OIDs and names of tablespaces: two columns. */
int session_tablespaces(struct server *server, struct server_rows *rows);

/* Files that the configuration was read from, as far as this user may know them: one column. */
int session_configuration_files(struct server *server, unsigned major, struct server_rows *rows);

/* What pg_stat_archiver says, for a message: new string, caller frees; NULL when it cannot be asked. */
char *session_describe_archiver(struct server *server);

#endif
