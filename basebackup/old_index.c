#include "old_index.h"

#include "running.h"

#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lane {
    FILE *file; /* NULL: it is left out */
    struct index_reader *reader;
    char *line;
    size_t line_capacity;
    bool is_file_line;     /* the last one that was read */
    struct old_part begun; /* part NULL: none */
    struct old_part done;  /* the same */
};

struct old_index {
    struct lane *lanes;
    size_t lane_count;
    size_t first; /* that is not left out */
};

struct old_part *old_unit_part(const struct old_unit *unit, size_t part, size_t lane)
{
    return &unit->parts[part * unit->lanes + lane];
}

static void free_part(struct old_part *part)
{
    backup_part_free(part->part);
    buffer_free(&part->lines);
    part->part = NULL;
}

const struct backup_part *old_unit_any(const struct old_unit *unit, size_t part)
{
    return old_unit_part(unit, part, unit->first)->part;
}

void old_unit_free(struct old_unit *unit)
{
    for (size_t i = 0; i < unit->count * unit->lanes; i++)
        free_part(&unit->parts[i]);
    free(unit->parts);
    *unit = (struct old_unit){.parts = NULL};
}

static int take_entry(void *context, struct index_entry *entry)
{
    struct lane *lane = context;

    lane->is_file_line = entry->line == INDEX_FILE;
    if (entry->line == INDEX_FILE)
        return backup_part_add(lane->begun.part, entry);
    if (entry->line != INDEX_PART)
        return 0;
    lane->done = lane->begun;
    lane->begun = (struct old_part){backup_part_new(entry), entry->files, BUFFER_EMPTY};
    return lane->begun.part == NULL ? -1 : 0;
}

static int open_lane(const char *path, const char *backup_id, struct lane *lane)
{
    lane->file = fopen(path, "re");
    if (lane->file == NULL && errno == ENOENT) { /* it was killed at its very beginning */
        log_info("the interrupted backup %s has stored nothing", backup_id);
        return -1;
    }
    if (lane->file == NULL) {
        log_error("could not open file \"%s\": %m", path);
        return -1;
    }
    lane->reader = index_reader_new(backup_id, path, take_entry, lane);
    return lane->reader == NULL ? -1 : 0;
}

static int open_lanes(struct old_index *index, const char *directory, const char *backup_id,
                      const struct targets *targets)
{
    int result = 0;

    for (size_t i = 0; i < index->lane_count && result == 0; i++) {
        if (!targets_lane_is_alive(targets, i))
            continue;
        char *path = running_index_path(directory, backup_id, i);
        result = path == NULL ? -1 : open_lane(path, backup_id, &index->lanes[i]);
        free(path);
    }
    return result;
}

struct old_index *old_index_open(const char *directory, const char *backup_id, const struct targets *targets)
{
    struct old_index *index = calloc(1, sizeof *index);

    if (index != NULL)
        index->lanes = calloc(targets->lane_count, sizeof *index->lanes);
    if (index == NULL || index->lanes == NULL) {
        log_out_of_memory();
        free(index);
        return NULL;
    }
    index->lane_count = targets->lane_count;
    index->first = targets_first_lane(targets);
    if (open_lanes(index, directory, backup_id, targets) == 0)
        return index;
    old_index_close(index);
    return NULL;
}

void old_index_close(struct old_index *index)
{
    if (index == NULL)
        return;
    for (size_t i = 0; i < index->lane_count; i++) {
        struct lane *lane = &index->lanes[i];
        if (lane->file != NULL)
            fclose(lane->file);
        index_reader_free(lane->reader);
        free(lane->line);
        free_part(&lane->begun);
        free_part(&lane->done);
    }
    free(index->lanes);
    free(index);
}

/* 1: the next line was taken; 0: there is none, or it was torn when the machine went down. */
static int read_line(struct lane *lane)
{
    struct sink sink = index_reader_sink(lane->reader);
    ssize_t length = getline(&lane->line, &lane->line_capacity, lane->file);

    if (length <= 0 || lane->line[length - 1] != '\n' || memchr(lane->line, '\0', (size_t)length) != NULL)
        return 0;
    lane->is_file_line = false;
    if (sink_write(&sink, lane->line, (size_t)length) != 0)
        return 0;
    if (!lane->is_file_line)
        return 1;
    return buffer_append(&lane->begun.lines, lane->line, (size_t)length) == 0 ? 1 : 0;
}

/* A part's lines are all there: those of its files, or the one of a piece. */
static bool is_whole(const struct old_part *part)
{
    return part->part != NULL && part->part->count > 0 && part->part->count >= part->files;
}

/* False: that was all. */
static bool next_part(struct lane *lane, struct old_part *part)
{
    while (lane->done.part == NULL)
        if (read_line(lane) == 0) {
            if (!is_whole(&lane->begun))
                return false;
            lane->done = lane->begun;
            lane->begun = (struct old_part){.part = NULL};
        }
    *part = lane->done;
    lane->done = (struct old_part){.part = NULL};
    return true;
}

/* Adds one part of all lanes. 1, 0 or -1 as old_index_next. */
static int extend(struct old_index *index, struct old_unit *unit)
{
    size_t lanes = index->lane_count;
    struct old_part *parts = realloc(unit->parts, (unit->count + 1) * lanes * sizeof *parts);

    if (parts == NULL)
        return log_out_of_memory();
    unit->parts = parts;
    memset(&parts[unit->count * lanes], 0, lanes * sizeof *parts);
    unit->count++;
    for (size_t i = index->first; i < lanes; i++) {
        struct old_part *part = old_unit_part(unit, unit->count - 1, i);
        if (index->lanes[i].file == NULL)
            continue;
        if (!next_part(&index->lanes[i], part))
            return 0;
        /* all have the same, but those of which no repository was left */
        if (strcmp(part->part->name, old_unit_any(unit, unit->count - 1)->name) != 0)
            return 0;
    }
    return 1;
}

static bool goes_on(const struct old_unit *unit)
{
    const struct backup_part *last = old_unit_any(unit, unit->count - 1);

    return last->count == 1 && !index_entry_ends_file(&last->files[0]);
}

int old_index_next(struct old_index *index, struct old_unit *unit)
{
    int result;

    *unit = (struct old_unit){.lanes = index->lane_count, .first = index->first};
    do
        result = extend(index, unit);
    while (result == 1 && goes_on(unit));
    if (result != 1)
        old_unit_free(unit);
    return result;
}
