#include "drill_report.h"

#include "document.h"
#include "log.h"
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRILL "-drill-"
#define FAILED ".failed"

void drill_report_name(const struct drill_report *report, char out[DRILL_REPORT_NAME_BYTES])
{
    char time[REPORT_TIME_LENGTH + 1];

    report_time_format(report->time, time);
    snprintf(out, DRILL_REPORT_NAME_BYTES, "%s" DRILL "%s+%" PRIu64 "%s", time, report->backup,
             report->milliseconds, report->is_failed ? FAILED : "");
}

static char *report_key(const struct repository *repository, uint64_t system_identifier,
                        const struct drill_report *report)
{
    char name[DRILL_REPORT_NAME_BYTES + 8] = "reports/";

    drill_report_name(report, name + strlen(name));
    return repository_system_key(repository, system_identifier, name);
}

int drill_report_put(struct repository *repository, uint64_t system_identifier,
                     const struct drill_report *report, const struct buffer *document)
{
    char *key = report_key(repository, system_identifier, report);
    enum repository_result result =
        key == NULL ? REPOSITORY_FAILED : repository_put_small(repository, key, document);

    if (result == REPOSITORY_COLLISION)
        log_error("could not store a report in repository \"%s\": its name is taken",
                  repository->settings->name);
    free(key);
    return result == REPOSITORY_OK || result == REPOSITORY_IDENTICAL ? 0 : -1;
}

bool drill_report_parse_name(const char *name, struct drill_report *report)
{
    size_t begin = REPORT_TIME_LENGTH + strlen(DRILL);
    char *end;

    *report = (struct drill_report){.time = 0};
    if (strlen(name) <= begin || !report_time_parse(name, &report->time) ||
        strncmp(name + REPORT_TIME_LENGTH, DRILL, strlen(DRILL)) != 0)
        return false;
    name += begin;
    size_t length = strcspn(name, "+");
    if (length >= sizeof report->backup || name[length] == '\0' || name[length + 1] < '0' ||
        name[length + 1] > '9')
        return false;
    memcpy(report->backup, name, length);
    report->milliseconds = strtoull(name + length + 1, &end, 10);
    report->is_failed = strcmp(end, FAILED) == 0;
    return backup_id_is_valid(report->backup) && (report->is_failed || *end == '\0');
}

struct listing {
    bool (*each)(void *context, const struct drill_report *report);
    void *context;
};

static bool tell(void *context, const char *name)
{
    const struct listing *listing = context;
    struct drill_report report;

    return !drill_report_parse_name(name, &report) || listing->each(listing->context, &report);
}

enum repository_result drill_report_list(struct repository *repository, uint64_t system_identifier,
                                         bool (*each)(void *context, const struct drill_report *report),
                                         void *context)
{
    struct listing listing = {each, context};

    return report_names(repository, system_identifier, tell, &listing);
}

struct json *drill_report_get(struct repository *repository, uint64_t system_identifier,
                              const struct drill_report *report)
{
    char *key = report_key(repository, system_identifier, report);
    struct buffer text = BUFFER_EMPTY;
    struct json *document = NULL;

    if (key != NULL && repository_get_small(repository, key, NULL, &text) == REPOSITORY_OK)
        document = document_open(text.data, text.length, "drill", key);
    buffer_free(&text);
    free(key);
    return document;
}
