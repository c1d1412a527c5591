/* The name of a document of restore points, and behind a separator the document, with its SHA-256 put right:
 * what is taken can be written and is taken again. */
#include "fuzz.h"

#include "common/restore_point.h"

static void fuzz_restore_points_name(struct fuzz_input *input)
{
    char segment[WAL_SEGMENT_NAME_BYTES];
    size_t length;
    char *name = fuzz_take(input, 1, &length);

    if (wal_points_name_parse(name, segment))
        FUZZ_CHECK(strlen(name) == WAL_POINTS_NAME_BYTES - 1 && strlen(segment) == sizeof segment - 1 &&
                   strncmp(name, segment, sizeof segment - 1) == 0);
    free(name);
}

static void fuzz_restore_points_again(const struct restore_points *points)
{
    struct object_facts facts = {.system_identifier = points->system_identifier,
                                 .summary = {.restore_points = points->count}};
    struct buffer text = BUFFER_EMPTY;
    struct restore_points same;

    memcpy(facts.name, points->segment, sizeof points->segment);
    memcpy(facts.sha256, points->sha256, SHA256_BYTES);
    if (points->begun)
        facts.summary.begun = (struct wal_edge){.length = 16, .bytes = {98}};
    FUZZ_CHECK(restore_points_seal(&facts, points->points, &text) == 0);
    FUZZ_CHECK(restore_points_parse(text.data, text.length, "the input", &same) == 0);
    FUZZ_CHECK(same.system_identifier == points->system_identifier && same.begun == points->begun &&
               same.count == points->count && strcmp(same.segment, points->segment) == 0 &&
               memcmp(same.sha256, points->sha256, SHA256_BYTES) == 0);
    for (size_t i = 0; i < same.count; i++)
        FUZZ_CHECK(same.points[i].lsn == points->points[i].lsn &&
                   same.points[i].time == points->points[i].time &&
                   strcmp(same.points[i].name, points->points[i].name) == 0);
    restore_points_free(&same);
    buffer_free(&text);
}

FUZZ_TARGET(restore_points)
{
    struct fuzz_input input = {data, length};
    struct buffer sealed = BUFFER_EMPTY;
    struct restore_points points;

    fuzz_restore_points_name(&input);
    fuzz_seal(input.next, input.left, &sealed);
    if (restore_points_parse(buffer_string(&sealed), sealed.length, "the input", &points) == 0) {
        FUZZ_CHECK(wal_name_parse(points.segment).kind == WAL_SEGMENT &&
                   points.count <= WAL_RESTORE_POINTS_MOST);
        fuzz_restore_points_again(&points);
        restore_points_free(&points);
    }
    buffer_free(&sealed);
    return 0;
}
