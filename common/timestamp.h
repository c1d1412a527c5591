/* Instants in microseconds since 1970-01-01 00:00:00 UTC. Layer 0. */
#ifndef WALFERRY_TIMESTAMP_H
#define WALFERRY_TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

#define TIMESTAMP_TEXT_BYTES 48

int64_t timestamp_now(void);
/* Monotonic, for durations and deadlines only. */
int64_t monotonic_now(void);

enum timestamp_result { TIMESTAMP_OK, TIMESTAMP_NO_OFFSET, TIMESTAMP_MALFORMED };

/* "2026-11-20 14:29:59.123456+01", with T instead of the blank, seconds and fraction optional, offset Z, UTC,
 * +HH, +HHMM or +HH:MM; -infinity and words like "yesterday" are malformed. TIMESTAMP_NO_OFFSET: well formed,
 * but the offset is missing; *value is then the instant as if it were UTC. Impossible dates (February 30th)
 * are malformed. */
enum timestamp_result timestamp_parse(const char *text, int64_t *value);

/* "2026-11-20 14:29:59.123456+00", which PostgreSQL reads back exactly. */
void timestamp_format(int64_t value, char out[TIMESTAMP_TEXT_BYTES]);
/* "2026-11-20T14:29:59Z", whole seconds (rounded down): JSON and people. */
void timestamp_format_iso(int64_t value, char out[TIMESTAMP_TEXT_BYTES]);
/* "2026-11-20T14:29:59.123456Z". */
void timestamp_format_iso_micros(int64_t value, char out[TIMESTAMP_TEXT_BYTES]);
/* "20261120T142959Z": backup ids and SigV4. */
void timestamp_format_compact(int64_t value, char out[TIMESTAMP_TEXT_BYTES]);

#endif
