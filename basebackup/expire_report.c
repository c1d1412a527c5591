#include "expire_report.h"

#include "common/document.h"
#include "common/progress.h"
#include "common/timestamp.h"
#include "list_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define REASONS_BYTES 256

struct expire_totals expire_totals(const struct retention *retention)
{
    struct expire_totals totals = {0};

    for (size_t i = 0; i < retention->backup_count; i++) {
        const struct retention_backup *backup = &retention->backups[i];
        if (backup->state == RETENTION_UNFINISHED)
            totals.unfinished += backup->reasons == 0;
        else if (backup->reasons != 0)
            totals.backups_kept++;
        else
            totals.backups++;
        if (backup->reasons == 0)
            totals.backup_bytes += backup->stored_bytes;
    }
    for (size_t i = 0; i < retention->generation_count; i++)
        for (size_t k = 0; k < retention->generations[i].timeline_count; k++) {
            const struct retention_timeline *timeline = &retention->generations[i].timelines[k];
            for (size_t s = 0; s < timeline->span_count; s++)
                if (!timeline->spans[s].stays) {
                    totals.segments += timeline->spans[s].segments;
                    totals.wal_bytes += timeline->spans[s].stored_bytes;
                }
        }
    return totals;
}

/* For people */

/* "keep_daily, pinned" */
static void format_reasons(unsigned reasons, unsigned count, const char *(*name)(unsigned), char *out)
{
    size_t length = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < count; i++)
        if (reasons & 1u << i)
            length += (size_t)snprintf(out + length, REASONS_BYTES - length, "%s%s", length > 0 ? ", " : "",
                                       name(1u << i));
}

static void format_duration(uint64_t seconds, char out[LIST_CELL_BYTES])
{
    static const struct {
        const char *name;
        unsigned seconds;
    } units[] = {{"day", 86400}, {"hour", 3600}, {"minute", 60}};
    size_t i = 0;

    while (i < 2 && seconds % units[i].seconds != 0)
        i++;
    uint64_t number = seconds / units[i].seconds;
    snprintf(out, LIST_CELL_BYTES, "%" PRIu64 " %s%s", number, units[i].name, number == 1 ? "" : "s");
}

static void print_policy(const struct retention_policy *policy)
{
    const struct {
        const char *name;
        uint64_t seconds;
        unsigned number;
    } keys[] = {{"keep_wal", policy->keep_wal_seconds, 0}, {"keep_for", policy->keep_for_seconds, 0},
                {"keep_last", 0, policy->keep_last},       {"keep_daily", 0, policy->keep_daily},
                {"keep_weekly", 0, policy->keep_weekly},   {"keep_monthly", 0, policy->keep_monthly},
                {"keep_yearly", 0, policy->keep_yearly}};
    const char *comma = "  policy: ";
    char text[LIST_CELL_BYTES];

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (keys[i].seconds != 0) {
            format_duration(keys[i].seconds, text);
            printf("%s%s %s", comma, keys[i].name, text);
        } else if (keys[i].number != 0) {
            printf("%s%s %u", comma, keys[i].name, keys[i].number);
        } else {
            continue;
        }
        comma = ", ";
    }
    putchar('\n');
}

/* What follows "locked". */
static void format_lock(const struct store_lock *lock, char out[LIST_CELL_BYTES])
{
    char until[TIMESTAMP_TEXT_BYTES];

    out[0] = '\0';
    if (lock->is_legal_hold) {
        snprintf(out, LIST_CELL_BYTES, " by a legal hold");
    } else if (lock->is_locked) {
        timestamp_format_iso(lock->until, until);
        snprintf(out, LIST_CELL_BYTES, " until %s", until);
    }
}

static void print_backup(const struct retention_backup *backup)
{
    char time[LIST_CELL_BYTES], bytes[32], reasons[REASONS_BYTES], until[LIST_CELL_BYTES];
    const char *state = "ended";

    if (backup->state == RETENTION_DAMAGED)
        state = "damaged, began";
    else if (backup->state == RETENTION_UNFINISHED)
        state = "unfinished, began";
    list_format_time(backup->stop_time, time);
    progress_format_bytes(backup->stored_bytes, bytes);
    format_reasons(backup->reasons, RETENTION_REASONS, retention_reason_name, reasons);
    format_lock(&backup->lock, until);
    printf("  %-5s  backup %s, %s %s%s%s%s%s%s%s%s\n", backup->reasons == 0 ? "goes" : "stays", backup->id,
           state, time, backup->state == RETENTION_COMPLETE ? ", " : "",
           backup->state == RETENTION_COMPLETE ? bytes : "",
           backup->state == RETENTION_COMPLETE && !backup->has_wal ? ", its WAL is incomplete" : "",
           backup->found_damaged ? ", it was found damaged" : "", backup->reasons != 0 ? ": " : "", reasons,
           until);
}

