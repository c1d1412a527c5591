#include "primary.h"

#include "common/log.h"
#include "session.h"

#include <inttypes.h>

static int accept(const struct primary *primary, const struct session_facts *facts)
{
    if (facts->system_identifier != primary->system_identifier) {
        log_error("the server that primary_conninfo leads to has the system identifier %" PRIu64
                  ", but the standby has %" PRIu64,
                  facts->system_identifier, primary->system_identifier);
        log_hint("primary_conninfo in section [cluster] of the configuration must lead to the primary of the "
                 "standby that conninfo leads to.");
        return -1;
    }
    if (facts->is_standby) {
        log_error("the server that primary_conninfo leads to is a standby itself");
        log_hint(
            "With several hosts in primary_conninfo, target_session_attrs=read-write finds the primary.");
        return -1;
    }
    return session_require_archiving(facts);
}

/* Caller closes; NULL after logging. */
static struct server *open_primary(const struct primary *primary)
{
    struct server *server = server_connect("primary_conninfo", primary->conninfo);
    struct session_facts facts;

    if (server == NULL)
        return NULL;
    if (session_open(server, &facts) == 0) {
        int result = accept(primary, &facts);
        session_facts_free(&facts);
        if (result == 0)
            return server;
    }
    server_close(server);
    return NULL;
}

int primary_check(const struct primary *primary)
{
    struct server *server = open_primary(primary);

    server_close(server);
    return server == NULL ? -1 : 0;
}

int primary_complete_segment(const struct primary *primary, uint64_t stop_lsn, uint32_t segment_bytes)
{
    struct server *server = open_primary(primary);
    uint64_t lsn;
    int result = -1;

    if (server == NULL)
        return -1;
    if (session_insert_lsn(server, &lsn) == 0)
        result = (lsn - 1) / segment_bytes > (stop_lsn - 1) / segment_bytes ? 0 : session_switch_wal(server);
    server_close(server);
    return result;
}
