/* A document of keys/, its name, and a key file. */
#include "fuzz.h"

#include "common/key.h"

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
    if (key_object_name_parse(buffer_string(&text), &epoch, id)) {
        key_object_name(epoch, id, name);
        FUZZ_CHECK(strcmp(name + strlen("keys/"), buffer_string(&text)) == 0);
    }
    buffer_free(&text);
    buffer_free(&made);
    return 0;
}
