#include "verify_folders.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct verify_kind *const kinds[VERIFY_FOLDERS] = {&verify_index, &verify_restore_points,
                                                                &verify_note};

const struct verify_kind *verify_folder_kind(size_t i)
{
    return kinds[i];
}

void verify_look_at_length(struct verify *verify, const struct verify_kind *kind, const char *key,
                           uint64_t bytes)
{
    if (bytes <= kind->least_bytes)
        findings_add(verify->findings, FINDING_DAMAGED, key,
                     "\"%s\" is damaged: it has only %" PRIu64 " bytes",
                     store_describe(verify->repository->store, key), bytes);
}

struct listing {
    struct verify *verify;
    const struct verify_kind *kind;
    struct verify_folder *folder;
};

static bool take_object(void *context, const char *key, uint64_t bytes)
{
    const struct listing *listing = context;
    struct verify *verify = listing->verify;

    if (listing->kind->is_named(strrchr(key, '/') + 1)) {
        verify_look_at_length(verify, listing->kind, key, bytes);
        listing->folder->objects++;
        listing->folder->bytes += bytes;
    } else if (!verify->settings->is_wal) {
        findings_add(verify->findings, FINDING_ORPHAN, key, "\"%s\" has no name of what lies there",
                     store_describe(verify->repository->store, key));
    }
    return true;
}

static int look_into(struct verify *verify, size_t i)
{
    struct listing listing = {verify, kinds[i], &verify->folders[i]};
    char *prefix =
        repository_system_key(verify->repository, verify->system->system_identifier, kinds[i]->folder);
    struct store_listing wanted = {prefix, NULL, 0, take_object, &listing};
    int result = prefix != NULL && store_list(verify->repository->store, &wanted) == STORE_OK ? 0 : -1;

    free(prefix);
    return result;
}

/* Notes are of backups. */
int verify_folders(struct verify *verify)
{
    for (size_t i = 0; i < VERIFY_FOLDERS; i++)
        if ((kinds[i] != &verify_note || !verify->settings->is_wal) && look_into(verify, i) != 0)
            return -1;
    return 0;
}
