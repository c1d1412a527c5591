/* Reports of restore drills: "reports/<time>-drill-<backup id>+<milliseconds>[.failed]". The name tells when,
 * of which backup, how long it took and whether it failed; the document, kind "drill", tells the rest and is
 * restore-drill's own. Layer 3. Format: docs/format.md. */
#ifndef WALFERRY_DRILL_REPORT_H
#define WALFERRY_DRILL_REPORT_H

#include "backup.h"

struct drill_report {
    char backup[BACKUP_ID_BYTES];
    int64_t time;          /* of its end, a timestamp */
    uint64_t milliseconds; /* from the first byte fetched to the last check; of a failed one to its end */
    bool is_failed;
};

/* The last part of the report's name below reports/, as in docs/format.md; and back: false for reports of
 * other kinds. */
#define DRILL_REPORT_NAME_BYTES (64 + BACKUP_ID_BYTES)
void drill_report_name(const struct drill_report *report, char out[DRILL_REPORT_NAME_BYTES]);
bool drill_report_parse_name(const char *name, struct drill_report *report);

/* Stores the document, which is sealed, under the report's name. 0, or -1 after logging. */
int drill_report_put(struct repository *repository, uint64_t system_identifier,
                     const struct drill_report *report, const struct buffer *document);

/* Of one system, in the order of their time. OK or FAILED; each returns false to end it. */
enum repository_result drill_report_list(struct repository *repository, uint64_t system_identifier,
                                         bool (*each)(void *context, const struct drill_report *report),
                                         void *context);

/* The document of one. Caller frees with json_free; NULL after logging. */
struct json *drill_report_get(struct repository *repository, uint64_t system_identifier,
                              const struct drill_report *report);

#endif
