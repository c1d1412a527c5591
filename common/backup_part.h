/* One part of a backup, as the index tells of it, and what of it is worth one request. Layer 3. */
#ifndef WALFERRY_BACKUP_PART_H
#define WALFERRY_BACKUP_PART_H

#include "index_entry.h"

/* Owned by whoever works on it. */
struct backup_part {
    char *name;
    uint64_t bytes; /* stored */
    enum codec codec;
    struct index_entry *files;
    bool *left_out; /* for each file: it is not to be fetched, since it is there */
    size_t count;
    size_t capacity;
    void *attached;                 /* by whoever works on it; NULL: nothing */
    void (*detach)(void *attached); /* called when the part is freed, if something is attached */
};
struct backup_part *backup_part_new(const struct index_entry *entry); /* NULL after logging */
int backup_part_add(struct backup_part *part,
                    const struct index_entry *file); /* copied; 0, or -1 after logging */
void backup_part_free(struct backup_part *part);     /* NULL-safe */

/* Is it "main-00000001", "16384-00000001" or "external-00000001"? Then *series is the length of what stands
 * before the dash. */
bool backup_part_name_parse(const char *name, size_t *series, uint64_t *number);

/* The parts of one folder in the order of a listing; begins with zeros. */
struct backup_part_run {
    char series[32];
    uint64_t number;
};
/* Is this the first of a series, or the next one in it? What backup_part_name_parse has told. */
bool backup_part_follows(struct backup_part_run *run, const char *name, size_t series, uint64_t number);

/* What is fetched with one request. */
struct part_range {
    uint64_t offset, end; /* of stored bytes */
    size_t first, last;   /* files in it, the last one excluded */
};
/* The next one at or behind the file first: files that are not left out, with what lies between them where it
 * is not worth a request of its own. False when there is none. */
bool backup_part_range(const struct backup_part *part, size_t first, struct part_range *range);
/* All of it. */
struct part_range backup_part_whole(const struct backup_part *part);

#endif
