#include "shipper.h"

#include "gaps.h"

#include "common/log.h"
#include "common/restore_point.h"
#include "common/timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long a copy of cluster.json in state_dir is believed: the price of noticing an emptied bucket is one
 * GET in this time. */
#define CLUSTER_AGE_SECONDS 3600

/* One file on its way. */
struct shipment {
    struct shipper *shipper;
    struct source *source;
    int64_t deadline;     /* monotonic */
    size_t to_do, stored; /* repositories */
    bool required_failed;
};

static bool is_chosen(const struct shipper *shipper, const struct repository_config *settings)
{
    return shipper->only == NULL || shipper->only == settings;
}

static int open_lane(struct shipper *shipper, const struct compression *compression)
{
    struct shipper_lane *lane = &shipper->lanes[shipper->lane_count++];

    *lane = (struct shipper_lane){.compression = *compression, .spool = OBJECT_SPOOL_EMPTY};
    lane->writer = object_writer_new(compression);
    return lane->writer == NULL ? -1 : 0;
}

/* Repositories that want it packed alike share a lane. */
static int open_lanes(struct shipper *shipper)
{
    for (size_t i = 0; i < shipper->config->repository_count; i++) {
        const struct repository_config *settings = &shipper->config->repositories[i];
        size_t lane = 0;
        if (!is_chosen(shipper, settings))
            continue;
        while (lane < shipper->lane_count &&
               !compression_is_equal(&shipper->lanes[lane].compression, &settings->compression))
            lane++;
        shipper->places[i].lane = lane;
        if (lane == shipper->lane_count && open_lane(shipper, &settings->compression) != 0)
            return -1;
    }
    return 0;
}

int shipper_open(const struct config *config, const struct state *state, const struct repository_config *only,
                 size_t memory_bytes, struct shipper *shipper)
{
    *shipper = (struct shipper){
        .config = config,
        .state = state,
        .only = only,
        .memory_bytes = memory_bytes,
    };
    shipper->places = calloc(config->repository_count, sizeof *shipper->places);
    shipper->lanes = calloc(config->repository_count, sizeof *shipper->lanes);
    if (shipper->places == NULL || shipper->lanes == NULL)
        return log_out_of_memory();
    shipper->scan = wal_scan_new();
    return shipper->scan == NULL ? -1 : open_lanes(shipper);
}

void shipper_close(struct shipper *shipper)
{
    for (size_t i = 0; shipper->places != NULL && i < shipper->config->repository_count; i++)
        if (shipper->places[i].is_open)
            repository_close(&shipper->places[i].repository);
    for (size_t i = 0; i < shipper->lane_count; i++) {
        object_writer_free(shipper->lanes[i].writer);
        object_spool_free(&shipper->lanes[i].spool);
    }
    wal_scan_free(shipper->scan);
    buffer_free(&shipper->restore_points);
    free(shipper->places);
    free(shipper->lanes);
    shipper->scan = NULL;
    shipper->places = NULL;
    shipper->lanes = NULL;
    shipper->lane_count = 0;
}

unsigned shipper_slow_downs(const struct shipper *shipper)
{
    unsigned count = 0;

    for (size_t i = 0; i < shipper->config->repository_count; i++)
        if (shipper->places[i].is_open)
            count += store_slow_downs(shipper->places[i].repository.store);
    return count;
}

static bool goes_to_s3(const struct shipper *shipper, size_t lane)
{
    for (size_t i = 0; i < shipper->config->repository_count; i++)
        if (shipper->config->repositories[i].kind == REPOSITORY_S3 &&
            shipper->config->repositories[i].encryption_key_file == NULL && /* else that is signed */
            shipper->places[i].lane == lane && is_chosen(shipper, &shipper->config->repositories[i]))
            return true;
    return false;
}

