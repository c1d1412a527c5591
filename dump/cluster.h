/* What dump-push asks of the server. */
#ifndef WALFERRY_DUMP_CLUSTER_H
#define WALFERRY_DUMP_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cluster_database {
    uint32_t oid;
    char *name;
    bool is_template, takes_sessions;
};

struct cluster_facts {
    uint32_t server_version;
    uint64_t system_identifier;
    bool is_standby, shows_passwords;   /* this user may read them */
    char *session_database;             /* which conninfo leads to */
    struct cluster_database *databases; /* by oid */
    size_t database_count;
};
/* 0, or -1 after logging. cluster_facts_free in any case. */
int cluster_facts_read(const char *conninfo, struct cluster_facts *facts);
void cluster_facts_free(struct cluster_facts *facts);

/* The server's clock now, in a session of its own: nothing is left open for hours. 0, or -1 after logging. */
int cluster_clock(const char *conninfo, int64_t *time);
/* The same, of what the server has: a standby has only what it has replayed. */
int cluster_committed(const char *conninfo, int64_t *time);

#endif
