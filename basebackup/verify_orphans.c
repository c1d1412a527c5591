#include "verify_orphans.h"

#include "common/backup_sign.h"
#include "common/log.h"
#include "common/timestamp.h"

#include <stdlib.h>
#include <string.h>

static void tell_strays(struct verify *verify)
{
    for (size_t i = 0; i < verify->inventory.stray_count; i++)
        findings_add(verify->findings, FINDING_ORPHAN, verify->inventory.strays[i],
                     "\"%s\" is not of a backup",
                     store_describe(verify->repository->store, verify->inventory.strays[i]));
}

/* What was begun and never finished */

/* The backup in whose folder the key lies; NULL: in none. */
static const struct inventory_folder *folder_of(const struct verify *verify, const char *prefix,
                                                const char *key)
{
    const char *id = key + strlen(prefix);
    size_t length;

    if (strncmp(key, prefix, strlen(prefix)) != 0)
        return NULL;
    length = strcspn(id, "/");
    for (size_t i = 0; i < verify->inventory.count; i++)
        if (strlen(verify->inventory.folders[i].id) == length &&
            strncmp(verify->inventory.folders[i].id, id, length) == 0)
            return &verify->inventory.folders[i];
    return NULL;
}

struct unfinished_search {
    struct verify *verify;
    char *base; /* prefix of the backups' folders */
    int64_t now;
};

/* Nobody uploads into a complete backup, and into another only while it shows signs of life. Elsewhere age
 * tells. */
static bool is_at_work(const struct unfinished_search *search, const struct store_unfinished *unfinished)
{
    const struct inventory_folder *folder = folder_of(search->verify, search->base, unfinished->key);

    if (folder != NULL && (folder->has_manifest || !folder->is_alive))
        return false;
    return (folder != NULL && folder->is_alive) ||
           search->now - unfinished->begun < BACKUP_ALIVE_MICROSECONDS;
}

static bool tell_unfinished(void *context, const struct store_unfinished *unfinished)
{
    const struct unfinished_search *search = context;
    const char *url = search->verify->repository->settings->url;
    char begun[TIMESTAMP_TEXT_BYTES], bytes[32];

    timestamp_format(unfinished->begun, begun);
    progress_format_bytes(unfinished->bytes, bytes);
    if (is_at_work(search, unfinished))
        return true;
    if (*unfinished->upload_id == '\0')
        findings_add(search->verify->findings, FINDING_ORPHAN, unfinished->key,
                     "\"%s/%s\" is a temporary file that was left behind: %s, last written to at %s", url,
                     unfinished->key, bytes, begun);
    else
        findings_add(
            search->verify->findings, FINDING_ORPHAN, unfinished->key,
            "an upload to \"%s/%s\", begun at %s, was never completed, and its parts take up room (upload "
            "id %s)",
            url, unfinished->key, begun, unfinished->upload_id);
    return true;
}

static int find_unfinished(struct verify *verify)
{
    const struct repository *repository = verify->repository;
    struct unfinished_search search = {
        verify, repository_system_key(repository, verify->system->system_identifier, "base/"),
        store_now(repository->store)};
    char *prefix = repository_system_key(repository, verify->system->system_identifier, "");
    int result =
        search.base != NULL && prefix != NULL &&
                store_list_unfinished(repository->store, prefix, tell_unfinished, &search) == STORE_OK
            ? 0
            : -1;

    free(search.base);
    free(prefix);
    return result;
}

/* Further versions */

struct version_search {
    struct verify *verify;
    char *key; /* owned; at hand */
    unsigned versions;
    bool is_over; /* behind a delete marker: what was given up by somebody who knew */
    bool failed;
};

/* heartbeat.json is replaced on purpose. */
static void tell_versions(const struct version_search *search)
{
    const char *name = search->key == NULL ? NULL : strrchr(search->key, '/');

    if (name == NULL || search->versions < 2 || strcmp(name, "/heartbeat.json") == 0)
        return;
    findings_add(search->verify->findings, FINDING_ORPHAN, search->key,
                 "\"%s\" has %u versions, but is written once: the oldest is the right one",
                 store_describe(search->verify->repository->store, search->key), search->versions);
}

static bool take_version(void *context, const struct store_version *version)
{
    struct version_search *search = context;

    if (search->key == NULL || strcmp(search->key, version->key) != 0) {
        tell_versions(search);
        free(search->key);
        search->key = string_copy(version->key);
        search->versions = 0;
        search->is_over = false;
        search->failed = search->key == NULL;
    }
    search->is_over = search->is_over || version->is_delete_marker;
    search->versions += !search->is_over;
    return !search->failed;
}

static int find_versions(struct verify *verify)
{
    struct version_search search = {.verify = verify};
    char *prefix = repository_system_key(verify->repository, verify->system->system_identifier, "");
    struct store_version_listing wanted = {prefix, NULL, take_version, &search};
    int result = prefix != NULL && store_list_versions(verify->repository->store, &wanted) == STORE_OK &&
                         !search.failed
                     ? 0
                     : -1;

    tell_versions(&search);
    free(search.key);
    free(prefix);
    return result;
}

int verify_orphans(struct verify *verify)
{
    tell_strays(verify);
    if (find_unfinished(verify) != 0)
        return -1;
    return verify->repository->cluster.versioned ? find_versions(verify) : 0;
}
