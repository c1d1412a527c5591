#include "wal_check.h"

#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void wal_check_begin(struct wal_check *check, const char *name, uint64_t system_identifier,
                     uint32_t segment_bytes)
{
    *check = (struct wal_check){
        .name = name, .system_identifier = system_identifier, .segment_bytes = segment_bytes};
}

static int take_bytes(void *context, const void *data, size_t length)
{
    struct wal_check *check = context;

    if (check->bytes < sizeof check->header) {
        size_t room = sizeof check->header - (size_t)check->bytes;
        memcpy(check->header + check->bytes, data, length < room ? length : room);
    }
    check->bytes += length;
    return 0;
}

struct sink wal_check_sink(struct wal_check *check)
{
    return (struct sink){take_bytes, check};
}

static bool begins_its_segment(const struct wal_check *check, const struct wal_name *name)
{
    struct wal_page page;
    uint64_t number;

    return check->bytes >= sizeof check->header &&
           wal_page_parse(check->header, sizeof check->header, &page) &&
           wal_segment_number(name, check->segment_bytes, &number) &&
           page.system_identifier == check->system_identifier && page.segment_bytes == check->segment_bytes &&
           page.address == number * check->segment_bytes;
}

/* A .partial of other content than the first has the beginning of its SHA-256 behind its name (rule 18). */
static bool has_its_hash(const struct wal_check *check, const struct object_facts *facts)
{
    char hex[SHA256_HEX_BYTES];

    if (strlen(check->name) <= WAL_PARTIAL_NAME_LENGTH)
        return true;
    hex_encode(facts->sha256, SHA256_BYTES, hex);
    return strncasecmp(check->name + WAL_PARTIAL_NAME_LENGTH + 1, hex, 8) == 0;
}

int wal_check_end(const struct wal_check *check, const struct object_facts *facts, const char *what)
{
    struct wal_name name = wal_name_parse(check->name);
    char content_name[WAL_NAME_BYTES];

    snprintf(content_name, sizeof content_name, "%.*s",
             name.kind == WAL_PARTIAL ? WAL_PARTIAL_NAME_LENGTH : WAL_NAME_BYTES - 1, check->name);
    if (object_facts_check(facts, wal_kind_name(name.kind), content_name, check->system_identifier, what) !=
        0)
        return -1;
    if (name.kind == WAL_PARTIAL && !has_its_hash(check, facts)) {
        log_error("%s does not hold the content whose SHA-256 its name begins with", what);
        return -1;
    }
    if (name.kind != WAL_SEGMENT && name.kind != WAL_PARTIAL)
        return 0;
    if (check->bytes != check->segment_bytes) {
        log_error("%s holds a segment of %" PRIu64 " bytes, but this cluster's have %" PRIu32, what,
                  check->bytes, check->segment_bytes);
        return -1;
    }
    if (begins_its_segment(check, &name))
        return 0;
    log_error("%s does not begin with the first page of its segment", what);
    return -1;
}
