/* What an encrypted repository hands on, in a store that somebody else writes to. Two objects of one name are
 * sealed, each in one of three epochs, then altered as the input says: bytes, cuts, pieces and headers in
 * other places, documents of keys/; and the store may serve the other object from some request on. Whatever
 * comes out is the content of one of the two from where it was asked for, and a success is all of it.
 *
 * The input: epochs; what is read; two bytes for where; two lengths of two bytes; a number of requests; then
 * alterations of four bytes each. */
#include "fuzz.h"

#include "common/keyring.h"
#include "common/store_driver.h"

#define FUZZ_SEALED_KEY "main/7000000000000000001/a"
#define FUZZ_SEALED_MASTER "0123456789abcdef0123456789abcdef"
#define FUZZ_SEALED_EPOCHS 3
#define FUZZ_SEALED_BYTES_MOST (7u << 15)
#define FUZZ_SEALED_CHANGES_MOST 16

struct fuzz_sealed_place {
    struct buffer objects[2];                    /* as they lie there */
    struct buffer documents[FUZZ_SEALED_EPOCHS]; /* of keys/ */
    unsigned serves;                             /* which object is served */
    unsigned requests, changes_at;               /* 0: the first one is served always */
};
static struct fuzz_sealed_place fuzz_sealed_place;
static struct key fuzz_sealed_master;

static void fuzz_sealed_epoch_key(uint32_t epoch, unsigned char out[CIPHER_KEY_BYTES])
{
    memset(out, (int)('a' + epoch), CIPHER_KEY_BYTES);
}

static void fuzz_sealed_close(struct store *store)
{
    (void)store;
}

static const struct buffer *fuzz_sealed_find(const char *key)
{
    struct fuzz_sealed_place *place = &fuzz_sealed_place;
    char name[KEY_NAME_BYTES];

    if (strcmp(key, FUZZ_SEALED_KEY) == 0) {
        place->serves ^= ++place->requests == place->changes_at;
        return &place->objects[place->serves];
    }
    for (uint32_t i = 0; i < FUZZ_SEALED_EPOCHS; i++) {
        key_object_name(i + 1, fuzz_sealed_master.id, name);
        if (strncmp(key, "main/", 5) == 0 && strcmp(key + 5, name) == 0)
            return place->documents[i].length > 0 ? &place->documents[i] : NULL;
    }
    return NULL;
}

static enum store_result fuzz_sealed_get(struct store *store, const char *key, const char *version_id,
                                         const struct store_range *range, const struct sink *sink,
                                         struct store_object *object)
{
    const struct buffer *found = fuzz_sealed_find(key);
    uint64_t total = found != NULL ? found->length : 0, from = range->offset, length = range->length;

    (void)store;
    (void)version_id;
    if (found == NULL)
        return STORE_ABSENT;
    if (range->suffix != 0) {
        from = range->suffix < total ? total - range->suffix : 0;
        length = 0;
    }
    if (from > total || length > total - from)
        return STORE_SHORT;
    *object = (struct store_object){.total_bytes = total};
    return fuzz_push(sink, buffer_string(found) + from, (size_t)(length == 0 ? total - from : length),
                     1000) == 0
               ? STORE_OK
               : STORE_STOPPED;
}

/* Documents of keys/; there is another epoch, under another key. */
static enum store_result fuzz_sealed_list(struct store *store, const struct store_listing *listing)
{
    char name[KEY_NAME_BYTES], key[5 + KEY_NAME_BYTES];

    (void)store;
    for (uint32_t i = 0; i <= FUZZ_SEALED_EPOCHS; i++) {
        key_object_name(i + 1, i < FUZZ_SEALED_EPOCHS ? fuzz_sealed_master.id : "0123456789abcdef", name);
        snprintf(key, sizeof key, "main/%s", name);
        if (strncmp(key, listing->prefix, strlen(listing->prefix)) == 0 &&
            (i == FUZZ_SEALED_EPOCHS || fuzz_sealed_place.documents[i].length > 0) &&
            !listing->each(listing->context, key, 300))
            break;
    }
    return STORE_OK;
}

static enum store_result fuzz_sealed_put(struct store *store, const char *key, const struct body *body,
                                         enum store_condition condition, struct store_object *object)
{
    struct buffer *out = &fuzz_sealed_place.objects[fuzz_sealed_place.serves];

    (void)store;
    (void)key;
    (void)condition;
    *object = (struct store_object){.total_bytes = body->length};
    buffer_clear(out);
    FUZZ_CHECK(buffer_reserve(out, body->length) == 0);
    out->length = body->length;
    FUZZ_CHECK(body->read_at(body->context, 0, out->data, body->length) == 0);
    return STORE_OK;
}

/* Knows the one epoch, which is the one for new objects. */
static struct store *fuzz_sealed_store(const struct repository_config *config, uint32_t number)
{
    static const struct store_driver driver = {.close = fuzz_sealed_close,
                                               .get = fuzz_sealed_get,
                                               .list = fuzz_sealed_list,
                                               .put_absent = fuzz_sealed_put};
    struct store *store = calloc(1, sizeof *store);
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    struct sealing_epoch epoch;

