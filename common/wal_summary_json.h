/* What a segment's records say of time, as the member "records" has it: of a WAL object's trailer, and of the
 * lines of a log's index. Layer 1. Format: docs/format.md. */
#ifndef WALFERRY_WAL_SUMMARY_JSON_H
#define WALFERRY_WAL_SUMMARY_JSON_H

#include "json.h"
#include "wal_summary.h"

/* A new object; failures are remembered, see json.h. */
struct json *wal_summary_to_json(const struct wal_summary *summary);

/* False where a member is missing or malformed. */
bool wal_summary_from_json(const struct json *records, struct wal_summary *summary);

#endif
