#include "last.h"

#include "common/drill_report.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

#define REPORTS_MOST 16 /* of a repository are looked into, from the newest on */

/* Of one repository, in the order of their time. */
struct newest {
    struct drill_report reports[REPORTS_MOST];
    size_t count;
};

static bool take(void *context, const struct drill_report *report)
{
    struct newest *newest = context;

    if (report->is_failed)
        return true;
    if (newest->count == REPORTS_MOST)
        memmove(newest->reports, newest->reports + 1, (--newest->count) * sizeof *newest->reports);
    newest->reports[newest->count++] = *report;
    return true;
}

static bool needs(const struct check_result *check)
{
    return check->parts.expectation.kind == EXPECT_NEAR_LAST;
}

static bool needs_older(const struct drill *drill, int64_t time)
{
    for (size_t i = 0; i < drill->check_count; i++)
        if (needs(&drill->checks[i]) && drill->checks[i].last_time < time)
            return true;
    return false;
}

/* 0, or -1 after logging. */
static int take_value(struct check_result *check, const char *value, int64_t time)
{
    char *copy = string_copy(value);

    if (copy == NULL)
        return -1;
    free(check->last);
    check->last = copy;
    check->last_time = time;
    return 0;
}

static int take_values(struct drill *drill, const struct json *document, int64_t time)
{
    const struct json *list = json_list(document, "checks");
    int result = 0;

    for (size_t i = 0; i < json_array_length(list); i++) {
        const struct json *item = json_array_item(list, i);
        const char *name = json_text(item, "name"), *value = json_text(item, "value");
        for (size_t k = 0; name != NULL && value != NULL && k < drill->check_count && result == 0; k++)
            if (needs(&drill->checks[k]) && strcmp(drill->checks[k].name, name) == 0 &&
                drill->checks[k].last_time < time)
                result = take_value(&drill->checks[k], value, time);
    }
    return result;
}

/* 0, or -1 after logging. */
static int look_into(struct drill *drill, struct repository *repository)
{
    uint64_t system = drill->chosen.backup->system_identifier;
    struct newest newest = {.count = 0};

    if (drill_report_list(repository, system, take, &newest) != REPOSITORY_OK)
        return -1;
    for (size_t i = newest.count; i > 0 && needs_older(drill, newest.reports[i - 1].time); i--) {
        struct json *document = drill_report_get(repository, system, &newest.reports[i - 1]);
        int result = document == NULL ? -1 : take_values(drill, document, newest.reports[i - 1].time);
        json_free(document);
        if (result != 0)
            return -1;
    }
    return 0;
}

static int look_into_other(struct drill *drill, const struct repository_config *settings)
{
    const struct store_limits limits = {.operation_seconds = drill->config->basebackup_store_timeout_seconds};
    struct repository repository;
    int result = -1;

    if (repository_open(drill->config, settings, NULL, &limits, &repository) != 0)
        return -1;
    if (repository_load_cluster_to_read(&repository) == REPOSITORY_OK)
        result = look_into(drill, &repository);
    repository_close(&repository);
    return result;
}

int last_values(struct drill *drill)
{
    struct repository *chosen = &drill->chosen.repository;

    if (!needs_older(drill, INT64_MAX))
        return 0;
    if (look_into(drill, chosen) != 0)
        return -1;
    for (size_t i = 0; i < drill->repository_count; i++)
        if (drill->repositories[i] != chosen->settings && look_into_other(drill, drill->repositories[i]) != 0)
            log_warning("what earlier drills have found is not looked for in repository \"%s\"",
                        drill->repositories[i]->name);
    return 0;
}
