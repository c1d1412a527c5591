/* Every question to an S3 store but the upload in parts, over answers made of the input: XML of lists and
 * errors, Content-Range, redirects, dates, regions. The first byte chooses the question, the second its
 * details. */
#include "fake_http.h"

#define FUZZ_S3_TOLD_MOST 1000

static bool fuzz_s3_key(void *context, const char *key, uint64_t bytes)
{
    (void)bytes;
    FUZZ_CHECK(strncmp(key, "main/", 5) == 0);
    return ++*(unsigned *)context < FUZZ_S3_TOLD_MOST;
}

static bool fuzz_s3_folder(void *context, const char *name)
{
    FUZZ_CHECK(strchr(name, '/') == NULL);
    return ++*(unsigned *)context < FUZZ_S3_TOLD_MOST;
}

static bool fuzz_s3_version(void *context, const struct store_version *version)
{
    FUZZ_CHECK(version->version_id != NULL);
    return ++*(unsigned *)context < FUZZ_S3_TOLD_MOST;
}

static void fuzz_s3_get(struct store *store, unsigned details, const char *version)
{
    struct store_range range = {0};
    struct store_object object = {0};
    uint64_t bytes = 0;
    const struct sink sink = {fuzz_count, &bytes};

    if ((details & 1) != 0)
        range.offset = details >> 2 & 3;
    if ((details & 2) != 0)
        range.length = details >> 4;
    if (details >= 250)
        range = (struct store_range){.suffix = details - 249};
    if (store_get_version(store, "main/a", version, &range, &sink, &object) != STORE_OK)
        return;
    FUZZ_CHECK(range.suffix == 0 || bytes == range.suffix || bytes == object.total_bytes);
    FUZZ_CHECK(range.suffix != 0 ||
               bytes == (range.length != 0 ? range.length : object.total_bytes - range.offset));
    FUZZ_CHECK(strnlen(object.version_id, sizeof object.version_id) < sizeof object.version_id);
}

FUZZ_TARGET(s3)
{
    struct fuzz_input input = {data, length};
    unsigned question = fuzz_byte(&input), details = fuzz_byte(&input), told = 0;
    struct store *store = fake_store(input.next, input.left);
    const char *version = (details & 1) != 0 ? "v1" : (details & 2) != 0 ? "" : NULL;
    const struct store_listing listing = {"main/", (details & 1) != 0 ? "main/a" : NULL, details >> 1,
                                          fuzz_s3_key, &told};
    struct body body = {.data = "hello", .fd = -1, .length = 5};
    struct store_object object;

    FUZZ_CHECK(store != NULL);
    switch (question % 8) {
    case 0:
        fuzz_s3_get(store, details, NULL);
        break;
    case 1:
        fuzz_s3_get(store, details, version);
        break;
    case 2:
        store_list(store, &listing);
        break;
    case 3:
        store_list_folders(store, "main/", fuzz_s3_folder, &told);
        break;
    case 4:
        store_versions(store, "main/a", fuzz_s3_version, &told);
        break;
    case 5:
        store_put_absent(store, "main/a", &body, (enum store_condition)(details & 3), &object);
        break;
    case 6:
        store_replace(store, "main/a", &body);
        break;
    default:
        store_delete(store, "main/a", version);
        break;
    }
    store_close(store);
    return 0;
}