/* "up to LAST", "FIRST to LAST" or "FIRST to the end" */
static void format_span(const struct retention_generation *generation, uint32_t timeline,
                        const struct retention_span *span, char out[LIST_CELL_BYTES])
{
    char first[WAL_SEGMENT_NAME_BYTES], last[WAL_SEGMENT_NAME_BYTES] = "the end";

    wal_segment_name(timeline, span->first, generation->segment_bytes, first);
    if (span->last != UINT64_MAX)
        wal_segment_name(timeline, span->last, generation->segment_bytes, last);
    if (span->first == 0)
        snprintf(out, LIST_CELL_BYTES, "up to %s", last);
    else
        snprintf(out, LIST_CELL_BYTES, "%s to %s", first, last);
}

static void print_span(const struct retention_generation *generation, uint32_t timeline,
                       const struct retention_span *span)
{
    char names[LIST_CELL_BYTES], bytes[32], reasons[REASONS_BYTES];

    format_span(generation, timeline, span, names);
    progress_format_bytes(span->stored_bytes, bytes);
    format_reasons(span->reasons, RETENTION_WAL_REASONS, retention_wal_reason_name, reasons);
    printf("  %-5s  WAL of timeline %u %s, %" PRIu64 " segments, %s%s%s%s%s%s\n",
           span->stays ? "stays" : "goes", (unsigned)timeline, names, span->segments, bytes,
           span->stays ? ": " : "", reasons, span->backup != NULL ? " (" : "",
           span->backup != NULL ? span->backup->id : "", span->backup != NULL ? ")" : "");
}

static void print_generation(const struct retention *retention, size_t index)
{
    const struct retention_generation *generation = &retention->generations[index];

    if (retention->generation_count > 1)
        printf("  system %" PRIu64 ":\n", generation->system_identifier);
    for (size_t i = 0; i < retention->backup_count; i++)
        if (retention->backups[i].generation == index)
            print_backup(&retention->backups[i]);
    for (size_t i = 0; i < generation->timeline_count; i++) {
        const struct retention_timeline *timeline = &generation->timelines[i];
        for (size_t s = 0; s < timeline->span_count; s++)
            if (timeline->spans[s].segments > 0)
                print_span(generation, timeline->archive->timeline, &timeline->spans[s]);
    }
}

static void print_leftover(const struct leftover *leftover)
{
    static const char *const reasons[] = {"never finished", "younger than orphan_age",
                                          "its backup is unfinished"};
    bool is_upload = *leftover->upload_id != '\0';
    char time[LIST_CELL_BYTES];

    list_format_time(leftover->begun, time);
    printf("  %-5s  %s %s, %s %s: %s\n", leftover->verdict == LEFTOVER_GOES ? "goes" : "stays",
           is_upload ? "upload to" : "temporary file", leftover->key, is_upload ? "begun" : "last written to",
           time, reasons[leftover->verdict]);
}

void expire_print_plan(const struct expire_plan *plan)
{
    const struct retention *retention = &plan->holdings.retention;
    const struct repository_config *settings = plan->holdings.repository->settings;
    struct expire_totals totals = expire_totals(retention);
    char now[LIST_CELL_BYTES], backup_bytes[32], wal_bytes[32];

    list_format_time(retention->now, now);
    progress_format_bytes(totals.backup_bytes, backup_bytes);
    progress_format_bytes(totals.wal_bytes, wal_bytes);
    printf("repository %s (%s), at %s UTC\n", settings->name, settings->url, now);
    print_policy(retention->policy);
    for (size_t i = 0; i < retention->generation_count; i++)
        print_generation(retention, i);
    for (size_t i = 0; i < plan->leftovers.count; i++)
        print_leftover(&plan->leftovers.items[i]);
    printf("  %" PRIu64 " backups (%s), %" PRIu64 " unfinished ones and %" PRIu64
           " segments of WAL (%s) go; %" PRIu64 " backups stay\n",
           totals.backups, backup_bytes, totals.unfinished, totals.segments, wal_bytes, totals.backups_kept);
}

