/* WAL of several timelines in a repository: segments that say of themselves when something was committed. */
#ifndef WALFERRY_WAL_ARCHIVE_FIXTURE_H
#define WALFERRY_WAL_ARCHIVE_FIXTURE_H

#include "common/backup.h"
#include "common/file.h"
#include "wal_repository.h"

#include <sys/stat.h>

#define NOON INT64_C(1795262400000000)
#define SECOND INT64_C(1000000)
#define NOTHING INT64_C(-1) /* instead of a time: no commit */

static inline uint64_t lsn_in(uint64_t number, uint32_t offset)
{
    return number * SEGMENT_BYTES + offset;
}

/* With one commit, of the transaction with the segment's number, so many seconds after noon, or with NOTHING.
 */
static inline void put_times(uint32_t timeline, uint64_t number, int64_t seconds)
{
    struct wal_summary summary = {.is_whole = true, .xids_are_known = true};
    struct object_facts facts;

    if (seconds != NOTHING) {
        summary.transactions = 1;
        summary.least_time = summary.most_time = NOON + seconds * SECOND;
        summary.last_lsn = lsn_in(number, 0x1000);
        summary.least_xid = summary.most_xid = (uint32_t)number;
    }
    put_segment(timeline, number, &summary, &facts);
}

/* As an older walferry has stored it. */
static inline void put_unknown(uint32_t timeline, uint64_t number)
{
    struct object_facts facts;

    put_segment(timeline, number, NULL, &facts);
}

static inline const char *segment_file(uint32_t timeline, uint64_t number, const char *suffix)
{
    char name[WAL_SEGMENT_NAME_BYTES];
    static char file[128];

    wal_segment_name(timeline, number, SEGMENT_BYTES, name);
    snprintf(file, sizeof file, "wal/%.16s/%s%s", name, name, suffix);
    return file;
}

static inline void take_away(uint32_t timeline, uint64_t number)
{
    CHECK(unlink(below(segment_file(timeline, number, ""))) == 0);
}

/* Its name is all that counts. */
static inline void put_name(const char *file)
{
    char *path = below(file), *directory_path = path_directory(path);

    CHECK(file_make_directories(directory_path, 0700) == 0);
    unit_write(path, "", 0);
    free(directory_path);
}

static inline void put_history(uint32_t timeline, const char *text)
{
    struct object_facts facts = {.kind = "history", .system_identifier = SYSTEM, .timeline = timeline};

    wal_history_name(timeline, facts.name);
    put_object(&facts, text);
}

/* Ends so many seconds after noon. */
static inline struct backup make_backup(uint32_t timeline, uint64_t start_lsn, uint64_t stop_lsn,
                                        int64_t seconds)
{
    struct backup backup;

    backup_init(&backup);
    backup.system_identifier = SYSTEM;
    backup.segment_bytes = SEGMENT_BYTES;
    backup.timeline = timeline;
    backup.start_lsn = start_lsn;
    backup.stop_lsn = stop_lsn;
    backup.stop_time = NOON + seconds * SECOND;
    backup.start_time = backup.stop_time - SECOND;
    backup.covered_until = backup.stop_time;
    backup_id_make(backup.start_time, timeline, start_lsn, backup.id);
    return backup;
}

/* Begins anew. */
static inline void empty_repository(void)
{
    if (access(below("wal"), F_OK) == 0)
        unit_remove_tree(below("wal"));
    if (access(below("index"), F_OK) == 0)
        unit_remove_tree(below("index"));
    if (access(below("restore-points"), F_OK) == 0)
        unit_remove_tree(below("restore-points"));
}

#endif