    FUZZ_CHECK(store != NULL);
    *store = (struct store){.driver = &driver, .config = config};
    FUZZ_CHECK(store_sealed_open(store) == 0);
    struct keyring *keyring = keyring_open(config);
    fuzz_sealed_epoch_key(number, epoch_key);
    FUZZ_CHECK(keyring_add(keyring, number, epoch_key, &epoch) == 0);
    keyring_set_epoch(keyring, &epoch);
    keyring_close(keyring);
    return store;
}

/* Of two contents no byte is the same in the same place. */
static void fuzz_sealed_fill(struct buffer *content, size_t length, unsigned seed)
{
    static unsigned char bytes[FUZZ_SEALED_BYTES_MOST + 1];

    for (size_t i = 0; bytes[1] == 0 && i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251 * 13 + 1);
    FUZZ_CHECK(length < sizeof bytes && buffer_append(content, bytes + seed, length) == 0);
}

/* Documents of keys/, which are the same each time. */
static void fuzz_sealed_wrap(void)
{
    static struct buffer made[FUZZ_SEALED_EPOCHS];
    unsigned char epoch_key[CIPHER_KEY_BYTES];

    for (uint32_t i = 0; i < FUZZ_SEALED_EPOCHS; i++) {
        fuzz_sealed_epoch_key(i + 1, epoch_key);
        FUZZ_CHECK(made[i].length > 0 ||
                   (key_from_bytes((const unsigned char *)FUZZ_SEALED_MASTER, &fuzz_sealed_master) == 0 &&
                    key_object_make(&fuzz_sealed_master, i + 1, epoch_key, NULL, &made[i]) == 0));
        FUZZ_CHECK(buffer_append(&fuzz_sealed_place.documents[i], made[i].data, made[i].length) == 0);
    }
}

/* The piece with this number, as it was sealed; cut where the object ends now. */
static void fuzz_sealed_piece(const struct buffer *object, const struct buffer *content, unsigned number,
                              size_t *offset, size_t *length)
{
    struct sealing_piece piece =
        sealing_piece(content->length, number % sealing_piece_count(content->length));

    *offset = piece.offset < object->length ? (size_t)piece.offset : object->length;
    *length = piece.length < object->length - *offset ? (size_t)piece.length : object->length - *offset;
}

static void fuzz_sealed_swap(struct buffer *object, const struct buffer *content, unsigned to,
                             const struct buffer *other, const struct buffer *other_content, unsigned from)
{
    size_t from_offset, from_length, to_offset, to_length;

    fuzz_sealed_piece(object, content, to, &to_offset, &to_length);
    fuzz_sealed_piece(other, other_content, from, &from_offset, &from_length);
    memmove(object->data + to_offset, other->data + from_offset,
            from_length < to_length ? from_length : to_length);
}

static void fuzz_sealed_change(struct fuzz_input *input, const struct buffer contents[2])
{
    struct fuzz_sealed_place *place = &fuzz_sealed_place;
    unsigned kind = fuzz_byte(input), which = kind >> 4 & 1, a = fuzz_byte(input), b = fuzz_byte(input),
             c = fuzz_byte(input);
    struct buffer *object = &place->objects[which], *document = &place->documents[b % FUZZ_SEALED_EPOCHS];
    size_t at = (size_t)a << 16 | b << 8 | c;
    static const unsigned char zeros[64];

    switch (kind & 7) {
    case 0: /* a byte, from the beginning */
        if (object->length > 0)
            object->data[at % object->length] ^= (unsigned char)(1 << (kind >> 5));
        break;
    case 1: /* a byte, from the end */
        if (object->length > 0)
            object->data[object->length - 1 - at % object->length] ^= (unsigned char)(1 << (kind >> 5));
        break;
    case 2: /* its end */
        object->length -= at % (object->length + 1);
        break;
    case 3: /* a piece in another's place */
        fuzz_sealed_swap(object, &contents[which], a, object, &contents[which], b);
        break;
    case 4: /* a piece of the other object */
        fuzz_sealed_swap(object, &contents[which], a, &place->objects[!which], &contents[!which], b);
        break;
    case 5: /* more at the end: what there is once more, or zeros */
        FUZZ_CHECK(buffer_reserve(object, object->length + sizeof zeros) == 0);
        if (kind >> 5 != 0 || object->length <= sizeof zeros)
            buffer_append(object, zeros, c % sizeof zeros);
        else
            buffer_append(object, object->data + at % (object->length - sizeof zeros), c % sizeof zeros);
        break;
    case 6: /* a document of keys/: altered, or gone */
        if (kind >> 5 == 7)
            buffer_clear(document);
        else if (document->length > 0)
            document->data[a % document->length] = (unsigned char)c;
        break;
    default: /* the header, and the copy of it at the end, with one byte other */
        if (object->length < 2 * SEALING_HEADER_BYTES)
            break;
        object->data[a % SEALING_HEADER_BYTES] = (unsigned char)b;
        object->data[object->length - SEALING_HEADER_BYTES + a % SEALING_HEADER_BYTES] = (unsigned char)b;
    }
}