static int begin_lane(struct shipper *shipper, size_t index, const struct source *source)
{
    struct shipper_lane *lane = &shipper->lanes[index];
    struct object_facts *facts = &lane->facts;

    *facts = (struct object_facts){
        .system_identifier = source->system_identifier,
        .timeline = source->parsed.timeline,
        .postgresql_version = source->postgresql_version,
    };
    snprintf(facts->kind, sizeof facts->kind, "%s", wal_kind_name(source->parsed.kind));
    snprintf(facts->name, sizeof facts->name, "%.*s",
             source->parsed.kind == WAL_PARTIAL ? WAL_PARTIAL_NAME_LENGTH : WAL_NAME_BYTES - 1, source->name);
    if (object_spool_begin(&lane->spool, shipper->state->directory,
                           shipper->memory_bytes / shipper->lane_count, goes_to_s3(shipper, index)) != 0)
        return -1;
    return object_writer_begin(lane->writer, object_spool_sink(&lane->spool));
}

static int write_lanes(void *context, const void *data, size_t length)
{
    struct shipper *shipper = context;

    for (size_t i = 0; i < shipper->lane_count; i++)
        if (object_writer_write(shipper->lanes[i].writer, data, length) != 0)
            return -1;
    return 0;
}

static int scan_and_write_lanes(void *context, const void *data, size_t length)
{
    struct shipper *shipper = context;

    wal_scan_feed(shipper->scan, data, length);
    return write_lanes(context, data, length);
}

static int end_lanes(struct shipper *shipper)
{
    for (size_t i = 0; i < shipper->lane_count; i++) {
        struct shipper_lane *lane = &shipper->lanes[i];
        if (object_writer_end(lane->writer, &lane->facts) != 0)
            return -1;
        object_spool_body(&lane->spool, &lane->body);
    }
    return 0;
}

/* What a segment's records say goes into its trailers, and its restore points into a document. */
static int pack_segment(struct shipper *shipper, struct source *source)
{
    const struct sink sink = {scan_and_write_lanes, shipper};
    const struct object_facts *facts = &shipper->lanes[0].facts;
    const struct wal_restore_point *points;
    struct wal_summary summary;

    wal_scan_begin(shipper->scan);
    if (source_read(source, &sink) != 0)
        return -1;
    wal_scan_end(shipper->scan, &summary, &points);
    for (size_t i = 0; i < shipper->lane_count; i++) {
        shipper->lanes[i].facts.has_summary = true;
        shipper->lanes[i].facts.summary = summary;
    }
    if (end_lanes(shipper) != 0)
        return -1;
    return restore_points_are_in(&summary) ? restore_points_seal(facts, points, &shipper->restore_points) : 0;
}

/* Reads, checks, hashes and compresses: one read, one pass. */
static int pack(struct shipper *shipper, struct source *source)
{
    const struct sink sink = {write_lanes, shipper};

    buffer_clear(&shipper->restore_points);
    for (size_t i = 0; i < shipper->lane_count; i++)
        if (begin_lane(shipper, i, source) != 0)
            return -1;
    if (source->parsed.kind == WAL_SEGMENT)
        return pack_segment(shipper, source);
    return source_read(source, &sink) == 0 ? end_lanes(shipper) : -1;
}

/* Is this cluster at home there? A remembered answer is asked for again before it becomes a refusal. */
static int check_cluster(const struct shipment *shipment, struct repository *repository)
{
    const struct source *source = shipment->source;
    uint64_t system = source->system_identifier;
    const struct generation *generation;

    if (repository_load_cluster(repository, CLUSTER_AGE_SECONDS) != REPOSITORY_OK)
        return -1;
    if (cluster_generation(&repository->cluster, system) == NULL &&
        repository_load_cluster(repository, 0) != REPOSITORY_OK)
        return -1;
    generation = cluster_generation(&repository->cluster, system);
    if (generation == NULL || generation->segment_bytes != source->segment_bytes)
        shipment->shipper->is_refused = true;
    if (generation == NULL) {
        repository_tell_foreign(repository, system);
        return -1;
    }
    if (generation->segment_bytes != source->segment_bytes) {
        log_error("repository \"%s\" expects WAL segments of %" PRIu32
                  " bytes, \"%s\" comes from a server with %" PRIu32,
                  repository->settings->name, generation->segment_bytes, source->name, source->segment_bytes);
        return -1;
    }
    return 0;
}

