#include "verify_plan.h"

#include "common/log.h"
#include "common/timestamp.h"
#include "verify_folders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIT_BACKUP "base-"
#define UNIT_WAL "wal-"
#define LOG_NAME_LENGTH 16

char *verify_unit_folder(const struct verify_unit *unit)
{
    return unit->kind == &verify_wal_file ? string_printf("wal/%s", unit->name + strlen(UNIT_WAL))
                                          : string_copy(unit->name);
}

static struct verify_unit *add_unit(struct verify_plan *plan, const char *kind, const char *name)
{
    struct verify_unit *grown = realloc(plan->units, (plan->count + 1) * sizeof *grown);

    if (grown == NULL) {
        log_out_of_memory();
        return NULL;
    }
    plan->units = grown;
    grown += plan->count++;
    *grown = (struct verify_unit){.bytes = 0};
    snprintf(grown->name, sizeof grown->name, "%s%s", kind, name);
    return grown;
}

static int add_backups(const struct verify *verify, struct verify_plan *plan)
{
    for (size_t i = 0; i < verify->backup_count && !verify->settings->is_wal; i++) {
        const struct backup *backup = &verify->backups[i].backup;
        if (!verify->backups[i].is_selected)
            continue;
        struct verify_unit *unit = add_unit(plan, UNIT_BACKUP, backup->id);
        if (unit == NULL)
            return -1;
        unit->backup = backup;
        unit->bytes = backup->stored_bytes + backup->files_bytes;
    }
    return 0;
}

/* They mostly come in order. */
static int add_log(const struct verify *verify, struct verify_plan *plan, uint32_t timeline, uint64_t number,
                   uint64_t bytes)
{
    struct verify_unit *unit = plan->count == 0 ? NULL : &plan->units[plan->count - 1];
    char name[WAL_SEGMENT_NAME_BYTES];

    wal_segment_name(timeline, number, verify->system->segment_bytes, name);
    name[LOG_NAME_LENGTH] = '\0';
    if (unit == NULL || unit->kind == NULL || strcmp(unit->name + strlen(UNIT_WAL), name) != 0)
        unit = add_unit(plan, UNIT_WAL, name);
    if (unit == NULL)
        return -1;
    unit->kind = &verify_wal_file;
    unit->bytes += bytes;
    return 0;
}

/* The folders of the archive's files. */
static int add_logs(const struct verify *verify, struct verify_plan *plan)
{
    int result = 0;

    for (size_t i = 0; i < verify->archive.count; i++) {
        const struct archive_timeline *timeline = &verify->archive.timelines[i];
        for (size_t k = 0; k < timeline->count && result == 0; k++)
            result = add_log(verify, plan, timeline->timeline, timeline->segments[k].number,
                             timeline->segments[k].stored_bytes);
        for (size_t k = 0; k < timeline->partial_count && result == 0; k++)
            result = add_log(verify, plan, timeline->timeline, timeline->partials[k], 0);
        for (size_t k = 0; k < timeline->gap_count && result == 0; k++)
            result = add_log(verify, plan, timeline->timeline, timeline->gaps[k].first, 0);
    }
    return result;
}

static int add_folders(const struct verify *verify, struct verify_plan *plan)
{
    for (size_t i = 0; i < VERIFY_FOLDERS; i++) {
        const struct verify_kind *kind = verify_folder_kind(i);
        if (verify->folders[i].objects == 0)
            continue;
        struct verify_unit *unit = add_unit(plan, "", kind->folder);
        if (unit == NULL)
            return -1;
        unit->name[strlen(unit->name) - 1] = '\0'; /* the slash */
        unit->kind = kind;
        unit->bytes = verify->folders[i].bytes;
    }
    return 0;
}

/* What reports/ tells of them */

static int compare_names(const void *left, const void *right)
{
    return strcmp(((const struct verify_unit *)left)->name, ((const struct verify_unit *)right)->name);
}

/* One of each name: a log that has segments has its other files, too. */
static void merge_same(struct verify_plan *plan)
{
    size_t kept = 0;

    for (size_t i = 0; i < plan->count; i++)
        if (kept > 0 && strcmp(plan->units[kept - 1].name, plan->units[i].name) == 0)
            plan->units[kept - 1].bytes += plan->units[i].bytes;
        else
            plan->units[kept++] = plan->units[i];
    plan->count = kept;
}

static bool take_report(void *context, const struct verified *verified)
{
    struct verify_plan *plan = context;
    struct verify_unit key = {.bytes = 0}, *unit;

    snprintf(key.name, sizeof key.name, "%s", verified->unit);
    unit =
        plan->count == 0 ? NULL : bsearch(&key, plan->units, plan->count, sizeof *plan->units, compare_names);
    if (unit != NULL) {
        verified_take(&unit->known, verified, plan->now);
        memcpy(unit->last, unit->known.last, sizeof unit->last);
    }
    return true;
}

static int compare_turns(const void *left, const void *right)
{
    const struct verify_unit *a = left, *b = right;

    if ((*a->last != '\0') != (*b->last != '\0'))
        return *a->last != '\0' ? -1 : 1;
    if (a->known.time != b->known.time)
        return a->known.time < b->known.time ? -1 : 1;
    return strcmp(a->name, b->name);
}

int verify_plan_make(struct verify *verify, struct verify_plan *plan)
{
    *plan = (struct verify_plan){.now = store_now(verify->repository->store)};
    if (add_backups(verify, plan) != 0 || (!verify_is_narrow(verify->settings) &&
                                           (add_logs(verify, plan) != 0 || add_folders(verify, plan) != 0)))
        return -1;
    if (plan->count > 1)
        qsort(plan->units, plan->count, sizeof *plan->units, compare_names);
    merge_same(plan);
    if (verified_list(verify->repository, verify->system->system_identifier, take_report, plan) !=
        REPOSITORY_OK)
        return -1;
    if (plan->count > 1)
        qsort(plan->units, plan->count, sizeof *plan->units, compare_turns);
    for (size_t i = 0; i < plan->count; i++)
        plan->bytes += plan->units[i].bytes;
    return 0;
}

void verify_plan_free(struct verify_plan *plan)
{
    free(plan->units);
    *plan = (struct verify_plan){.units = NULL};
}

static void tell_known(struct verify *verify, const struct verify_unit *unit)
{
    char time[TIMESTAMP_TEXT_BYTES], *folder = unit->kind == NULL ? NULL : verify_unit_folder(unit);

    timestamp_format(verified_damaged(&unit->known), time);
    findings_add(verify->findings, FINDING_DAMAGED, unit->name,
                 "%s \"%s\" in repository \"%s\" was found damaged at %s, and has not been verified since",
                 unit->backup != NULL ? "backup" : "what lies in",
                 unit->backup != NULL ? unit->backup->id
                 : folder != NULL     ? folder
                                      : unit->name,
                 verify->repository->settings->name, time);
    free(folder);
}

/* What was found in this run is told by itself. */
static bool is_read_anew(const struct verify_unit *unit)
{
    return unit->is_done && verified_takes_back(&unit->known, unit->last);
}

void verify_plan_tell_known(struct verify *verify, const struct verify_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct verify_unit *unit = &plan->units[i];
        if (verified_damaged(&unit->known) != 0 && !is_read_anew(unit))
            tell_known(verify, unit);
    }
}
