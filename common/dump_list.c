/* The list of a repository's dumps. */
#include "dump.h"

#include "backup_sign.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static enum repository_result load_entry(struct repository *repository, struct dump_list *list,
                                         struct dump_entry *entry)
{
    enum repository_result result = load_manifest(repository, entry, &list->keeps_versions);
    char folder[DUMP_ID_BYTES + 8];

    if (result == REPOSITORY_FAILED && !repository_answers(repository))
        return REPOSITORY_FAILED;
    entry->state = result == REPOSITORY_OK       ? DUMP_COMPLETE
                   : result == REPOSITORY_ABSENT ? DUMP_UNFINISHED
                                                 : DUMP_DAMAGED;
    list->damaged += entry->state == DUMP_DAMAGED;
    if (entry->state != DUMP_UNFINISHED)
        return REPOSITORY_OK;
    snprintf(folder, sizeof folder, "dumps/%s", entry->dump.id);
    return sign_last(repository, entry->dump.system_identifier, folder, &entry->heard) == 0
               ? REPOSITORY_OK
               : REPOSITORY_FAILED;
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
    *list = (struct dump_list){NULL, 0, 0, 0, false};
}

const struct dump *dump_list_find(const struct dump_list *list, const char *id)
{
    for (size_t i = list->count; i > 0; i--) {
        const struct dump_entry *entry = &list->entries[i - 1];
        if (entry->state == DUMP_COMPLETE && (strcmp(id, "latest") == 0 || strcmp(id, entry->dump.id) == 0))
            return &entry->dump;
    }
    return NULL;
}