static void explain_collision(const char *kind, const struct source *source,
                              const struct repository *repository)
{
    log_error("%s \"%s\" is in repository \"%s\" already, with other content, which stays", kind,
              source->name, repository->settings->name);
    log_hint("Two servers archive to one place, or this one was set back (restored copy, snapshot, repeated "
             "recovery without a new "
             "timeline). On a copy: archive_mode = off. See COLLISIONS in wal-push(1) for finding out which "
             "is right, and the way out.");
}

static void explain_damage(const char *kind, const struct source *source, const struct repository *repository)
{
    log_error("what repository \"%s\" holds as %s \"%s\" is damaged, and nothing is overwritten",
              repository->settings->name, kind, source->name);
    log_hint("Move that object out of the way, under another name; PostgreSQL asks again, and the file is "
             "stored anew. "
             "See COLLISIONS in wal-push(1).");
}

/* 0 if it is there now, else -1 after logging. */
static int judge(const struct shipment *shipment, const struct repository *repository, const char *kind,
                 enum repository_result result)
{
    const struct source *source = shipment->source;

    if (result == REPOSITORY_COLLISION)
        explain_collision(kind, source, repository);
    if (result == REPOSITORY_DAMAGED)
        explain_damage(kind, source, repository);
    if (result == REPOSITORY_COLLISION || result == REPOSITORY_DAMAGED)
        shipment->shipper->is_refused = true;
    return result == REPOSITORY_OK || result == REPOSITORY_IDENTICAL ? 0 : -1;
}

/* Two standbys promoted one after the other archive different .partial files of one name, both rightly (rule
 * 18). */
static enum repository_result put_other_partial(const struct shipment *shipment,
                                                const struct shipper_lane *lane,
                                                struct repository *repository)
{
    const struct object_facts *facts = &lane->facts;
    char hash[SHA256_HEX_BYTES], name[OBJECT_NAME_BYTES + 16];

    hex_encode(facts->sha256, SHA256_BYTES, hash);
    snprintf(name, sizeof name, "%s.%.8s", facts->name, hash);
    char *key = repository_wal_key(repository, facts->system_identifier, name);
    if (key == NULL)
        return REPOSITORY_FAILED;
    log_info("\"%s\" is taken by another server's; stored as \"%s\"", shipment->source->name, name);
    enum repository_result result = repository_put_object(repository, key, &lane->body, facts);
    free(key);
    return result;
}

/* Before the segment itself: where that is, all its restore points are known. */
static int put_restore_points(const struct shipment *shipment, const struct shipper_lane *lane,
                              struct repository *repository)
{
    const struct buffer *document = &shipment->shipper->restore_points;

    return document->length == 0 ? 0
                                 : judge(shipment, repository, "document of restore points",
                                         restore_points_put(repository, &lane->facts, document));
}

static int put_into(const struct shipment *shipment, struct shipper_place *place)
{
    const struct shipper_lane *lane = &shipment->shipper->lanes[place->lane];
    const struct source *source = shipment->source;
    struct repository *repository = &place->repository;

    if (put_restore_points(shipment, lane, repository) != 0)
        return -1;
    char *key = repository_wal_key(repository, source->system_identifier, source->name);
    if (key == NULL)
        return -1;
    enum repository_result result = repository_put_object(repository, key, &lane->body, &lane->facts);
    free(key);
    if (result == REPOSITORY_COLLISION && source->parsed.kind == WAL_PARTIAL)
        result = put_other_partial(shipment, lane, repository);
    if (result == REPOSITORY_IDENTICAL)
        log_debug("\"%s\" was in repository \"%s\" already, identical", source->name,
                  repository->settings->name);
    if (result == REPOSITORY_OK)
        log_debug("stored \"%s\" in repository \"%s\"", source->name, repository->settings->name);
    return judge(shipment, repository, wal_kind_name(source->parsed.kind), result);
}