/* For programs */

static void set_verdict(struct json *object, bool stays, unsigned reasons, unsigned count,
                        const char *(*name)(unsigned))
{
    struct json *array = json_new_array();

    json_set_bool(object, "stays", stays);
    for (unsigned i = 0; i < count; i++)
        if (reasons & 1u << i)
            json_append_string(array, name(1u << i));
    json_set(object, "reasons", array);
}

static struct json *backup_json(const struct retention *retention, const struct retention_backup *backup)
{
    static const char *const states[] = {"complete", "damaged", "unfinished", "removed"};
    struct json *object = json_new_object();

    json_set_string(object, "id", backup->id);
    document_set_system(object, retention->generations[backup->generation].system_identifier);
    json_set_string(object, "state", states[backup->state]);
    document_set_time(object, backup->state == RETENTION_COMPLETE ? "stop_time" : "start_time",
                      backup->stop_time);
    json_set_uint(object, "stored_bytes", backup->stored_bytes);
    json_set_bool(object, "has_wal", backup->has_wal);
    json_set_bool(object, "found_damaged", backup->found_damaged);
    if (backup->lock.is_locked && !backup->lock.is_legal_hold)
        document_set_time(object, "locked_until", backup->lock.until);
    set_verdict(object, backup->reasons != 0, backup->reasons, RETENTION_REASONS, retention_reason_name);
    return object;
}

static struct json *span_json(const struct retention_generation *generation, uint32_t timeline,
                              const struct retention_span *span)
{
    struct json *object = json_new_object();
    char name[WAL_SEGMENT_NAME_BYTES];

    document_set_system(object, generation->system_identifier);
    json_set_uint(object, "timeline", timeline);
    wal_segment_name(timeline, span->first, generation->segment_bytes, name);
    json_set_string(object, "first", name);
    if (span->last != UINT64_MAX)
        wal_segment_name(timeline, span->last, generation->segment_bytes, name);
    json_set_string(object, "last", span->last == UINT64_MAX ? NULL : name);
    json_set_uint(object, "segments", span->segments);
    json_set_uint(object, "stored_bytes", span->stored_bytes);
    json_set_string(object, "backup", span->backup == NULL ? NULL : span->backup->id);
    set_verdict(object, span->stays, span->reasons, RETENTION_WAL_REASONS, retention_wal_reason_name);
    return object;
}

static struct json *leftover_json(const struct leftover *leftover)
{
    static const char *const reasons[] = {"", "young", "unfinished"};
    struct json *object = json_new_object();

    json_set_text(object, "object", leftover->key);
    json_set_text(object, "upload_id", *leftover->upload_id == '\0' ? NULL : leftover->upload_id);
    json_set_uint(object, "stored_bytes", leftover->bytes);
    document_set_time(object, "begun", leftover->begun);
    json_set_bool(object, "stays", leftover->verdict != LEFTOVER_GOES);
    json_set_string(object, "reason", leftover->verdict == LEFTOVER_GOES ? NULL : reasons[leftover->verdict]);
    return object;
}

void expire_fill_json(struct json *object, const struct expire_plan *plan)
{
    const struct retention *retention = &plan->holdings.retention;
    struct json *backups = json_new_array(), *wal = json_new_array(), *leftovers = json_new_array();

    document_set_time(object, "now", retention->now);
    json_set_bool(object, "is_stale", retention->is_stale);
    json_set_uint(object, "damaged", plan->holdings.damaged);
    for (size_t i = 0; i < retention->backup_count; i++)
        json_append(backups, backup_json(retention, &retention->backups[i]));
    for (size_t i = 0; i < retention->generation_count; i++) {
        const struct retention_generation *generation = &retention->generations[i];
        for (size_t k = 0; k < generation->timeline_count; k++)
            for (size_t s = 0; s < generation->timelines[k].span_count; s++)
                json_append(wal, span_json(generation, generation->timelines[k].archive->timeline,
                                           &generation->timelines[k].spans[s]));
    }
    for (size_t i = 0; i < plan->leftovers.count; i++)
        json_append(leftovers, leftover_json(&plan->leftovers.items[i]));
    json_set(object, "backups", backups);
    json_set(object, "wal", wal);
    json_set(object, "unfinished", leftovers);
}
