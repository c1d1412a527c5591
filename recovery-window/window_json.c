#include "window_json.h"

#include "common/document.h"
#include "common/timestamp.h"

#define HOLES_MOST 1000 /* are listed; all are counted */

static void set_segment(struct json *object, const char *name, const struct wal_archive *archive,
                        uint32_t timeline, uint64_t number)
{
    char text[WAL_SEGMENT_NAME_BYTES];

    wal_segment_name(timeline, number, archive->segment_bytes, text);
    json_set_string(object, name, text);
}

static struct json *stretch_json(const struct wal_archive *archive, const struct window_stretch *stretch)
{
    const struct archive_run *run = &stretch->run;
    struct json *object = json_new_object();

    document_set_time(object, "after", stretch->earliest);
    json_set_bool(object, "times_are_known", stretch->is_known);
    if (stretch->has_latest) {
        document_set_time(object, "before", stretch->latest);
        document_set_lsn(object, "last_commit_lsn", stretch->last_lsn);
    }
    if (stretch->covered_until != INT64_MIN)
        document_set_time(object, "covered_until", stretch->covered_until);
    json_set_string(object, "oldest_backup", stretch->first->id);
    json_set_string(object, "newest_backup", stretch->last->id);
    json_set_uint(object, "backups", stretch->backup_count);
    if (run->last >= run->first) {
        set_segment(object, "first_segment", archive, run->first_timeline, run->first);
        set_segment(object, "last_segment", archive, run->timeline, run->last);
    }
    json_set_bool(object, "ends_at_hole", run->is_hole && !stretch->is_expired);
    json_set_bool(object, "is_expired_behind", stretch->is_expired);
    if (run->is_hole)
        set_segment(object, "missing_segment", archive, run->missing_timeline, run->last + 1);
    return object;
}

static struct json *gap_json(const struct wal_archive *archive, uint32_t timeline,
                             const struct archive_gap *gap)
{
    struct json *object = json_new_object();

    set_segment(object, "first", archive, timeline, gap->first);
    set_segment(object, "last", archive, timeline, gap->last);
    json_set_uint(object, "segments", gap->last - gap->first + 1);
    return object;
}

static void set_holes(struct json *object, const struct wal_archive *archive, uint32_t timeline)
{
    static struct archive_gap holes[HOLES_MOST];
    const struct archive_timeline *found = wal_archive_timeline(archive, timeline);
    struct json *list = json_new_array(), *markers = json_new_array();
    size_t count = survey_holes(archive, timeline, holes, HOLES_MOST);

    for (size_t i = 0; i < count && i < HOLES_MOST; i++)
        json_append(list, gap_json(archive, timeline, &holes[i]));
    for (size_t i = 0; found != NULL && i < found->gap_count; i++)
        json_append(markers, gap_json(archive, timeline, &found->gaps[i]));
    json_set_uint(object, "hole_count", count);
    json_set(object, "holes", list);
    json_set(object, "gap_markers", markers);
}

static struct json *incomplete_json(const struct wal_archive *archive, const struct window *window)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < window->incomplete_count; i++) {
        struct json *item = json_new_object();
        json_set_string(item, "backup", window->incomplete[i].backup->id);
        set_segment(item, "missing_segment", archive, window->incomplete[i].timeline,
                    window->incomplete[i].missing);
        json_append(list, item);
    }
    return list;
}

static struct json *timeline_json(const struct survey_system *system, const struct window *window)
{
    const struct wal_archive *archive = &system->archive;
    struct json *object = json_new_object(), *stretches = json_new_array();

    json_set_uint(object, "timeline", window->timeline);
    json_set_bool(object, "is_latest", window->timeline == system->windows.latest);
    json_set_bool(object, "leads_to_latest", window->leads_to_latest);
    if (window->is_left) {
        json_set_uint(object, "left_by_timeline", window->by_timeline);
        document_set_lsn(object, "left_at", window->left_at);
    }
    for (size_t i = 0; i < window->count; i++)
        json_append(stretches, stretch_json(archive, &window->stretches[i]));
    json_set(object, "windows", stretches);
    json_set(object, "incomplete_backups", incomplete_json(archive, window));
    set_holes(object, archive, window->timeline);
    return object;
}

static struct json *exposure_json(const struct exposure *exposure)
{
    struct json *object = json_new_object();

    json_set_uint(object, "timeline", exposure->timeline);
    json_set_uint(object, "segments_waiting", exposure->waiting);
    json_set_uint(object, "segments_cut_off", exposure->cut_off);
    if (exposure->has_safe) {
        document_set_time(object, "newest_safe_commit", exposure->safe);
        json_set_real(object, "behind_seconds", (double)exposure_behind(exposure) / 1e6);
        json_set_real(object, "age_seconds", (double)(timestamp_now() - exposure->safe) / 1e6);
    }
    if (exposure->has_newer)
        document_set_time(object, "newest_commit_in_pg_wal", exposure->newest);
    if (exposure->has_cut_off)
        document_set_time(object, "newest_commit_cut_off", exposure->cut_off_time);
    return object;
}

static struct json *system_json(const struct survey_system *system)
{
    struct json *object = json_new_object(), *timelines = json_new_array();

    document_set_system(object, system->generation->system_identifier);
    json_set_uint(object, "postgresql_version", system->generation->postgresql_version);
    json_set_uint(object, "segment_bytes", system->generation->segment_bytes);
    json_set_uint(object, "backups", system->backup_count);
    json_set_uint(object, "segments", system->archive.segment_count);
    json_set_uint(object, "stored_bytes", system->archive.stored_bytes);
    json_set_uint(object, "latest_timeline", system->windows.latest);
    for (size_t i = 0; i < system->windows.count; i++)
        json_append(timelines, timeline_json(system, &system->windows.items[i]));
    json_set(object, "timelines", timelines);
    if (system->exposure.is_known)
        json_set(object, "server", exposure_json(&system->exposure));
    return object;
}

struct json *window_json(const struct survey *survey)
{
    struct json *object = json_new_object(), *systems = json_new_array();

    json_set_string(object, "repository", survey->settings->name);
    json_set_text(object, "url", survey->settings->url); /* a path may be any bytes */
    json_set_bool(object, "is_complete", survey->is_complete);
    for (size_t i = 0; i < survey->count; i++)
        json_append(systems, system_json(&survey->systems[i]));
    json_set(object, "systems", systems);
    return object;
}
