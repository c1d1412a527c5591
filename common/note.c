#include "note.h"

#include "document.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_KIND "note"
#define NUMBER_DIGITS 8
#define ID_LENGTH 42  /* of a backup */
#define TRIES_MOST 50 /* for a number that others take meanwhile */

static const char *const event_names[] = {[NOTE_PIN] = "pin", [NOTE_UNPIN] = "unpin"};
#define EVENT_COUNT (sizeof event_names / sizeof event_names[0])

/* The document */

int note_seal(const struct note *note, struct buffer *out)
{
    struct json *document = document_new(NOTE_KIND);

    json_set_string(document, "backup", note->backup);
    document_set_system(document, note->system_identifier);
    json_set_string(document, "event", event_names[note->event]);
    document_set_time(document, "time", note->time);
    json_set_text(document, "host", note->host);
    json_set_text(document, "reason", note->reason);
    return document_seal(document, out);
}

static bool parse_event(const char *text, enum note_event *event)
{
    for (size_t i = 0; text != NULL && i < EVENT_COUNT; i++)
        if (strcmp(text, event_names[i]) == 0) {
            *event = (enum note_event)i;
            return true;
        }
    return false;
}

int note_parse(const void *data, size_t length, const char *what, struct note *note)
{
    struct json *document = document_open(data, length, NOTE_KIND, what);

    if (document == NULL)
        return -1;
    *note = (struct note){.time = 0};
    const char *backup = json_text(document, "backup"), *host = json_text(document, "host");
    const char *reason = json_text(document, "reason");
    bool good = backup != NULL && backup_id_is_valid(backup) && host != NULL && reason != NULL &&
                document_system(document, &note->system_identifier) &&
                document_time(document, "time", &note->time) &&
                parse_event(json_text(document, "event"), &note->event);
    if (good) {
        snprintf(note->backup, sizeof note->backup, "%s", backup);
        snprintf(note->host, sizeof note->host, "%s", host);
        snprintf(note->reason, sizeof note->reason, "%s", reason);
    }
    json_free(document);
    if (good)
        return 0;
    log_error("%s is damaged: a member is missing or malformed", what);
    return -1;
}

/* Names */

static char *note_key(const struct repository *repository, uint64_t system_identifier, const char *backup,
                      uint32_t number)
{
    char rest[BACKUP_ID_BYTES + 32];

    snprintf(rest, sizeof rest, "notes/%s.%0*u.json", backup, NUMBER_DIGITS, (unsigned)number);
    return repository_system_key(repository, system_identifier, rest);
}

/* "<backup id>.<number>.json" */
bool note_name_parse(const char *name, char backup[BACKUP_ID_BYTES], uint32_t *number)
{
    if (strlen(name) != ID_LENGTH + 1 + NUMBER_DIGITS + 5 || name[ID_LENGTH] != '.' ||
        strspn(name + ID_LENGTH + 1, "0123456789") != NUMBER_DIGITS ||
        strcmp(name + ID_LENGTH + 1 + NUMBER_DIGITS, ".json") != 0)
        return false;
    snprintf(backup, BACKUP_ID_BYTES, "%.*s", ID_LENGTH, name);
    *number = (uint32_t)strtoul(name + ID_LENGTH + 1, NULL, 10);
    return backup_id_is_valid(backup);
}

/* Reading */

struct listing {
    struct notes *notes;
    uint64_t system_identifier;
    bool failed;
};

/* They come by backup, of each the last one last. */
static bool take_key(void *context, const char *key, uint64_t bytes)
{
    struct listing *listing = context;
    struct notes *notes = listing->notes;
    struct noted *last = notes->count == 0 ? NULL : &notes->items[notes->count - 1];
    char backup[BACKUP_ID_BYTES];
    uint32_t number;

    (void)bytes;
    if (!note_name_parse(strrchr(key, '/') + 1, backup, &number)) {
        log_debug("\"%s\" is no note", key);
        return true;
    }
    if (last != NULL && last->note.system_identifier == listing->system_identifier &&
        strcmp(last->note.backup, backup) == 0) {
        last->number = number;
        return true;
    }
    if (notes->count == notes->capacity) {
        size_t capacity = notes->capacity == 0 ? 8 : 2 * notes->capacity;
        struct noted *grown = realloc(notes->items, capacity * sizeof *grown);
        if (grown == NULL) {
            log_out_of_memory();
            listing->failed = true;
            return false;
        }
        notes->items = grown;
        notes->capacity = capacity;
    }
    struct noted *noted = &notes->items[notes->count++];
    *noted = (struct noted){.number = number, .note.system_identifier = listing->system_identifier};
    snprintf(noted->note.backup, sizeof noted->note.backup, "%s", backup);
    return true;
}

/* prefix: of a backup's id, "" for all. Appends. */
static int list_notes(struct repository *repository, uint64_t system_identifier, const char *prefix,
                      struct notes *notes)
{
    struct listing listing = {notes, system_identifier, false};
    char *rest = string_printf("notes/%s", prefix);
    char *key = rest == NULL ? NULL : repository_system_key(repository, system_identifier, rest);
    const struct store_listing wanted = {.prefix = key, .each = take_key, .context = &listing};
    int result = -1;

