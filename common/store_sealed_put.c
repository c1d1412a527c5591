/* Writing what is sealed: a body that is sealed as it is sent, and uploads. */
#include "store_sealed.h"

#include "digest.h"
#include "file.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

/* A body that is sealed as it is read: the same bytes however often and from wherever. */
struct sealed_body {
    const struct body *plain;
    struct sealing *sealing;
    uint64_t number; /* of the piece that is held */
    bool holds_piece;
    struct sealing_piece piece;
    unsigned char plain_bytes[SEALING_CHUNK_BYTES], bytes[SEALING_PIECE_BYTES_MOST];
};

static uint64_t piece_at(const struct sealed_body *body, uint64_t offset)
{
    uint64_t last = sealing_piece_count(body->plain->length) - 1, number;

    if (offset < SEALING_HEADER_BYTES)
        return 0;
    number = (offset - SEALING_HEADER_BYTES) / SEALING_PIECE_BYTES_MOST + 1;
    if (number > last)
        number = last;
    /* the last chunk may be short, with the footer right behind it */
    return number < last && offset >= sealing_piece(body->plain->length, last).offset ? last : number;
}

/* out: the piece's length. */
static int seal_piece(struct sealed_body *body, uint64_t number, const struct sealing_piece *piece,
                      unsigned char *out)
{
    const unsigned char *plain = body->plain_bytes;

    if (piece->is_header) {
        memcpy(out, body->sealing->header, SEALING_HEADER_BYTES);
        return 0;
    }
    if (body->plain->data != NULL)
        plain = (const unsigned char *)body->plain->data + piece->plain_offset;
    else if (body_read(body->plain, piece->plain_offset, body->plain_bytes, piece->plain_length) != 0)
        return -1;
    return piece->is_footer
               ? sealing_seal_footer(body->sealing, body->plain->length, plain, out)
               : sealing_seal_chunk(body->sealing, number, piece->is_last, plain, piece->plain_length, out);
}

static int hold_piece(struct sealed_body *body, uint64_t number, const struct sealing_piece *piece)
{
    body->piece = *piece;
    body->number = number;
    body->holds_piece = seal_piece(body, number, piece, body->bytes) == 0;
    return body->holds_piece ? 0 : -1;
}

static int read_sealed(void *context, uint64_t offset, void *out, size_t length)
{
    struct sealed_body *body = context;
    unsigned char *next = out;

    while (length > 0) {
        uint64_t number = piece_at(body, offset);
        const struct sealing_piece piece = sealing_piece(body->plain->length, number);
        size_t at = (size_t)(offset - piece.offset), take = (size_t)piece.length - at;
        if (take > length)
            take = length;
        if (take == piece.length) { /* all of it is wanted */
            if (seal_piece(body, number, &piece, next) != 0)
                return -1;
        } else {
            if ((!body->holds_piece || body->number != number) && hold_piece(body, number, &piece) != 0)
                return -1;
            memcpy(next, body->bytes + at, take);
        }
        next += take;
        offset += take;
        length -= take;
    }
    return 0;
}

/* S3 is told the SHA-256 of what it gets. */
static int sign(struct sealed_body *body, unsigned char sha256[SHA256_BYTES])
{
    struct sha256 hash = {NULL};
    uint64_t count = sealing_piece_count(body->plain->length);
    int result = sha256_begin(&hash);

    for (uint64_t number = 0; result == 0 && number < count; number++) {
        const struct sealing_piece piece = sealing_piece(body->plain->length, number);
        result = hold_piece(body, number, &piece);
        if (result == 0)
            sha256_update(&hash, body->bytes, (size_t)piece.length);
    }
    if (result == 0)
        sha256_finish(&hash, sha256);
    sha256_free(&hash);
    return result;
}