/* A store that hangs must not use up the time of the others: each gets an equal share of what is left. */
static struct store_limits share_time(const struct shipment *shipment)
{
    int64_t now = monotonic_now();

    return (struct store_limits){
        .operation_seconds = shipment->shipper->config->wal_push_timeout_seconds,
        /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): each of those chosen was counted */
        .deadline = now + (shipment->deadline - now) / (int64_t)shipment->to_do,
    };
}

static int ship_to_open(const struct shipment *shipment, struct shipper_place *place)
{
    if (check_cluster(shipment, &place->repository) != 0)
        return -1;
    /* Before any later segment; another call may have let go of one meanwhile. */
    if (gaps_send(shipment->shipper->state, &place->repository, shipment->source->system_identifier) != 0)
        return -1;
    return put_into(shipment, place);
}

static int ship_to(const struct shipment *shipment, size_t index)
{
    struct shipper *shipper = shipment->shipper;
    struct shipper_place *place = &shipper->places[index];
    struct repository *repository = &place->repository;
    const struct store_limits limits = share_time(shipment);
    int result = -1;

    if (!place->is_open)
        place->is_open = repository_open(shipper->config, &shipper->config->repositories[index],
                                         shipper->state, &limits, repository) == 0;
    if (place->is_open) {
        store_set_limits(repository->store, &limits);
        result = ship_to_open(shipment, place);
    }
    /* a key that is missing, or an epoch that is behind, is nothing that passes as a store's failure does */
    if (result != 0 &&
        (repository->is_locked || (place->is_open && store_epoch_is_behind(repository->store))))
        shipper->is_refused = true;
    return result;
}

static void ship_to_those(struct shipment *shipment, bool required)
{
    struct shipper *shipper = shipment->shipper;

    for (size_t i = 0; i < shipper->config->repository_count; i++) {
        const struct repository_config *settings = &shipper->config->repositories[i];
        struct shipper_place *place = &shipper->places[i];
        if (settings->required != required)
            continue;
        if (!is_chosen(shipper, settings)) {
            if (required)
                log_warning("required repository \"%s\" is left out (--repository)", settings->name);
            continue;
        }
        bool is_tried = !place->is_left_out;
        place->has_stored = is_tried && ship_to(shipment, i) == 0;
        place->has_failed = is_tried && !place->has_stored;
        shipment->stored += place->has_stored;
        shipment->to_do -= is_tried;
        if (place->has_stored)
            continue;
        if (required || shipper->only != NULL) {
            shipment->required_failed = true;
        } else {
            log_warning("repository \"%s\" (required = no) is left without \"%s\"", settings->name,
                        shipment->source->name);
            place->is_left_out = true; /* of what else this call ships: it would wait each time */
        }
    }
}

/* One repository that fails does not keep the others from getting theirs. Those that are not required come
 * last and may lag, but somewhere the file must be safe. */
int shipper_ship(struct shipper *shipper, struct source *source, int64_t deadline,
                 unsigned char sha256[SHA256_BYTES])
{
    struct shipment shipment = {.shipper = shipper, .source = source, .deadline = deadline};

    shipper->is_refused = pack(shipper, source) != 0;
    if (shipper->is_refused)
        return -1;
    memcpy(sha256, shipper->lanes[0].facts.sha256, SHA256_BYTES); /* the same in all of them */
    for (size_t i = 0; i < shipper->config->repository_count; i++)
        shipment.to_do +=
            is_chosen(shipper, &shipper->config->repositories[i]) && !shipper->places[i].is_left_out;
    ship_to_those(&shipment, true);
    ship_to_those(&shipment, false);
    return shipment.required_failed || shipment.stored == 0 ? -1 : 0;
}
