/* Reads the lines of a backup's index (index_entry.h), and refuses what can't be. Layer 3. */
#ifndef WALFERRY_INDEX_READER_H
#define WALFERRY_INDEX_READER_H

#include "index_entry.h"

/* Reads line by line. Plain bytes are pushed in (sink); each is called for every entry but the header, entry
 * borrowed. each returns 0, or -1 after logging. A malformed line is logged as damage of what. */
struct index_reader;
struct index_reader *index_reader_new(const char *backup_id, const char *what,
                                      int (*each)(void *context, struct index_entry *entry), void *context);
struct sink index_reader_sink(struct index_reader *reader);
int index_reader_finish(struct index_reader *reader); /* 0, or -1 after logging (it ends in mid-line) */
void index_reader_free(struct index_reader *reader);

#endif