/* put NULL: it replaces. */
static enum store_result put_sealed(struct sealed *sealed, const char *key, const struct body *plain,
                                    const enum store_condition *condition, struct store_object *object)
{
    struct sealing sealing = {.associated_length = 0};
    struct sealed_body *sealed_body = malloc(sizeof *sealed_body);
    struct body body = {.fd = -1, .length = sealing_stored_bytes(plain->length), .read_at = read_sealed};
    struct buffer small = BUFFER_EMPTY; /* what replaces must be in memory; so is what is small */
    enum store_result result = STORE_FAILED;

    if (sealed_body == NULL) {
        log_out_of_memory();
        return STORE_FAILED;
    }
    sealed_body->plain = plain;
    sealed_body->sealing = &sealing;
    sealed_body->holds_piece = false;
    body.context = sealed_body;
    if (sealed_begin_new(sealed, key, &sealing) != 0)
        goto done;
    if (condition == NULL) {
        if (buffer_reserve(&small, (size_t)body.length) != 0 ||
            read_sealed(sealed_body, 0, small.data, (size_t)body.length) != 0)
            goto done;
        body.data = small.data;
        body.read_at = NULL;
    }
    if (sealed->inner.config->kind == REPOSITORY_S3 && sign(sealed_body, body.sha256) != 0)
        goto done;
    result = condition != NULL
                 ? sealed->inner.driver->put_absent(&sealed->inner, key, &body, *condition, object)
                 : sealed->inner.driver->replace(&sealed->inner, key, &body);
    if (condition != NULL)
        object->total_bytes = plain->length;
done:
    explicit_bzero(sealed_body->plain_bytes, sizeof sealed_body->plain_bytes);
    free(sealed_body);
    buffer_free(&small);
    sealing_end(&sealing);
    return result;
}

enum store_result sealed_put_absent(struct store *store, const char *key, const struct body *body,
                                    enum store_condition condition, struct store_object *object)
{
    struct sealed *sealed = store->own;

    return sealed_name(key) == NULL
               ? sealed->inner.driver->put_absent(&sealed->inner, key, body, condition, object)
               : put_sealed(sealed, key, body, &condition, object);
}

enum store_result sealed_replace(struct store *store, const char *key, const struct body *body)
{
    struct sealed *sealed = store->own;

    return sealed_name(key) == NULL ? sealed->inner.driver->replace(&sealed->inner, key, body)
                                    : put_sealed(sealed, key, body, NULL, NULL);
}

/* Uploads: what may be the last chunk and the tail is held back until more comes. */

struct sealed_upload {
    const struct store_driver *driver; /* the inner one */
    void *own;
    bool is_sealed;
    struct sealing sealing;
    uint64_t plain_bytes, chunks;
    size_t held;
    unsigned char plain[SEALING_CHUNK_BYTES + SEALING_TAIL_BYTES], piece[SEALING_PIECE_BYTES_MOST];
};

static void free_upload(struct sealed_upload *upload)
{
    sealing_end(&upload->sealing);
    explicit_bzero(upload->plain, sizeof upload->plain);
    free(upload);
}

void sealed_upload_abort(void *own)
{
    struct sealed_upload *upload = own;

    upload->driver->upload_abort(upload->own);
    free_upload(upload);
}

void *sealed_upload_begin(struct store *store, const char *key, uint64_t expected_bytes,
                          enum store_condition condition)
{
    struct sealed *sealed = store->own;
    struct sealed_upload *upload = malloc(sizeof *upload);
    uint64_t expected = expected_bytes == 0 ? 0 : sealing_stored_bytes(expected_bytes);

    if (upload == NULL) {
        log_out_of_memory();
        return NULL;
    }
    upload->driver = sealed->inner.driver;
    upload->is_sealed = sealed_name(key) != NULL;
    upload->sealing.cipher.state = NULL;
    upload->plain_bytes = upload->chunks = upload->held = 0;
    if (upload->is_sealed && sealed_begin_new(sealed, key, &upload->sealing) != 0) {
        free_upload(upload);
        return NULL;
    }
    upload->own = upload->driver->upload_begin(&sealed->inner, key, expected, condition);
    if (upload->own == NULL) {
        free_upload(upload);
        return NULL;
    }
    if (upload->is_sealed &&
        upload->driver->upload_write(upload->own, upload->sealing.header, SEALING_HEADER_BYTES) != 0) {
        sealed_upload_abort(upload);
        return NULL;
    }
    return upload;
}

