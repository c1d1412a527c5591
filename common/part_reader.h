/* Takes a part of a backup apart: stored bytes are pushed in, files come out, each checked against the index.
 * One reader serves for any number of parts, one after the other. Layer 3. Format: docs/format.md. */
#ifndef WALFERRY_PART_READER_H
#define WALFERRY_PART_READER_H

#include "backup_part.h"
#include "relay.h"

/* What becomes of the files. Each may be NULL, and returns 0, or -1 after logging. content: the next bytes,
 * not yet known to be right. end: all of them came, and are. */
struct part_sink {
    int (*begin)(void *context, const struct index_entry *file);
    int (*content)(void *context, const struct index_entry *file, const void *data, size_t length);
    int (*end)(void *context, const struct index_entry *file);
    void *context;
    const char *hint; /* what the user can do about damage; NULL: nothing is said */
};

struct part_reader;

/* sink is copied; NULL: the part is only checked. NULL after logging. */
struct part_reader *part_reader_new(const struct part_sink *sink);
void part_reader_free(struct part_reader *reader); /* NULL-safe */
/* From now on damage is logged for debugging alone: of parts that are there and may be used. */
void part_reader_mute(struct part_reader *reader);

/* What was unpacked is checked by the relay's thread, and goes to the sink from there, but for its begin and
 * end. Borrowed; NULL: none. */
void part_reader_use_relay(struct part_reader *reader, struct relay *relay);

/* part, range and what (which names the part in messages) are borrowed until part_reader_end. Only the
 * range's bytes will come. total_bytes: the size of the whole stored object, looked at when the first byte
 * comes (see store_get). 0, or -1 after logging. */
int part_reader_begin(struct part_reader *reader, const struct backup_part *part,
                      const struct part_range *range, const char *what, const uint64_t *total_bytes);
/* Its write fails after logging, or, when interrupt_requested, without. */
struct sink part_reader_sink(struct part_reader *reader);
/* complete: the whole range was pushed in. 0: every file of the range came and is right; -1 after logging
 * (without, if not complete). */
int part_reader_end(struct part_reader *reader, bool complete);

/* Was what came since part_reader_begin not as the index says? Else it failed for another reason. */
bool part_reader_found_damage(const struct part_reader *reader);
/* Logs that the part, or the file at work, is damaged: also for what only the sink can tell. -1. */
int part_reader_damaged(struct part_reader *reader, const char *problem);

#endif
