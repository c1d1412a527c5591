/* What a backup asks of the server: facts, start and stop of the backup, the WAL position, names of files and
 * tablespaces. Source: PostgreSQL documentation, "Backup Control Functions" of 13 to 18. */
#ifndef WALFERRY_SESSION_H
#define WALFERRY_SESSION_H

#include "common/server.h"

#include <stdint.h>

/* Strings are owned; NULL where the server does not show them to this user. */
struct session_facts {
    uint32_t version; /* server_version_num: 150018 */
    unsigned major;
    uint64_t system_identifier;
    bool is_standby;
    bool is_archiving; /* archive_mode is not off */
    char *data_directory;
    char *config_file;
    char *hba_file;
    char *ident_file;
    char *stats_directory; /* stats_temp_directory; before 15 only */
};

/* Prepares the session (no timeouts, a safe search_path) and reads the facts. Refuses, after logging, a
 * server before 13. 0, or -1. */
int session_open(struct server *server, struct session_facts *facts);
void session_facts_free(struct session_facts *facts); /* NULL-safe */

/* Logs, and returns -1, unless the server archives WAL. */
int session_require_archiving(const struct session_facts *facts);

struct session_start {
    int64_t time; /* the server's clock, just before */
    uint64_t lsn; /* redo location of the backup's checkpoint; on a standby of its last restartpoint */
    uint32_t timeline;
};
struct session_wish {
    const char *label;
    bool fast_checkpoint;
    void (*tick)(void *context); /* several times a second: it may take as long as a checkpoint does */
    void *context;
};
int session_start_backup(struct server *server, const struct session_wish *wish,
                         struct session_start *start); /* 0, or -1 after logging */

/* Has the server keep its WAL from here on until the session ends: in a temporary replication slot. 0; 1: it
 * refuses, logged unless is_optional; -1 after logging: the session is lost. */
int session_hold_wal(struct server *server, bool is_optional);

struct session_stop {
    uint64_t lsn;
    uint32_t timeline;     /* of a standby, which may have followed its primary to another; else 0 */
    char *backup_label;    /* owned; to be stored byte by byte */
    char *tablespace_map;  /* owned; NULL without tablespaces */
    int64_t time;          /* no commit up to lsn is newer */
    int64_t covered_until; /* of a primary: no commit behind lsn is older; else 0 */
};
/* Does not wait for the archive. 0, or -1 after logging. */
int session_stop_backup(struct server *server, const struct session_facts *facts, struct session_stop *stop);
void session_stop_free(struct session_stop *stop); /* NULL-safe */

/* Where the next WAL record will be written. context: the struct server. 0, or -1 after logging. */
int session_insert_lsn(void *context, uint64_t *lsn);
/* The same for a standby: up to where it has replayed. No page on its disk is newer. */
int session_replay_lsn(void *context, uint64_t *lsn);
/* Begins the next segment, so that this one is archived. 0, or -1 after logging. */
int session_switch_wal(struct server *server);

/* What the server reads in its own pg_control: of a standby that is enough to know its data directory. */
struct session_control {
    uint64_t checkpoint_lsn;
    uint64_t minimum_recovery_lsn;
    uint32_t minimum_recovery_timeline;
};
int session_read_control(struct server *server, struct session_control *control); /* 0, or -1 after logging */

/* Is the session alive, and a standby still one? 0, or -1 after logging. */
int session_check(struct server *server, const struct session_facts *facts);

/* OIDs and names of tablespaces: two columns. */
int session_tablespaces(struct server *server, struct server_rows *rows);

/* OIDs and names of databases, also of those that let nobody in: two columns. */
int session_databases(struct server *server, struct server_rows *rows);

/* Files that the configuration was read from, as far as this user may know them: one column. */
int session_configuration_files(struct server *server, unsigned major, struct server_rows *rows);

/* What pg_stat_archiver says, for a message: new string, caller frees; NULL when it cannot be asked. */
char *session_describe_archiver(struct server *server);

#endif
