#include "gather_proof.h"

#include "common/json.h"
#include "common/log.h"
#include "common/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    char name[REPORT_UNIT_BYTES];
    struct verified_state state;
};

struct proof {
    const struct survey_system *system;
    bool is_newest; /* of the systems: the one that is backed up now, which alone counts as proven or not */
    struct picture_repository *picture;
    struct unit *units; /* owned; in no order */
    size_t unit_count, unit_capacity;
    size_t drill_capacity;
    int64_t now;
    bool has_failed;
};

/* Verifications */

/* NULL after logging. */
static struct unit *find_unit(struct proof *proof, const char *name)
{
    for (size_t i = proof->unit_count; i > 0; i--) /* the last ones are the likeliest */
        if (strcmp(proof->units[i - 1].name, name) == 0)
            return &proof->units[i - 1];
    if (proof->unit_count == proof->unit_capacity) {
        size_t capacity = 2 * proof->unit_capacity + 16;
        struct unit *grown = realloc(proof->units, capacity * sizeof *grown);
        if (grown == NULL) {
            log_out_of_memory();
            return NULL;
        }
        proof->units = grown;
        proof->unit_capacity = capacity;
    }
    struct unit *unit = &proof->units[proof->unit_count++];
    *unit = (struct unit){.state = {.time = 0}};
    snprintf(unit->name, sizeof unit->name, "%s", name);
    return unit;
}

static bool take_verified(void *context, const struct verified *verified)
{
    struct proof *proof = context;
    struct unit *unit = find_unit(proof, verified->unit);

    if (unit == NULL) {
        proof->has_failed = true;
        return false;
    }
    verified_take(&unit->state, verified, proof->now);
    if (proof->is_newest && *verified->last == '\0' && verified->time > proof->picture->verification_time &&
        verified->time <= proof->now + REPORT_AHEAD_MICROSECONDS)
        proof->picture->verification_time = verified->time;
    return true;
}

static struct picture_backup *find_backup(const struct proof *proof, const char *id)
{
    for (size_t i = 0; i < proof->picture->backup_count; i++)
        if (proof->picture->backups[i].system_identifier == proof->system->generation->system_identifier &&
            strcmp(proof->picture->backups[i].id, id) == 0)
            return &proof->picture->backups[i];
    return NULL;
}

/* Is any of that log's WAL still there? text: timeline and log, 16 hex digits. */
static bool has_log(const struct proof *proof, const char *text)
{
    const uint64_t per_log = wal_segments_per_log(proof->system->archive.segment_bytes);
    unsigned timeline, log;

    if (strlen(text) != 16 || sscanf(text, "%8X%8X", &timeline, &log) != 2)
        return false;
    const struct archive_timeline *found = wal_archive_timeline(&proof->system->archive, timeline);
    size_t index = found == NULL ? 0 : archive_segment_index(found, log * per_log);
    return found != NULL && index < found->count && found->segments[index].number < (log + 1) * per_log;
}

/* What is told of what is no longer there counts for nothing. */
static void judge_unit(const struct proof *proof, const struct unit *unit)
{
    bool is_damaged = verified_damaged(&unit->state) != 0;
    struct picture_backup *backup;

    if (strncmp(unit->name, "base-", 5) == 0) {
        backup = find_backup(proof, unit->name + 5);
        if (backup == NULL)
            return;
        backup->found_damaged = is_damaged;
        if (!is_damaged && unit->state.time != 0 && *unit->state.last == '\0')
            backup->verified = unit->state.time;
    } else if (strncmp(unit->name, "wal-", 4) == 0 && !has_log(proof, unit->name + 4)) {
        return;
    }
    proof->picture->damaged_units += is_damaged;
}

/* Drills */

static bool take_drill(void *context, const struct drill_report *report)
{
    struct proof *proof = context;
    struct picture_repository *picture = proof->picture;

    if (picture->drill_count == proof->drill_capacity) {
        size_t capacity = 2 * proof->drill_capacity + 16;
        struct drill_report *grown = realloc(picture->drills, capacity * sizeof *grown);
        if (grown == NULL) {
            log_out_of_memory();
            proof->has_failed = true;
            return false;
        }
        picture->drills = grown;
        proof->drill_capacity = capacity;
    }
    picture->drills[picture->drill_count++] = *report;
    return true;
}

static int describe_drill(const struct proof *proof, struct repository *repository,
                          const struct drill_report *report, struct picture_drill *drill)
{
    struct json *document =
        drill_report_get(repository, proof->system->generation->system_identifier, report);
    const char *problem = document == NULL ? NULL : json_text(document, "problem");

    *drill = (struct picture_drill){
        .time = report->time, .is_failed = report->is_failed, .milliseconds = report->milliseconds};
    snprintf(drill->backup, sizeof drill->backup, "%s", report->backup);
    if (document == NULL)
        return -1;
    drill->has_rpo = json_number(document, "rpo_seconds", &drill->rpo_seconds) == 0;
    snprintf(drill->problem, sizeof drill->problem, "%s", problem == NULL ? "" : problem);
    log_blank_control_characters(drill->problem);
    json_free(document);
    return 0;
}

/* Of those that were added behind the first so many: the last one, and the last that passed. */
static int describe_last_drills(const struct proof *proof, struct repository *repository, size_t first)
{
    struct picture_repository *picture = proof->picture;
    size_t last = picture->drill_count, good = last;

    while (good > first && picture->drills[good - 1].is_failed)
        good--;
    if (last > first &&
        describe_drill(proof, repository, &picture->drills[last - 1], &picture->last_drill) != 0)
        return -1;
    if (good > first &&
        describe_drill(proof, repository, &picture->drills[good - 1], &picture->good_drill) != 0)
        return -1;
    return 0;
}

/* The whole */

static int gather_system(struct repository *repository, struct proof *proof)
{
    uint64_t system = proof->system->generation->system_identifier;
    size_t first = proof->picture->drill_count;

    if (verified_list(repository, system, take_verified, proof) != REPOSITORY_OK ||
        drill_report_list(repository, system, take_drill, proof) != REPOSITORY_OK || proof->has_failed)
        return -1;
    for (size_t i = 0; i < proof->unit_count; i++)
        judge_unit(proof, &proof->units[i]);
    return proof->is_newest ? describe_last_drills(proof, repository, first) : 0;
}

static int by_time(const void *one, const void *other)
{
    const struct drill_report *a = one, *b = other;

    return (a->time > b->time) - (a->time < b->time);
}

int gather_proof(struct survey *survey, struct picture_repository *picture)
{
    const struct cluster *cluster = &survey->repository.cluster;
    size_t drill_capacity = 0;
    int result = 0;

    for (size_t i = 0; i < survey->count && result == 0; i++) {
        const struct survey_system *system = &survey->systems[i];
        struct proof proof = {.system = system,
                              .is_newest =
                                  system->generation == &cluster->generations[cluster->generation_count - 1],
                              .picture = picture,
                              .drill_capacity = drill_capacity,
                              .now = store_now(survey->repository.store)};
        result = gather_system(&survey->repository, &proof);
        drill_capacity = proof.drill_capacity;
        free(proof.units);
    }
    if (picture->drill_count > 0)
        qsort(picture->drills, picture->drill_count, sizeof *picture->drills, by_time);
    return result;
}
