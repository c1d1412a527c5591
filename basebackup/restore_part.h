/* Writes the files of a part where they belong, each when it is known to be right. A worker has one unpacker
 * of its own and uses it for any number of parts. */
#ifndef WALFERRY_RESTORE_PART_H
#define WALFERRY_RESTORE_PART_H

#include "common/backup_index.h"
#include "common/part_reader.h"
#include "common/progress.h"
#include "common/rate.h"
#include "restore_split.h"

/* The file of which the part has a piece, and nothing else; NULL: of none. */
struct restore_split *restore_part_split(const struct backup_part *part);
/* The reference becomes the part's. */
void restore_part_attach(struct backup_part *part, struct restore_split *split);

struct unpacker;

/* All are borrowed; progress and rate may be NULL. NULL after logging. */
struct unpacker *unpacker_new(const struct restore_places *places, struct progress *progress,
                              struct rate *rate);
/* All files go into this one, wherever they belong, and their pieces where they lie in it. Both borrowed. */
struct unpacker *unpacker_new_for_file(int fd, const char *name);
void unpacker_free(struct unpacker *unpacker); /* NULL-safe */

/* As part_reader_begin, part_reader_sink and part_reader_end; end closes what is open. */
int unpacker_begin(struct unpacker *unpacker, const struct backup_part *part, const struct part_range *range,
                   const char *what, const uint64_t *total_bytes);
struct sink unpacker_sink(struct unpacker *unpacker);
int unpacker_end(struct unpacker *unpacker, bool complete);
/* As part_reader_found_damage. */
bool unpacker_found_damage(const struct unpacker *unpacker);

#endif
