/* The list of a repository's dumps. */
#include "dump.h"

#include "backup_sign.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCKS_APART_MICROSECONDS 60000000 /* is no wrong clock */

struct id_reading {
    struct dump_list *list;
    uint64_t system_identifier;
    bool failed;
};

static bool take_id(void *context, const char *name)
{
    struct id_reading *reading = context;
    struct dump_list *list = reading->list;

    if (!dump_id_is_valid(name)) {
        log_debug("\"%s\" is not the id of a dump", name);
        return true;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
        struct dump_entry *grown = realloc(list->entries, capacity * sizeof *grown);
        if (grown == NULL) {
            reading->failed = true;
            log_out_of_memory();
            return false;
        }
        list->entries = grown;
        list->capacity = capacity;
    }
    struct dump_entry *entry = &list->entries[list->count++];
    *entry =
        (struct dump_entry){.state = DUMP_UNFINISHED, .dump.system_identifier = reading->system_identifier};
    snprintf(entry->dump.id, sizeof entry->dump.id, "%s", name);
    return true;
}

static enum repository_result load_ids(struct repository *repository, uint64_t system_identifier,
                                       struct dump_list *list)
{
    struct id_reading reading = {list, system_identifier, false};
    char *prefix = repository_system_key(repository, system_identifier, "dumps/");
    enum store_result listed =
        prefix == NULL ? STORE_FAILED : store_list_folders(repository->store, prefix, take_id, &reading);

    free(prefix);
    return (listed == STORE_OK || listed == STORE_ABSENT) && !reading.failed ? REPOSITORY_OK
                                                                             : REPOSITORY_FAILED;
}

static enum repository_result parse_manifest(const struct buffer *text, const char *what,
                                             struct dump_entry *entry)
{
    struct dump dump;

    if (dump_parse(text->data, text->length, what, &dump) != 0)
        return REPOSITORY_DAMAGED;
    if (strcmp(dump.id, entry->dump.id) != 0 || dump.system_identifier != entry->dump.system_identifier) {
        log_error("%s is damaged: it is the manifest of dump %s of system %llu", what, dump.id,
                  (unsigned long long)dump.system_identifier);
        dump_free(&dump);
        return REPOSITORY_DAMAGED;
    }
    entry->dump = dump;
    return REPOSITORY_OK;
}

static enum repository_result load_manifest(struct repository *repository, struct dump_entry *entry,
                                            bool *versioned)
{
    enum repository_result result = REPOSITORY_FAILED;
    struct store_object object = {.modified = 0};
    struct buffer text = BUFFER_EMPTY;
    char *key = dump_key(repository, entry->dump.system_identifier, entry->dump.id, "manifest.json");
    char *what = key == NULL ? NULL : string_copy(store_describe(repository->store, key));

    if (what != NULL)
        result = repository_get_document(repository, key, &text, &object);
    if (result == REPOSITORY_OK) {
        *versioned = *versioned || object.versioned;
        entry->heard = object.modified;
        result = parse_manifest(&text, what, entry);
    }
    buffer_free(&text);
    free(key);
    free(what);
    return result;
}

/* The keys of a folder that are first and last in order: one of them came last, if they came in order. */
struct ends {
    char *keys[2];
    bool failed;
};

static bool take_end(void *context, const char *key, uint64_t bytes)
{
    struct ends *ends = context;
    size_t i = ends->keys[0] != NULL;

    (void)bytes;
    free(ends->keys[i]);
    ends->keys[i] = string_copy(key);
    ends->failed = ends->failed || ends->keys[i] == NULL;
    return !ends->failed;
}

static int newest_object(struct repository *repository, const struct dump *dump, int64_t *time)
{
    struct ends ends = {{NULL, NULL}, false};
    char *prefix = dump_key(repository, dump->system_identifier, dump->id, "");
    const struct store_listing listing = {.prefix = prefix, .each = take_end, .context = &ends};
    int result = -1;

    if (prefix != NULL) {
        enum store_result listed = store_list(repository->store, &listing);
        result = (listed == STORE_OK || listed == STORE_ABSENT) && !ends.failed ? 0 : -1;
    }
    for (size_t i = 0; i < 2; i++) {
        int64_t stored = 0;
        if (result == 0 && ends.keys[i] != NULL &&
            store_time_of(repository->store, ends.keys[i], &stored) < 0)
            result = -1;
        *time = stored > *time ? stored : *time;
        free(ends.keys[i]);
    }
    free(prefix);
    return result;
}

