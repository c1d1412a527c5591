/* A bucket as it was at an earlier time (as_of), and what is asked of single versions: holds, copies, what is
 * put back. Over answers made of the input; the first byte chooses the question, the second its details. */
#include "fake_http.h"

#define FUZZ_PAST_AS_OF 1795254000000000ll
#define FUZZ_PAST_TOLD_MOST 1000

static char fuzz_past_last[1100];

static bool fuzz_past_key(void *context, const char *key, uint64_t bytes)
{
    (void)bytes;
    FUZZ_CHECK(strncmp(key, "main/", 5) == 0);
    return ++*(unsigned *)context < FUZZ_PAST_TOLD_MOST;
}

static bool fuzz_past_folder(void *context, const char *name)
{
    FUZZ_CHECK(*name == '\0' || strchr(name, '/') == NULL);
    return ++*(unsigned *)context < FUZZ_PAST_TOLD_MOST;
}

/* Only what was there then; and the newest of then comes first. */
static bool fuzz_past_version(void *context, const struct store_version *version)
{
    FUZZ_CHECK(version->modified != 0 && version->modified <= FUZZ_PAST_AS_OF);
    FUZZ_CHECK(version->is_latest == (strcmp(fuzz_past_last, version->key) != 0) ||
               strlen(version->key) >= sizeof fuzz_past_last);
    snprintf(fuzz_past_last, sizeof fuzz_past_last, "%s", version->key);
    return ++*(unsigned *)context < FUZZ_PAST_TOLD_MOST;
}

static void fuzz_past_read(struct store *store, unsigned question, unsigned details)
{
    const char *after = (details & 1) != 0 ? "main/a" : NULL;
    unsigned told = 0;
    const struct store_listing keys = {"main/", after, 0, fuzz_past_key, &told};
    const struct store_version_listing versions = {"main/", after, fuzz_past_version, &told};
    const struct store_range range = {.suffix = details >> 1};
    uint64_t bytes = 0;
    const struct sink sink = {fuzz_count, &bytes};
    struct store_object object;

    fuzz_past_last[0] = '\0';
    switch (question) {
    case 0:
        store_list(store, &keys);
        break;
    case 1:
        store_list_folders(store, "main/", fuzz_past_folder, &told);
        break;
    case 2:
        store_versions(store, "main/a", fuzz_past_version, &told);
        break;
    case 3:
        store_list_versions(store, &versions);
        break;
    default:
        if (store_get(store, "main/a", &range, &sink, &object) == STORE_OK)
            FUZZ_CHECK(bytes == object.total_bytes || (range.suffix != 0 && bytes == range.suffix));
    }
}

FUZZ_TARGET(past)
{
    static char as_of[] = "2026-11-20 14:20:00+00";
    struct fuzz_input input = {data, length};
    unsigned question = fuzz_byte(&input) % 10, details = fuzz_byte(&input);
    int64_t time;

    fake_settings = (struct s3_settings){.legal_hold = true};
    if (question < 5)
        fake_settings = (struct s3_settings){.as_of = FUZZ_PAST_AS_OF, .as_of_text = as_of};
    struct store *store = fake_store(input.next, input.left);
    fake_settings = (struct s3_settings){.as_of = 0};
    FUZZ_CHECK(store != NULL);
    switch (question) {
    case 5:
        store_set_hold(store, "main/a", (details & 1) != 0 ? "v1" : "", (details & 2) != 0);
        break;
    case 6:
        store_put_back(store, "main/a", "v1");
        break;
    case 7:
        store_copy(store, "main/a", "main/b");
        break;
    case 8:
        FUZZ_CHECK(store_time_of(store, "main/a", &time) >= -1);
        break;
    case 9:
        store_now(store);
        store_delete(store, "main/a", (details & 1) != 0 ? "v1" : NULL);
        break;
    default:
        fuzz_past_read(store, question, details);
    }
    store_close(store);
    return 0;
}