    if (key != NULL && store_list(repository->store, &wanted) == STORE_OK && !listing.failed)
        result = 0;
    free(key);
    free(rest);
    return result;
}

enum repository_result note_get(struct repository *repository, uint64_t system_identifier, const char *backup,
                                uint32_t number, struct note *note)
{
    struct buffer text = BUFFER_EMPTY;
    char *key = note_key(repository, system_identifier, backup, number);
    enum repository_result result =
        key == NULL ? REPOSITORY_FAILED : repository_get_small(repository, key, NULL, &text);

    if (result == REPOSITORY_OK) {
        const char *what = store_describe(repository->store, key);
        if (note_parse(text.data, text.length, what, note) != 0) {
            result = REPOSITORY_DAMAGED;
        } else if (note->system_identifier != system_identifier || strcmp(note->backup, backup) != 0) {
            log_error("%s tells of another backup than its name", what);
            result = REPOSITORY_DAMAGED;
        }
    }
    buffer_free(&text);
    free(key);
    return result;
}

static enum repository_result read_note(struct repository *repository, struct noted *noted)
{
    struct note found;
    enum repository_result result =
        note_get(repository, noted->note.system_identifier, noted->note.backup, noted->number, &found);

    if (result == REPOSITORY_FAILED && !repository_answers(repository))
        return REPOSITORY_FAILED;
    if (result == REPOSITORY_OK)
        noted->note = found;
    else
        noted->is_damaged = true; /* also if it can't be read, or was there and is gone */
    return REPOSITORY_OK;
}

static enum repository_result read_notes(struct repository *repository, struct notes *notes)
{
    enum repository_result result = REPOSITORY_OK;

    for (size_t i = 0; i < notes->count && result == REPOSITORY_OK; i++)
        result = read_note(repository, &notes->items[i]);
    if (result != REPOSITORY_OK)
        notes_free(notes);
    return result;
}

enum repository_result notes_load(struct repository *repository, struct notes *notes)
{
    const struct cluster *cluster = &repository->cluster;

    *notes = (struct notes){NULL, 0, 0};
    for (size_t i = 0; i < cluster->generation_count; i++)
        if (list_notes(repository, cluster->generations[i].system_identifier, "", notes) != 0) {
            notes_free(notes);
            return REPOSITORY_FAILED;
        }
    return read_notes(repository, notes);
}

enum repository_result notes_load_of(struct repository *repository, uint64_t system_identifier,
                                     const char *backup, struct notes *notes)
{
    *notes = (struct notes){NULL, 0, 0};
    if (list_notes(repository, system_identifier, backup, notes) != 0) {
        notes_free(notes);
        return REPOSITORY_FAILED;
    }
    return read_notes(repository, notes);
}

void notes_free(struct notes *notes)
{
    free(notes->items);
    *notes = (struct notes){NULL, 0, 0};
}

const struct noted *notes_pin(const struct notes *notes, uint64_t system_identifier, const char *backup)
{
    for (size_t i = 0; i < notes->count; i++) {
        const struct noted *noted = &notes->items[i];
        if (noted->note.system_identifier == system_identifier && strcmp(noted->note.backup, backup) == 0)
            return noted->is_damaged || noted->note.event == NOTE_PIN ? noted : NULL;
    }
    return NULL;
}

/* Writing */

/* The number behind the last one that is there. 0 after logging. */
static uint32_t next_number(struct repository *repository, const struct note *note)
{
    struct notes notes = {NULL, 0, 0};
    uint32_t number = 0;

    if (list_notes(repository, note->system_identifier, note->backup, &notes) == 0)
        number = notes.count == 0 ? 1 : notes.items[notes.count - 1].number + 1;
    notes_free(&notes);
    return number;
}

enum repository_result note_add(struct repository *repository, const struct note *note)
{
    struct buffer text = BUFFER_EMPTY;
    enum repository_result result = REPOSITORY_FAILED;
    uint32_t number = next_number(repository, note), last = number + TRIES_MOST;

    if (number == 0 || note_seal(note, &text) != 0) {
        buffer_free(&text);
        return REPOSITORY_FAILED;
    }
    do {
        char *key = note_key(repository, note->system_identifier, note->backup, number);
        result = key == NULL ? REPOSITORY_FAILED : repository_put_small(repository, key, &text);
        free(key);
    } while (result == REPOSITORY_COLLISION && ++number < last && number <= NOTE_NUMBER_MOST);
    buffer_free(&text);
    if (result == REPOSITORY_OK || result == REPOSITORY_IDENTICAL)
        return REPOSITORY_OK;
    if (result == REPOSITORY_COLLISION)
        log_error("could not store a note about backup %s in repository \"%s\": others take every number",
                  note->backup, repository->settings->name);
    return REPOSITORY_FAILED;
}