int dump_last_sign(struct repository *repository, const struct dump *dump, int64_t *heard)
{
    char folder[DUMP_ID_BYTES + 8];

    *heard = 0;
    snprintf(folder, sizeof folder, "dumps/%s", dump->id);
    if (sign_last(repository, dump->system_identifier, folder, heard) != 0)
        return -1;
    return *heard != 0 ? 0 : newest_object(repository, dump, heard);
}

static enum repository_result load_entry(struct repository *repository, struct dump_list *list,
                                         struct dump_entry *entry)
{
    enum repository_result result = load_manifest(repository, entry, &list->keeps_versions);

    if (result == REPOSITORY_FAILED && !repository_answers(repository))
        return REPOSITORY_FAILED;
    entry->state = result == REPOSITORY_OK       ? DUMP_COMPLETE
                   : result == REPOSITORY_ABSENT ? DUMP_UNFINISHED
                                                 : DUMP_DAMAGED;
    list->damaged += entry->state == DUMP_DAMAGED;
    if (entry->state != DUMP_UNFINISHED)
        return REPOSITORY_OK;
    return dump_last_sign(repository, &entry->dump, &entry->heard) == 0 ? REPOSITORY_OK : REPOSITORY_FAILED;
}

static int compare_ids(const void *left, const void *right)
{
    const struct dump_entry *a = left, *b = right;

    return strcmp(a->dump.id, b->dump.id);
}

enum repository_result dump_list_load(struct repository *repository, struct dump_list *list)
{
    enum repository_result result = REPOSITORY_OK;

    *list = (struct dump_list){.keeps_versions = repository->cluster.versioned};
    /* Names first: a store can't be asked from within its own listing. */
    for (size_t i = 0; result == REPOSITORY_OK && i < repository->cluster.generation_count; i++)
        result = load_ids(repository, repository->cluster.generations[i].system_identifier, list);
    for (size_t i = 0; result == REPOSITORY_OK && i < list->count; i++)
        result = load_entry(repository, list, &list->entries[i]);
    list->now = store_now(repository->store);
    for (size_t i = 0; result == REPOSITORY_OK && i < list->count; i++)
        if (list->entries[i].state == DUMP_COMPLETE && dump_is_in_future(&list->entries[i].dump, list->now))
            log_warning(
                "dump %s in repository \"%s\" ended in the future, by the server's clock of then: it is "
                "not taken for the latest",
                list->entries[i].dump.id, repository->settings->name);
    if (result != REPOSITORY_OK)
        dump_list_free(list);
    else if (list->count > 1)
        qsort(list->entries, list->count, sizeof *list->entries, compare_ids);
    return result;
}

void dump_list_free(struct dump_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        dump_free(&list->entries[i].dump);
    free(list->entries);
    *list = (struct dump_list){.entries = NULL};
}

bool dump_is_in_future(const struct dump *dump, int64_t now)
{
    return dump->ended > now + CLOCKS_APART_MICROSECONDS;
}

const struct dump *dump_list_find(const struct dump_list *list, const char *id)
{
    bool wants_latest = strcmp(id, "latest") == 0;
    const struct dump *future = NULL;

    for (size_t i = list->count; i > 0; i--) {
        const struct dump_entry *entry = &list->entries[i - 1];
        if (entry->state != DUMP_COMPLETE || (!wants_latest && strcmp(id, entry->dump.id) != 0))
            continue;
        if (!wants_latest || !dump_is_in_future(&entry->dump, list->now))
            return &entry->dump;
        future = future == NULL ? &entry->dump : future;
    }
    return future; /* if there is no other */
}
