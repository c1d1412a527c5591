#include "verify.h"

#include "common/digest.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "common/wal_index_fill.h"
#include "verify_backups.h"
#include "verify_folders.h"
#include "verify_orphans.h"
#include "verify_plan.h"
#include "verify_read.h"
#include "verify_wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool verify_is_narrow(const struct verify_settings *settings)
{
    return settings->backup != NULL || settings->sample > 0;
}

/* Which backups */

/* Each has the same chance. 0, or -1 after logging. */
static int select_sample(struct verify *verify)
{
    uint64_t wanted = verify->settings->sample, random;

    for (size_t i = 0; i < verify->backup_count; i++) {
        if (random_bytes(&random, sizeof random) != 0)
            return -1;
        verify->backups[i].is_selected = random % (verify->backup_count - i) < wanted;
        wanted -= verify->backups[i].is_selected;
    }
    return 0;
}

static int select_backups(struct verify *verify)
{
    const char *id = verify->settings->backup;
    bool is_latest = id != NULL && strcmp(id, "latest") == 0;

    if (verify->settings->sample > 0)
        return select_sample(verify);
    for (size_t i = 0; i < verify->backup_count; i++)
        verify->backups[i].is_selected = id == NULL || (is_latest && i + 1 == verify->backup_count) ||
                                         strcmp(id, verify->backups[i].backup.id) == 0;
    return 0;
}

static bool has_selected(const struct verify *verify)
{
    for (size_t i = 0; i < verify->backup_count; i++)
        if (verify->backups[i].is_selected)
            return true;
    return false;
}

/* Limits */

struct verify_budget verify_budget(const struct verify_settings *settings, size_t repositories)
{
    struct verify_budget budget = {settings->max_bytes != 0, settings->max_bytes, 0, repositories};

    if (settings->max_seconds != 0)
        budget.deadline = monotonic_now() + (int64_t)settings->max_seconds * 1000000;
    return budget;
}

/* One of so many. */
static struct verify_budget share_of(const struct verify_budget *budget, size_t sharers)
{
    struct verify_budget share = *budget;
    int64_t now = monotonic_now();

    share.bytes /= sharers;
    if (share.deadline > now)
        share.deadline = now + (share.deadline - now) / (int64_t)sharers;
    return share;
}

static void spend(struct verify_budget *budget, uint64_t bytes)
{
    budget->bytes -= bytes < budget->bytes ? bytes : budget->bytes;
}

/* One system */

static int read_all(struct verify *verify, struct verify_plan *plan)
{
    progress_begin(verify->progress, plan->bytes);
    int result = verify_read(verify, plan);
    progress_end(verify->progress);
    return result;
}

/* Behind what listings tell: what was read, now or before. */
static int verify_content(struct verify *verify)
{
    struct verify_plan plan;
    int result = verify_plan_make(verify, &plan);

    if (result == 0 && verify->settings->is_full)
        result = read_all(verify, &plan);
    if (result == 0)
        verify_plan_tell_known(verify, &plan);
    verify_plan_free(&plan);
    return result;
}

static int verify_system(struct verify *verify)
{
    const struct verify_settings *settings = verify->settings;

    if (verify_backups_load(verify) != 0 || select_backups(verify) != 0)
        return -1;
    if (settings->backup != NULL && !has_selected(verify))
        return 0;
    if (!settings->is_wal && verify_backups(verify) != 0)
        return -1;
    if (verify_wal_load(verify) != 0 || verify_wal(verify) != 0)
        return -1;
    if (!verify_is_narrow(settings) && verify_folders(verify) != 0)
        return -1;
    if (!settings->is_wal && !verify_is_narrow(settings) && verify_orphans(verify) != 0)
        return -1;
    return verify_content(verify);
}

/* All of a repository's systems, the newest first: "latest" is of the newest one that has any. */

struct totals {
    uint64_t backups, segments, objects, bytes;
    bool is_cut_short, is_found;
};

