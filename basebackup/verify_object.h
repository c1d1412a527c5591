/* The kinds of objects that a full verification reads: their names, and how each is checked as whoever needs
 * it does. */
#ifndef WALFERRY_VERIFY_OBJECT_H
#define WALFERRY_VERIFY_OBJECT_H

#include "common/part_reader.h"
#include "verify.h"

/* One worker's things. */
struct verify_reader {
    struct repository repository; /* with a store of its own */
    struct part_reader *parts;
    const struct generation *system; /* borrowed */
};

struct verify_object {
    const struct verify_kind *kind;
    char *key;
    const struct backup *backup; /* that it is of, or needed for; borrowed; NULL: none */
    struct backup_part *part;    /* of verify_part */
};

struct verify_kind {
    const char *folder;                 /* below the system's, where such objects are listed; else NULL */
    bool (*is_named)(const char *name); /* can it be one, by the last element of its key? */
    uint64_t least_bytes;               /* none is as short */
    /* Reads all of it. what names it in messages. OK, ABSENT, DAMAGED (logged) or FAILED. */
    enum repository_result (*read)(struct verify_reader *reader, const struct verify_object *object,
                                   const char *what);
};

extern const struct verify_kind verify_part, verify_started; /* of a backup */
extern const struct verify_kind verify_wal_file;             /* also a gap marker */
extern const struct verify_kind verify_index, verify_restore_points, verify_note;

/* 0, or -1 after logging. verify_reader_close in any case. */
int verify_reader_open(struct verify_reader *reader, const struct verify *verify);
void verify_reader_close(struct verify_reader *reader);

/* Somebody may expire what is being verified: the manifest goes first, so what is missing of a backup that
 * has none any more is no finding. False, too, where the store can't be asked. */
bool verify_backup_is_gone(struct repository *repository, const struct backup *backup);
/* Is this object, which was listed, not listed any more? */
bool verify_is_gone(struct repository *repository, const char *key);

/* This thread has just logged that the object could not be read. 0: that is a finding now, for the store
 * answers otherwise; -1: it does not. */
int verify_tell_unreadable(struct findings *findings, struct repository *repository, const char *key);

#endif
