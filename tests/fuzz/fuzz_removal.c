/* What basebackup-expire asks an S3 store, over answers made of the input: versions and uploads below a
 * prefix, many keys deleted with one request, locks, an upload given up. The first byte chooses the question,
 * the second its details. */
#include "fake_http.h"

#define nanosleep(wanted, left) ((void)(wanted), (void)(left))
#undef PAUSE_FIRST_MICROSECONDS     /* of http.c */
#include "common/store_s3_delete.c" /* its pauses are none */
#undef nanosleep

#define FUZZ_REMOVAL_TOLD_MOST 1000

static bool fuzz_removal_version(void *context, const struct store_version *version)
{
    FUZZ_CHECK(strncmp(version->key, "main/", 5) == 0 && version->version_id != NULL);
    return ++*(unsigned *)context < FUZZ_REMOVAL_TOLD_MOST;
}

static bool fuzz_removal_unfinished(void *context, const struct store_unfinished *unfinished)
{
    FUZZ_CHECK(strncmp(unfinished->key, "main/", 5) == 0 && unfinished->upload_id != NULL);
    return ++*(unsigned *)context < FUZZ_REMOVAL_TOLD_MOST;
}

static void fuzz_removal_delete(struct store *store, unsigned details)
{
    static const char *const versions[] = {NULL, "", "v1", "null"};
    struct store_deletion deletions[] = {
        {.key = "main/a"}, {.key = "main/b"}, {.key = "main/b"}, {.key = "main/c"}};
    size_t count = 1 + (details & 3);

    for (size_t i = 0; i < count; i++)
        deletions[i].version_id = versions[(details >> 2 >> (2 * i % 6)) & 3];
    enum store_result result = store_delete_many(store, deletions, count);
    FUZZ_CHECK(result == STORE_OK || result == STORE_FAILED);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(deletions[i].result == STORE_OK || deletions[i].result == STORE_FAILED ||
                   (deletions[i].result == STORE_DENIED && result == STORE_OK));
}

static void fuzz_removal_lock(struct store *store, const char *version)
{
    struct store_lock lock;

    if (store_get_lock(store, "main/a", version, &lock) == STORE_OK)
        FUZZ_CHECK(lock.is_locked == (lock.is_legal_hold || lock.until > store_now(store)) ||
                   !lock.is_locked);
}

FUZZ_TARGET(removal)
{
    struct fuzz_input input = {data, length};
    unsigned question = fuzz_byte(&input), details = fuzz_byte(&input), told = 0;
    struct store *store = fake_store(input.next, input.left);
    const struct store_version_listing listing = {"main/", (details & 1) != 0 ? "main/a" : NULL,
                                                  fuzz_removal_version, &told};

    FUZZ_CHECK(store != NULL);
    switch (question % 5) {
    case 0:
        store_list_versions(store, &listing);
        break;
    case 1:
        store_list_unfinished(store, "main/", fuzz_removal_unfinished, &told);
        break;
    case 2:
        fuzz_removal_delete(store, details);
        break;
    case 3:
        fuzz_removal_lock(store, (details & 1) != 0 ? "v1" : "");
        break;
    default:
        store_abort_unfinished(store, "main/a", "u1");
        break;
    }
    store_close(store);
    return 0;
}