static void add_totals(struct totals *totals, const struct verify *verify)
{
    totals->backups += verify->backups_done;
    totals->segments += verify->segments_done;
    totals->objects += verify->objects_read;
    totals->bytes += verify->bytes_read;
    totals->is_cut_short = totals->is_cut_short || verify->is_cut_short;
    totals->is_found = totals->is_found || has_selected(verify);
}

static int verify_systems(struct repository *repository, const struct verify *model, struct totals *totals)
{
    const struct cluster *cluster = &repository->cluster;
    struct verify_budget budget = model->budget;
    bool is_latest = model->settings->backup != NULL && strcmp(model->settings->backup, "latest") == 0;
    int result = 0;

    for (size_t i = cluster->generation_count; i > 0 && result == 0; i--) {
        struct verify verify = *model;
        verify.system = &cluster->generations[i - 1];
        verify.budget = share_of(&budget, i);
        result = verify_system(&verify);
        spend(&budget, verify.bytes_read);
        add_totals(totals, &verify);
        wal_archive_close(&verify.archive);
        verify_backups_free(&verify);
        if (is_latest && totals->is_found)
            break;
    }
    return result;
}

static void tell(const struct repository *repository, const struct verify_settings *settings,
                 const struct findings *findings, const struct totals *totals)
{
    char bytes[32], read[96] = "";

    progress_format_bytes(totals->bytes, bytes);
    if (settings->is_full)
        snprintf(read, sizeof read, "; %" PRIu64 " objects, %s, read%s", totals->objects, bytes,
                 totals->is_cut_short ? " up to the limit" : "");
    log_info("repository \"%s\": %" PRIu64 " backups and %" PRIu64 " segments looked at%s; %" PRIu64
             " errors, %" PRIu64 " orphans",
             repository->settings->name, totals->backups, totals->segments, read, findings->errors,
             findings->orphans);
}

static void fill_json(struct json *json, const struct findings *findings, const struct totals *totals)
{
    json_set_uint(json, "backups", totals->backups);
    json_set_uint(json, "segments", totals->segments);
    json_set_uint(json, "objects_read", totals->objects);
    json_set_uint(json, "bytes_read", totals->bytes);
    json_set_bool(json, "cut_short", totals->is_cut_short);
    json_set_uint(json, "errors", findings->errors);
    json_set_uint(json, "orphans", findings->orphans);
}

static int load_cluster(struct repository *repository, struct findings *findings)
{
    enum repository_result result = repository_load_cluster(repository, 0);
    char *key = result == REPOSITORY_DAMAGED ? repository_cluster_key(repository) : NULL;

    if (key != NULL)
        findings_add_logged(findings, FINDING_DAMAGED, key);
    free(key);
    return result == REPOSITORY_OK ? 0 : -1;
}

int verify_repository(struct repository *repository, const struct verify_settings *settings,
                      struct verify_budget *budget, struct findings *findings, struct progress *progress,
                      struct json *json)
{
    struct verify model = {.settings = settings,
                           .repository = repository,
                           .findings = findings,
                           .progress = progress,
                           .budget = share_of(budget, budget->sharers)};
    struct totals totals = {.backups = 0};
    struct rate rate;

    budget->sharers--;
    if (load_cluster(repository, findings) != 0) {
        fill_json(json, findings, &totals);
        return -1;
    }
    rate_init(&rate, settings->max_rate);
    model.rate = &rate;
    int result = verify_systems(repository, &model, &totals);
    rate_destroy(&rate);
    spend(budget, totals.bytes);
    if (result == 0 && settings->is_full && !verify_is_narrow(settings) && !totals.is_cut_short)
        wal_index_fill_all(repository, wal_index_fill_deadline(), true);
    if (result == 0 && settings->backup != NULL && !totals.is_found)
        findings_add(findings, FINDING_MISSING, settings->backup,
                     "repository \"%s\" has no complete backup \"%s\"", repository->settings->name,
                     settings->backup);
    fill_json(json, findings, &totals);
    if (result == 0)
        tell(repository, settings, findings, &totals);
    return result;
}