/* Is it what stands there in the content, and, if all of it was said to come, all of it? */
static bool fuzz_sealed_is_of(const struct buffer *content, const struct store_range *range,
                              const struct buffer *out, bool is_all)
{
    size_t from = range->offset, to = range->length != 0 ? from + range->length : content->length;

    /* before the end was read nobody knows where that is */
    if (range->suffix > SEALING_TAIL_BYTES && !is_all)
        return memmem(buffer_string(content), content->length, buffer_string(out), out->length) != NULL;
    if (range->suffix != 0)
        from = range->suffix < content->length ? content->length - range->suffix : 0;
    return from <= content->length && to <= content->length && out->length <= to - from &&
           (out->length == 0 || memcmp(content->data + from, out->data, out->length) == 0) &&
           (!is_all || out->length == to - from);
}

static void fuzz_sealed_read(struct store *store, const struct buffer contents[2], unsigned choice,
                             unsigned where)
{
    const struct store_range ranges[] = {{0, 0, 0},
                                         {0, 0, 1024},
                                         {where * 4, 0, 0},
                                         {where * 4, 1u + where % 4999, 0},
                                         {0, 0, 1000u + where * 4}};
    const struct store_range *range = &ranges[choice % 5];
    struct buffer out = BUFFER_EMPTY;
    struct sink sink = sink_to_buffer(&out);
    struct store_object object = {.total_bytes = 1};
    enum store_result result = store_get(store, FUZZ_SEALED_KEY, range, &sink, &object);
    bool is_right = false;

    FUZZ_CHECK(result == STORE_OK || result == STORE_DAMAGED || result == STORE_SHORT ||
               result == STORE_FAILED);
    for (int i = 0; i < 2; i++)
        is_right = is_right || (fuzz_sealed_is_of(&contents[i], range, &out, result == STORE_OK) &&
                                (result != STORE_OK || choice % 5 > 1 || /* the end says how long it is */
                                 object.total_bytes == contents[i].length));
    FUZZ_CHECK(is_right || out.length == 0);
    FUZZ_CHECK(is_right || result != STORE_OK);
    buffer_free(&out);
}

static void fuzz_sealed_free(struct buffer contents[2])
{
    struct fuzz_sealed_place *place = &fuzz_sealed_place;

    for (int i = 0; i < 2; i++) {
        buffer_free(&contents[i]);
        buffer_free(&place->objects[i]);
    }
    for (int i = 0; i < FUZZ_SEALED_EPOCHS; i++)
        buffer_free(&place->documents[i]);
    *place = (struct fuzz_sealed_place){.serves = 0};
}

FUZZ_TARGET(sealed)
{
    struct fuzz_sealed_place *place = &fuzz_sealed_place;
    struct fuzz_input input = {data, length};
    const unsigned epochs = fuzz_byte(&input), choice = fuzz_byte(&input), low = fuzz_byte(&input),
                   where = (unsigned)fuzz_byte(&input) << 8 | low;
    struct buffer contents[2] = {BUFFER_EMPTY, BUFFER_EMPTY};
    char path[64];
    int fd = fuzz_file(FUZZ_SEALED_MASTER, CIPHER_KEY_BYTES, path);
    struct repository_config config = {
        .name = (char *)"here", .path = (char *)"/x", .encryption_key_file = path};

    fuzz_sealed_wrap();
    for (unsigned i = 0; i < 2; i++) {
        size_t bytes = fuzz_byte(&input);
        bytes = bytes << 8 | fuzz_byte(&input);
        /* most of them short; up to four chunks */
        fuzz_sealed_fill(&contents[i], bytes < 1u << 15 ? bytes % 5000 : (bytes & 0x7fff) * 7, i);
        struct store *store = fuzz_sealed_store(&config, 1 + (epochs >> (2 * i) & 3) % FUZZ_SEALED_EPOCHS);
        struct body body = {.data = buffer_string(&contents[i]), .fd = -1, .length = contents[i].length};
        place->serves = i;
        FUZZ_CHECK(store_put_absent(store, FUZZ_SEALED_KEY, &body, STORE_CONDITION_HONOURED, NULL) ==
                   STORE_OK);
        store_close(store);
    }
    place->serves = 0;
    place->changes_at = fuzz_byte(&input) % 8;
    for (int i = 0; i < FUZZ_SEALED_CHANGES_MOST && input.left > 0; i++)
        fuzz_sealed_change(&input, contents);
    struct store *store = fuzz_sealed_store(&config, 1 + (epochs >> 4 & 3) % FUZZ_SEALED_EPOCHS);
    fuzz_sealed_read(store, contents, choice, where);
    fuzz_sealed_read(store, contents, choice / 5, where); /* what a header was learnt for */
    store_close(store);
    fuzz_sealed_free(contents);
    close(fd);
    return 0;
}
