#include "wal_summary_json.h"

#include "base64.h"
#include "document.h"
#include "timestamp.h"

#include <string.h>

/* How many bytes of its record an edge has. */
static size_t head_bytes(const struct wal_edge *edge)
{
    return edge->length < WAL_EDGE_BYTES ? edge->length : WAL_EDGE_BYTES;
}

/* Writing */

static void set_times(struct json *records, const struct wal_summary *summary)
{
    struct json *times = json_new_array();
    char text[TIMESTAMP_TEXT_BYTES];

    timestamp_format_iso_micros(summary->least_time, text);
    json_append_string(times, text);
    timestamp_format_iso_micros(summary->most_time, text);
    json_append_string(times, text);
    json_set(records, "times", times);
}

static void set_xids(struct json *records, const struct wal_summary *summary)
{
    if (!summary->xids_are_known) {
        json_set_string(records, "xids", NULL);
    } else if (summary->least_xid != 0) {
        struct json *xids = json_new_array();
        json_append_uint(xids, summary->least_xid);
        json_append_uint(xids, summary->most_xid);
        json_set(records, "xids", xids);
    }
}

static void set_edge(struct json *records, const char *name, const struct wal_edge *edge)
{
    char head[BASE64_TEXT_BYTES(WAL_EDGE_BYTES)];

    if (edge->length == 0)
        return;
    struct json *object = json_new_object();
    json_set_uint(object, "bytes", edge->length);
    if (edge->lsn != 0)
        document_set_lsn(object, "lsn", edge->lsn);
    base64_encode(edge->bytes, head_bytes(edge), head);
    json_set_string(object, "head", head);
    json_set(records, name, object);
}

struct json *wal_summary_to_json(const struct wal_summary *summary)
{
    struct json *records = json_new_object();

    json_set_bool(records, "whole", summary->is_whole);
    json_set_uint(records, "transactions", summary->transactions);
    if (summary->transactions > 0) {
        set_times(records, summary);
        document_set_lsn(records, "last_lsn", summary->last_lsn);
    }
    set_xids(records, summary);
    if (summary->restore_points > 0)
        json_set_uint(records, "restore_points", summary->restore_points);
    set_edge(records, "continued", &summary->continued);
    set_edge(records, "begun", &summary->begun);
    return records;
}

/* Reading */

static bool read_time(const struct json *times, size_t index, int64_t *time)
{
    const char *text = json_array_string(times, index);

    return text != NULL && timestamp_parse(text, time) == TIMESTAMP_OK;
}

static bool read_times(const struct json *records, struct wal_summary *summary)
{
    const struct json *times = json_list(records, "times");

    return read_time(times, 0, &summary->least_time) && read_time(times, 1, &summary->most_time) &&
           summary->least_time <= summary->most_time;
}

static bool read_xids(const struct json *records, struct wal_summary *summary)
{
    const struct json *xids = json_list(records, "xids");
    uint64_t least = 0, most = 0;

    summary->xids_are_known = xids != NULL || json_member(records, "xids") == NULL;
    if (xids != NULL && (json_array_uint(xids, 0, &least) != 0 || json_array_uint(xids, 1, &most) != 0))
        return false;
    summary->least_xid = (uint32_t)least;
    summary->most_xid = (uint32_t)most;
    return least <= UINT32_MAX && most <= UINT32_MAX;
}

/* An edge is absent where no record is cut. */
static bool read_edge(const struct json *records, const char *name, struct wal_edge *edge)
{
    const struct json *object = json_member(records, name);
    const char *head = json_text(object, "head");
    uint64_t length;

    if (object == NULL)
        return true;
    if (json_uint(object, "bytes", &length) != 0 || length == 0 || length > UINT32_MAX || head == NULL ||
        (json_member(object, "lsn") != NULL && !document_lsn(object, "lsn", &edge->lsn)))
        return false;
    edge->length = (uint32_t)length;
    return base64_decode(head, edge->bytes, head_bytes(edge));
}

bool wal_summary_from_json(const struct json *records, struct wal_summary *summary)
{
    memset(summary, 0, sizeof *summary);
    if (json_bool(records, "whole", &summary->is_whole) != 0 ||
        json_uint(records, "transactions", &summary->transactions) != 0)
        return false;
    if (summary->transactions > 0 &&
        (!read_times(records, summary) || !document_lsn(records, "last_lsn", &summary->last_lsn)))
        return false;
    if (json_member(records, "restore_points") != NULL &&
        json_uint(records, "restore_points", &summary->restore_points) != 0)
        return false;
    return read_xids(records, summary) && read_edge(records, "continued", &summary->continued) &&
           read_edge(records, "begun", &summary->begun);
}