/* The first length bytes of what is held become a chunk. */
static int send_chunk(struct sealed_upload *upload, size_t length, bool is_last)
{
    if (sealing_seal_chunk(&upload->sealing, ++upload->chunks, is_last, upload->plain, length,
                           upload->piece) != 0 ||
        upload->driver->upload_write(upload->own, upload->piece, length + CIPHER_TAG_BYTES) != 0)
        return -1;
    upload->held -= length;
    memmove(upload->plain, upload->plain + length, upload->held);
    return 0;
}

int sealed_upload_write(void *own, const void *data, size_t length)
{
    struct sealed_upload *upload = own;
    const unsigned char *next = data;

    if (!upload->is_sealed)
        return upload->driver->upload_write(upload->own, data, length);
    while (length > 0) {
        if (upload->held == sizeof upload->plain && send_chunk(upload, SEALING_CHUNK_BYTES, false) != 0)
            return -1;
        size_t take = sizeof upload->plain - upload->held;
        if (take > length)
            take = length;
        memcpy(upload->plain + upload->held, next, take);
        upload->held += take;
        upload->plain_bytes += take;
        next += take;
        length -= take;
    }
    return 0;
}

static int send_end(struct sealed_upload *upload)
{
    size_t tail = upload->held < SEALING_TAIL_BYTES ? upload->held : SEALING_TAIL_BYTES;
    unsigned char footer[SEALING_FOOTER_BYTES_MOST];

    if (upload->held > tail && send_chunk(upload, upload->held - tail, true) != 0)
        return -1;
    if (sealing_seal_footer(&upload->sealing, upload->plain_bytes, upload->plain, footer) != 0)
        return -1;
    return upload->driver->upload_write(upload->own, footer, sizeof footer - SEALING_TAIL_BYTES + tail);
}

enum store_result sealed_upload_finish(void *own, struct store_object *object)
{
    struct sealed_upload *upload = own;
    enum store_result result;

    if (upload->is_sealed && send_end(upload) != 0) {
        sealed_upload_abort(upload);
        return STORE_FAILED;
    }
    result = upload->driver->upload_finish(upload->own, object);
    if (upload->is_sealed)
        object->total_bytes = upload->plain_bytes;
    free_upload(upload);
    return result;
}

static int write_on(void *context, const void *data, size_t length)
{
    return sealed_upload_write(context, data, length);
}

/* The store cannot copy it by itself: an object is bound to its key. It is read by a store of its own, since
 * a full part is sent while more comes, and a connection does one thing at a time. */
enum store_result sealed_copy(struct store *store, const char *from, const char *to)
{
    struct sealed *sealed = store->own;
    struct store_object object;
    enum store_result result;

    if (sealed_name(from) == NULL && sealed_name(to) == NULL)
        return sealed->inner.driver->copy(&sealed->inner, from, to);
    if (sealed->reader == NULL)
        sealed->reader = store_open(store->config, &sealed->inner.limits);
    if (sealed->reader == NULL)
        return STORE_FAILED;
    store_set_limits(sealed->reader, &sealed->inner.limits);
    /* as S3's own copy: the key is one that nobody else writes */
    void *upload = sealed_upload_begin(store, to, 0, STORE_CONDITION_REFUSED);
    if (upload == NULL)
        return STORE_FAILED;
    const struct sink sink = {write_on, upload};
    result = store_get(sealed->reader, from, NULL, &sink, &object);
    if (result == STORE_OK)
        return sealed_upload_finish(upload, &object);
    sealed_upload_abort(upload);
    return result == STORE_ABSENT ? STORE_ABSENT : STORE_FAILED;
}
