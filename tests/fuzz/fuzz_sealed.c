/* What an encrypted repository hands on, of an object that is made of the input: as it is; or sealed by
 * ourselves, and then with one byte altered. The first byte chooses, with how it is read. Never a byte that
 * was not sealed. */
#include "fuzz.h"

#include "common/keyring.h"
#include "common/store_driver.h"

#define FUZZ_SEALED_KEY "main/7000000000000000001/a"

static struct buffer fuzz_sealed_object; /* what lies in the store */

static void fuzz_sealed_close(struct store *store)
{
    (void)store;
}

static enum store_result fuzz_sealed_get(struct store *store, const char *key, const char *version_id,
                                         const struct store_range *range, const struct sink *sink,
                                         struct store_object *object)
{
    uint64_t total = fuzz_sealed_object.length, from = range->offset, length = range->length;

    (void)store;
    (void)version_id;
    if (strcmp(key, FUZZ_SEALED_KEY) != 0)
        return STORE_ABSENT;
    *object = (struct store_object){.total_bytes = total};
    if (range->suffix != 0) {
        from = range->suffix < total ? total - range->suffix : 0;
        length = 0;
    }
    if (from > total || length > total - from)
        return STORE_SHORT;
    return fuzz_push(sink, fuzz_sealed_object.data + from, (size_t)(length == 0 ? total - from : length),
                     1000) == 0
               ? STORE_OK
               : STORE_STOPPED;
}

static enum store_result fuzz_sealed_put(struct store *store, const char *key, const struct body *body,
                                         enum store_condition condition, struct store_object *object)
{
    (void)store;
    (void)key;
    (void)condition;
    *object = (struct store_object){.total_bytes = body->length};
    buffer_clear(&fuzz_sealed_object);
    FUZZ_CHECK(buffer_reserve(&fuzz_sealed_object, body->length) == 0);
    fuzz_sealed_object.length = body->length;
    FUZZ_CHECK(body->read_at(body->context, 0, fuzz_sealed_object.data, body->length) == 0);
    return STORE_OK;
}

FUZZ_TARGET(sealed)
{
    static const struct store_driver driver = {
        .close = fuzz_sealed_close, .get = fuzz_sealed_get, .put_absent = fuzz_sealed_put};
    struct fuzz_input input = {data, length};
    const uint8_t mode = fuzz_byte(&input), first = fuzz_byte(&input), second = fuzz_byte(&input);
    const struct store_range ranges[] = {
        {0, 0, 0}, {0, 0, 1024}, {first, 0, 0}, {first, 1u + second, 0}, {0, 0, 2000u + first}};
    const struct store_range *range = &ranges[(mode >> 2) % 5];
    char path[64];
    int fd = fuzz_file("0123456789abcdef0123456789abcdef", 32, path);
    struct repository_config config = {
        .name = (char *)"here", .path = (char *)"/x", .encryption_key_file = path};
    struct store *store = calloc(1, sizeof *store);
    struct buffer out = BUFFER_EMPTY;
    struct sink sink = sink_to_buffer(&out);
    struct body body = {.data = input.next, .fd = -1, .length = input.left};
    struct sealing_epoch epoch;
    struct store_object object;

    FUZZ_CHECK(store != NULL);
    *store = (struct store){.driver = &driver, .config = &config};
    FUZZ_CHECK(store_sealed_open(store) == 0);
    struct keyring *keyring = keyring_open(&config);
    FUZZ_CHECK(keyring_add(keyring, 1, (const unsigned char *)"0123456789abcdef0123456789ABCDEF", &epoch) ==
               0);
    keyring_set_epoch(keyring, &epoch);
    keyring_close(keyring);
    if (input.left == 0)
        body.data = "";
    if (mode & 1)
        FUZZ_CHECK(store_put_absent(store, FUZZ_SEALED_KEY, &body, STORE_CONDITION_HONOURED, NULL) ==
                   STORE_OK);
    else
        FUZZ_CHECK(buffer_append(&fuzz_sealed_object, body.data, body.length) == 0);
    if ((mode & 3) == 3)
        fuzz_sealed_object.data[(first * 256u + second) % fuzz_sealed_object.length] ^= 1;
    enum store_result result = store_get(store, FUZZ_SEALED_KEY, range, &sink, &object);
    FUZZ_CHECK(result == STORE_OK || result == STORE_DAMAGED || result == STORE_SHORT ||
               result == STORE_FAILED);
    if ((mode & 3) == 1)
        FUZZ_CHECK(result == STORE_OK ? object.total_bytes == body.length : result == STORE_SHORT);
    if ((mode & 1) == 0)
        FUZZ_CHECK(result != STORE_OK && out.length == 0); /* nobody guesses a tag */
    else if (out.length > 0)
        FUZZ_CHECK(memmem(body.data, body.length, out.data, out.length) != NULL);
    if ((mode & 3) == 3 && range == &ranges[0])
        FUZZ_CHECK(result != STORE_OK);
    store_close(store);
    buffer_free(&out);
    buffer_free(&fuzz_sealed_object);
    close(fd);
    return 0;
}
