/* A document of keys/, its name, a key file, and what is remembered of the newest epoch. */
#include "fuzz.h"

#include "common/document.h"
#include "common/key.h"
#include "common/sealing.h"

/* Of the newest epoch, as state_dir has it. */
static void fuzz_key_mark(const void *data, size_t length)
{
    struct json *document = document_open(data, length, "epoch", "the sealed input"), *again;
    struct sealing_epoch epoch, same;

    if (document != NULL && sealing_epoch_from_json(document, &epoch)) {
        FUZZ_CHECK(epoch.number > 0 && epoch.number <= SEALING_EPOCH_MOST);
        again = json_new_object();
        sealing_epoch_to_json(again, &epoch);
        FUZZ_CHECK(sealing_epoch_from_json(again, &same) && sealing_epochs_are_equal(&epoch, &same));
        json_free(again);
    }
    json_free(document);
}

FUZZ_TARGET(key)
{
    static const unsigned char bytes[CIPHER_KEY_BYTES] = "0123456789abcdef0123456789abcdef";
    unsigned char epoch_key[CIPHER_KEY_BYTES], again[CIPHER_KEY_BYTES];
    struct buffer text = BUFFER_EMPTY, made = BUFFER_EMPTY;
    struct key key, taken;
    struct key_object object;
    char id[KEY_ID_BYTES], name[KEY_NAME_BYTES];
    uint32_t epoch;

    FUZZ_CHECK(key_from_bytes(bytes, &key) == 0);
    key_take(data, length, "the input", &taken);
    fuzz_seal(data, length, &text);
    if (key_object_parse(buffer_string(&text), text.length, "the sealed input", &object) == 0) {
        FUZZ_CHECK(object.epoch > 0 && strlen(object.id) == KEY_ID_BYTES - 1);
        FUZZ_CHECK(object.derivation.n == 0 || key_derivation_is_sensible(&object.derivation));
        memcpy(object.id, key.id, sizeof key.id);
        key_object_unwrap(&object, &key, "the sealed input", epoch_key);
        memcpy(epoch_key, bytes, sizeof epoch_key);
        FUZZ_CHECK(key_object_make(&key, object.epoch, epoch_key,
                                   object.derivation.n != 0 ? &object.derivation : NULL, &made) == 0);
        FUZZ_CHECK(key_object_parse(made.data, made.length, "our own", &object) == 0);
        FUZZ_CHECK(key_object_unwrap(&object, &key, "our own", again) == 0);
        FUZZ_CHECK(memcmp(epoch_key, again, sizeof again) == 0);
    }
    fuzz_key_mark(buffer_string(&text), text.length);
    if (key_object_name_parse(buffer_string(&text), &epoch, id)) {
        key_object_name(epoch, id, name);
        FUZZ_CHECK(strcmp(name + strlen("keys/"), buffer_string(&text)) == 0);
    }
    buffer_free(&text);
    buffer_free(&made);
    return 0;
}
