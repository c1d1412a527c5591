#include "sync.h"

#include "common/json.h"
#include "common/log.h"
#include "sync_backups.h"
#include "sync_plan.h"
#include "sync_wal.h"
#include "sync_workers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Both must have been told of the system: a mistyped place must not be filled with another cluster's. */
static bool is_accepted(const struct sync *sync)
{
    uint64_t system = sync->system->system_identifier;
    const struct generation *there = cluster_generation(&sync->to->cluster, system);

    if (there == NULL)
        repository_tell_foreign(sync->to, system);
    else if (there->segment_bytes != sync->system->segment_bytes)
        log_error("repositories \"%s\" and \"%s\" have segments of different sizes for system %" PRIu64,
                  sync->from->settings->name, sync->to->settings->name, system);
    else
        return true;
    return false;
}

static int insert_generation(struct cluster *cluster, size_t at, const struct generation *generation)
{
    struct generation *grown = realloc(cluster->generations, (cluster->generation_count + 1) * sizeof *grown);

    if (grown == NULL)
        return log_out_of_memory();
    cluster->generations = grown;
    memmove(grown + at + 1, grown + at, (cluster->generation_count - at) * sizeof *grown);
    grown[at] = *generation;
    cluster->generation_count++;
    return 0;
}

/* One that was made after pg_upgrade knows only what came then, and there is no server any more that
 * repository-init could tell it of the lives before. Those before a life that it knows are of the same
 * cluster. *added: so many. */
static int insert_earlier(const struct cluster *from, struct cluster *to, size_t *added)
{
    size_t at = SIZE_MAX;

    *added = 0;
    for (size_t i = from->generation_count; i-- > 0;) {
        const struct generation *there = cluster_generation(to, from->generations[i].system_identifier);
        if (there != NULL) {
            at = (size_t)(there - to->generations);
        } else if (at != SIZE_MAX) {
            if (insert_generation(to, at, &from->generations[i]) != 0)
                return -1;
            ++*added;
        }
    }
    return 0;
}

static int accept_earlier(struct sync *sync)
{
    const char *name = sync->to->settings->name;
    size_t added;

    if (insert_earlier(&sync->from->cluster, &sync->to->cluster, &added) != 0)
        return -1;
    if (added == 0)
        return 0;
    log_info("repository \"%s\" %s %zu earlier generations of the cluster, as repository \"%s\" does", name,
             sync->settings->is_dry ? "would accept" : "now accepts", added, sync->from->settings->name);
    return sync->settings->is_dry ? 0 : repository_replace_cluster(sync->to);
}

/* WAL first: a backup that is complete has what it needs. */
static int sync_system(struct sync *sync)
{
    int result = 0;

    if (!sync->settings->is_dry && (sync->workers = sync_workers_start(sync)) == NULL)
        result = -1;
    if (result == 0)
        result = sync_backups_announce(sync);
    if (result == 0)
        result = sync_wal(sync, sync_plan_first_lsn(sync));
    if (result == 0)
        result = sync_backups(sync);
    sync_workers_stop(sync->workers);
    sync->workers = NULL;
    return result;
}

static int sync_systems(struct sync *sync)
{
    struct sync_plan plan;
    int result = sync_plan_load(sync, &plan);

    sync->plan = &plan;
    for (size_t i = 0; i < sync->from->cluster.generation_count && result == 0; i++) {
        sync->system = &sync->from->cluster.generations[i];
        if (is_accepted(sync))
            result = sync_system(sync);
        else
            sync_problem(sync, "cluster.json");
    }
    sync->plan = NULL;
    sync_plan_free(&plan);
    return result;
}

static void tell_left_out(const struct sync *sync)
{
    if (sync->wal_left_out + sync->backups_left_out > 0)
        log_info("%" PRIu64 " WAL files and %" PRIu64
                 " backups are left out: repository \"%s\" would not keep them",
                 sync->wal_left_out, sync->backups_left_out, sync->to->settings->name);
}

static void tell(const struct sync *sync, struct json *document)
{
    char bytes[32];

    progress_format_bytes(sync->bytes, bytes);
    log_info("%" PRIu64 " WAL files, %" PRIu64 " backups %s from repository \"%s\" to \"%s\": %" PRIu64
             " objects, %s; %" PRIu64 " problems",
             sync->wal_copied, sync->backups_copied, sync->settings->is_dry ? "would be copied" : "copied",
             sync->from->settings->name, sync->to->settings->name, sync->objects, bytes, sync->problem_count);
    tell_left_out(sync);
    json_set_string(document, "from", sync->from->settings->name);
    json_set_string(document, "to", sync->to->settings->name);
    json_set_bool(document, "dry_run", sync->settings->is_dry);
    json_set_uint(document, "wal_files", sync->wal_copied);
    json_set_uint(document, "backups", sync->backups_copied);
    json_set_uint(document, "objects", sync->objects);
    json_set_uint(document, "bytes", sync->bytes);
    json_set_uint(document, "wal_files_left_out", sync->wal_left_out);
    json_set_uint(document, "backups_left_out", sync->backups_left_out);
    json_set(document, "problems", sync->problems);
}

int sync_run(struct repository *from, struct repository *to, const struct sync_settings *settings,
             struct progress *progress, struct json *document)
{
    struct sync sync = {
        .settings = settings, .progress = progress, .from = from, .to = to, .problems = json_new_array()};
    int result = accept_earlier(&sync);

    rate_init(&sync.rate, settings->max_rate);
    progress_begin(progress, 0);
    if (result == 0)
        result = sync_systems(&sync);
    progress_end(progress);
    rate_destroy(&sync.rate);
    tell(&sync, document);
    return result == 0 && sync.problem_count == 0 ? 0 : -1;
}
