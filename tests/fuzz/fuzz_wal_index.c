/* The lines of the index of a log, of four segments of 1 GiB: it tells of these and no others, and what it
 * says of their records can be written and is taken again. */
#include "fuzz.h"

#include "common/wal_index.h"
#include "common/wal_summary_json.h"

#define FUZZ_WAL_INDEX_LOG 3
#define FUZZ_WAL_INDEX_SEGMENTS 4

static void fuzz_wal_index_entry(const struct wal_index_entry *entry)
{
    struct json *json = entry->has_summary ? wal_summary_to_json(&entry->summary) : NULL;
    struct wal_summary same;

    if (entry->has_summary)
        FUZZ_CHECK(json != NULL && wal_summary_from_json(json, &same) &&
                   same.transactions == entry->summary.transactions &&
                   same.most_time == entry->summary.most_time && same.last_lsn == entry->summary.last_lsn &&
                   same.restore_points == entry->summary.restore_points &&
                   same.begun.length == entry->summary.begun.length);
    json_free(json);
}

FUZZ_TARGET(wal_index)
{
    struct fuzz_input input = {data, length};
    struct wal_index index;
    size_t taken;
    char *lines = fuzz_take(&input, 0, &taken);

    if (wal_index_parse(lines, taken, 1, FUZZ_WAL_INDEX_LOG, 1u << 30, &index)) {
        FUZZ_CHECK(index.count == FUZZ_WAL_INDEX_SEGMENTS);
        for (size_t i = 0; i < index.count; i++) {
            FUZZ_CHECK(index.entries[i].number == FUZZ_WAL_INDEX_LOG * FUZZ_WAL_INDEX_SEGMENTS + i);
            fuzz_wal_index_entry(&index.entries[i]);
        }
        wal_index_free(&index);
    }
    free(lines);
    return 0;
}
