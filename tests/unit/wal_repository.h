/* A repository in a directory of its own, with segments that hold next to nothing but say of themselves what
 * a builder's WAL says. They count as segments of 1 GiB: four are a log. */
#ifndef WALFERRY_WAL_REPOSITORY_H
#define WALFERRY_WAL_REPOSITORY_H

#include "common/repository.h"
#include "common/restore_point.h"
#include "common/wal_index.h"
#include "wal_builder.h"

#define SYSTEM UINT64_C(7574912398475612345)
#define SEGMENT_BYTES (1u << 30)

static char directory[] = "/tmp/walferry-unit-XXXXXX";
static char cluster_name[] = "main", place_name[] = "here";
static struct repository_config place = {.name = place_name,
                                         .path = directory,
                                         .kind = REPOSITORY_FILE,
                                         .required = true,
                                         .compression = {CODEC_LZ4, 1}};
static struct config config = {.cluster_name = cluster_name, .repositories = &place, .repository_count = 1};
static struct repository repository;

static inline void open_repository(void)
{
    const struct store_limits limits = {10, 0};

    REQUIRE(mkdtemp(directory) != NULL);
    place.url = directory;
    REQUIRE(repository_open(&config, &place, NULL, &limits, &repository) == 0);
}

static inline void close_repository(void)
{
    repository_close(&repository);
    unit_remove_tree(directory);
}

static inline char *below(const char *rest)
{
    return unit_path("%s/main/7574912398475612345/%s", directory, rest);
}

/* A sealed object of this content; its facts are completed. */
static inline void put_bytes(struct object_facts *facts, const void *content, size_t length)
{
    struct object_writer *writer = object_writer_new(&place.compression);
    struct buffer object = BUFFER_EMPTY;
    char *key = repository_wal_key(&repository, facts->system_identifier, facts->name);

    REQUIRE(writer != NULL && key != NULL && object_writer_begin(writer, sink_to_buffer(&object)) == 0 &&
            object_writer_write(writer, content, length) == 0 && object_writer_end(writer, facts) == 0);
    const struct body body = {.data = object.data, .fd = -1, .length = object.length};
    CHECK(repository_put_object(&repository, key, &body, facts) == REPOSITORY_OK);
    object_writer_free(writer);
    buffer_free(&object);
    free(key);
}

static inline void put_object(struct object_facts *facts, const char *content)
{
    put_bytes(facts, content, strlen(content));
}

/* A segment; summary NULL: an older walferry's. */
static inline void put_segment(uint32_t timeline, uint64_t number, const struct wal_summary *summary,
                               struct object_facts *facts)
{
    *facts = (struct object_facts){.kind = "segment",
                                   .system_identifier = SYSTEM,
                                   .timeline = timeline,
                                   .postgresql_version = 15,
                                   .has_summary = summary != NULL};
    if (summary != NULL)
        facts->summary = *summary;
    wal_segment_name(timeline, number, SEGMENT_BYTES, facts->name);
    put_object(facts, unit_path("%u %llu", timeline, (unsigned long long)number));
}

/* Of a log of timeline 1. */
static inline enum repository_result make_index(uint32_t log, uint32_t segment_bytes)
{
    const struct readers_settings settings = {.limits = {10, 0}};
    struct readers *readers = readers_new(&settings);

    REQUIRE(readers != NULL);
    enum repository_result result = wal_index_make(&repository, readers, SYSTEM, 1, log, segment_bytes);
    readers_free(readers);
    return result;
}

static inline void scan_built(const struct wal_builder *builder, size_t index, struct wal_summary *summary,
                              struct wal_restore_point *points)
{
    struct wal_scan *scan = wal_scan_new();
    const struct wal_restore_point *found;

    REQUIRE(scan != NULL);
    wal_scan_begin(scan);
    wal_scan_feed(scan, builder_segment(builder, index), BUILDER_SEGMENT);
    wal_scan_end(scan, summary, &found);
    if (points != NULL)
        memcpy(points, found, (size_t)summary->restore_points * sizeof *points);
    wal_scan_free(scan);
}

#endif
