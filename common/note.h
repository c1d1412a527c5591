/* Notes: facts about a backup that are added later, one object an event, so that a manifest is never edited:
 * "notes/<backup id>.<number>.json". The number, from 1, says which came first, whatever the clocks say: the
 * last one holds. So far they say that a backup is pinned, which no retention policy lets go of, or is no
 * longer. Layer 3. Format: docs/format.md. */
#ifndef WALFERRY_NOTE_H
#define WALFERRY_NOTE_H

#include "backup.h"

#define NOTE_NUMBER_MOST 99999999u
#define NOTE_HOST_BYTES 256
#define NOTE_REASON_BYTES 1001

enum note_event { NOTE_PIN, NOTE_UNPIN };

struct note {
    char backup[BACKUP_ID_BYTES];
    uint64_t system_identifier;
    enum note_event event;
    int64_t time; /* by the clock of who made it */
    char host[NOTE_HOST_BYTES];
    char reason[NOTE_REASON_BYTES]; /* in a user's words; "" */
};
int note_seal(const struct note *note, struct buffer *out); /* 0, or -1 after logging */
/* 0, or -1 after logging that what is damaged. */
int note_parse(const void *data, size_t length, const char *what, struct note *note);

/* "<backup id>.<number>.json"; false for any other name. */
bool note_name_parse(const char *name, char backup[BACKUP_ID_BYTES], uint32_t *number);
/* OK, ABSENT, DAMAGED or FAILED. */
enum repository_result note_get(struct repository *repository, uint64_t system_identifier, const char *backup,
                                uint32_t number, struct note *note);

/* Stores it behind those of this backup that are there. OK or FAILED (logged). */
enum repository_result note_add(struct repository *repository, const struct note *note);

/* The last note of each backup that has any. */
struct noted {
    uint32_t number;
    bool is_damaged; /* or unreadable; else note is set, but for the backup's id, which its name tells */
    struct note note;
};
struct notes {
    struct noted *items; /* owned; by system and backup */
    size_t count, capacity;
};
/* Of all generations; the repository's cluster must be loaded. Damaged ones are logged, as those that can't
 * be read although the repository answers. OK or FAILED. */
enum repository_result notes_load(struct repository *repository, struct notes *notes);
/* The same of one backup. */
enum repository_result notes_load_of(struct repository *repository, uint64_t system_identifier,
                                     const char *backup, struct notes *notes);
void notes_free(struct notes *notes);
/* NULL unless it is pinned. One whose last note is damaged, or can't be read, counts as pinned. */
const struct noted *notes_pin(const struct notes *notes, uint64_t system_identifier, const char *backup);

#endif
