#include "sealing.h"

#include "digest.h"
#include "log.h"

#include <string.h>

#define FORMAT_VERSION 1
#define OBJECT_INFO "walferry object 1"
#define EPOCH_INFO "walferry epoch id"
#define LENGTH_BYTES 8

/* What a piece is: a part of its nonce, and of what is authenticated beside it. */
enum { PIECE_CHUNK = 1, PIECE_LAST_CHUNK = 2, PIECE_FOOTER = 3 };

static void put_le(unsigned char *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (unsigned char)(value >> 8 * i);
}

static uint64_t get_le(const unsigned char *in, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)in[i] << 8 * i;
    return value;
}

int sealing_epoch_of(uint32_t number, const unsigned char epoch_key[CIPHER_KEY_BYTES],
                     struct sealing_epoch *epoch)
{
    unsigned char id[CIPHER_KEY_BYTES];

    epoch->number = number;
    if (hkdf_sha256(epoch_key, CIPHER_KEY_BYTES, "", 0, EPOCH_INFO, id) != 0)
        return -1;
    memcpy(epoch->id, id, sizeof epoch->id);
    return 0;
}

bool sealing_epochs_are_equal(const struct sealing_epoch *left, const struct sealing_epoch *right)
{
    return left->number == right->number && memcmp(left->id, right->id, sizeof left->id) == 0;
}

void sealing_epoch_to_json(struct json *object, const struct sealing_epoch *epoch)
{
    char id[2 * SEALING_EPOCH_ID_BYTES + 1];

    hex_encode(epoch->id, sizeof epoch->id, id);
    json_set_uint(object, "epoch", epoch->number);
    json_set_string(object, "epoch_id", id);
}

bool sealing_epoch_from_json(const struct json *object, struct sealing_epoch *epoch)
{
    const char *id = json_text(object, "epoch_id");
    struct sealing_epoch read;
    uint64_t number;

    if (json_uint(object, "epoch", &number) != 0 || number == 0 || number > SEALING_EPOCH_MOST ||
        id == NULL || !hex_decode(id, read.id, sizeof read.id))
        return false;
    read.number = (uint32_t)number;
    *epoch = read;
    return true;
}

/* Header: magic 8, version 4, chunk bytes 4, epoch 4, its id 8, zeros 4, salt 32. */

void sealing_header_write(const struct sealing_header *header, unsigned char out[SEALING_HEADER_BYTES])
{
    memset(out, 0, SEALING_HEADER_BYTES);
    memcpy(out, SEALING_MAGIC, SEALING_MAGIC_BYTES);
    put_le(out + 8, FORMAT_VERSION, 4);
    put_le(out + 12, SEALING_CHUNK_BYTES, 4);
    put_le(out + 16, header->epoch.number, 4);
    memcpy(out + 20, header->epoch.id, SEALING_EPOCH_ID_BYTES);
    memcpy(out + 32, header->salt, SEALING_SALT_BYTES);
}

const char *sealing_header_parse(const unsigned char in[SEALING_HEADER_BYTES], struct sealing_header *header)
{
    uint64_t epoch = get_le(in + 16, 4);

    if (memcmp(in, SEALING_MAGIC, SEALING_MAGIC_BYTES) != 0)
        return "it does not begin and end as an encrypted object does";
    if (get_le(in + 8, 4) != FORMAT_VERSION)
        return "it is encrypted in a form that this version of walferry does not know";
    if (get_le(in + 12, 4) != SEALING_CHUNK_BYTES || get_le(in + 28, 4) != 0 || epoch == 0 ||
        epoch > SEALING_EPOCH_MOST)
        return "its header is malformed";
    header->epoch.number = (uint32_t)epoch;
    memcpy(header->epoch.id, in + 20, SEALING_EPOCH_ID_BYTES);
    memcpy(header->salt, in + 32, SEALING_SALT_BYTES);
    return NULL;
}

bool sealing_is_end(const void *data, size_t length)
{
    return length >= SEALING_HEADER_BYTES &&
           memcmp((const unsigned char *)data + length - SEALING_HEADER_BYTES, SEALING_MAGIC,
                  SEALING_MAGIC_BYTES) == 0;
}

/* Lengths */

static uint64_t tail_bytes(uint64_t plain_bytes)
{
    return plain_bytes < SEALING_TAIL_BYTES ? plain_bytes : SEALING_TAIL_BYTES;
}

static uint64_t chunk_count(uint64_t plain_bytes)
{
    uint64_t body = plain_bytes - tail_bytes(plain_bytes);

    return body / SEALING_CHUNK_BYTES + (body % SEALING_CHUNK_BYTES != 0);
}

uint64_t sealing_stored_bytes(uint64_t plain_bytes)
{
    return SEALING_HEADER_BYTES + plain_bytes + chunk_count(plain_bytes) * CIPHER_TAG_BYTES + LENGTH_BYTES +
           CIPHER_TAG_BYTES + SEALING_HEADER_BYTES;
}

bool sealing_plain_bytes(uint64_t stored_bytes, uint64_t *plain_bytes)
{
    const uint64_t least = sealing_stored_bytes(0);
    uint64_t chunks = 0;

    if (stored_bytes < least)
        return false;
    if (stored_bytes - least > SEALING_TAIL_BYTES) {
        uint64_t chunked = stored_bytes - least - SEALING_TAIL_BYTES;
        chunks = chunked / SEALING_PIECE_BYTES_MOST + (chunked % SEALING_PIECE_BYTES_MOST != 0);
    }
    if (chunks * CIPHER_TAG_BYTES > stored_bytes - least)
        return false;
    *plain_bytes = stored_bytes - least - chunks * CIPHER_TAG_BYTES;
    return sealing_stored_bytes(*plain_bytes) == stored_bytes;
}

uint64_t sealing_piece_count(uint64_t plain_bytes)
{
    return chunk_count(plain_bytes) + 2;
}

struct sealing_piece sealing_piece(uint64_t plain_bytes, uint64_t number)
{
    uint64_t tail = tail_bytes(plain_bytes), body = plain_bytes - tail, chunks = chunk_count(plain_bytes);
    struct sealing_piece piece = {.length = SEALING_HEADER_BYTES, .is_header = true};

    if (number == 0)
        return piece;
    piece.is_header = false;
    if (number > chunks) {
        piece.is_footer = true;
        piece.plain_offset = body;
        piece.plain_length = (size_t)tail;
        piece.offset = SEALING_HEADER_BYTES + body + chunks * CIPHER_TAG_BYTES;
        piece.length = LENGTH_BYTES + tail + CIPHER_TAG_BYTES + SEALING_HEADER_BYTES;
        return piece;
    }
    piece.is_last = number == chunks;
    piece.plain_offset = (number - 1) * SEALING_CHUNK_BYTES;
    piece.plain_length = piece.is_last ? (size_t)(body - piece.plain_offset) : SEALING_CHUNK_BYTES;
    piece.offset = SEALING_HEADER_BYTES + (number - 1) * SEALING_PIECE_BYTES_MOST;
    piece.length = piece.plain_length + CIPHER_TAG_BYTES;
    return piece;
}

uint64_t sealing_piece_of(uint64_t plain_bytes, uint64_t plain_offset)
{
    return plain_offset >= plain_bytes - tail_bytes(plain_bytes) ? chunk_count(plain_bytes) + 1
                                                                 : plain_offset / SEALING_CHUNK_BYTES + 1;
}

/* One object */

int sealing_begin(struct sealing *sealing, const unsigned char epoch_key[CIPHER_KEY_BYTES],
                  const struct sealing_header *header, const char *name)
{
    unsigned char key[CIPHER_KEY_BYTES];
    size_t length = strlen(name);
    int result = -1;

    if (length > SEALING_NAME_BYTES_MOST) {
        log_error("the key \"%s\" is too long", name);
        return -1;
    }
    sealing_header_write(header, sealing->header);
    memcpy(sealing->associated, sealing->header, SEALING_HEADER_BYTES);
    memcpy(sealing->associated + SEALING_HEADER_BYTES + 9, name, length);
    sealing->associated_length = SEALING_HEADER_BYTES + 9 + length;
    if (hkdf_sha256(epoch_key, CIPHER_KEY_BYTES, header->salt, SEALING_SALT_BYTES, OBJECT_INFO, key) == 0)
        result = cipher_begin(&sealing->cipher, key);
    explicit_bzero(key, sizeof key);
    return result;
}

int sealing_begin_new(struct sealing *sealing, const unsigned char epoch_key[CIPHER_KEY_BYTES],
                      const struct sealing_epoch *epoch, const char *name)
{
    struct sealing_header header = {.epoch = *epoch};

    if (random_bytes(header.salt, sizeof header.salt) != 0)
        return -1;
    return sealing_begin(sealing, epoch_key, &header, name);
}

void sealing_end(struct sealing *sealing)
{
    cipher_free(&sealing->cipher);
}

/* The frame of a piece. The key is of one object, so kind and number are nonce enough. */
static struct cipher_frame frame_of(struct sealing *sealing, unsigned char kind, uint64_t number)
{
    struct cipher_frame frame = {.associated = sealing->associated,
                                 .associated_length = sealing->associated_length};
    unsigned char *place = sealing->associated + SEALING_HEADER_BYTES;

    place[0] = kind;
    put_le(place + 1, number, 8);
    frame.nonce[0] = kind;
    put_le(frame.nonce + 4, number, 8);
    return frame;
}

int sealing_seal_chunk(struct sealing *sealing, uint64_t number, bool is_last, const void *plain,
                       size_t length, unsigned char *out)
{
    struct cipher_frame frame = frame_of(sealing, is_last ? PIECE_LAST_CHUNK : PIECE_CHUNK, number);

    return cipher_seal(&sealing->cipher, &frame, plain, length, out, out + length);
}

int sealing_open_chunk(struct sealing *sealing, uint64_t number, bool is_last, const unsigned char *piece,
                       size_t plain_length, unsigned char *plain)
{
    struct cipher_frame frame = frame_of(sealing, is_last ? PIECE_LAST_CHUNK : PIECE_CHUNK, number);

    return cipher_open(&sealing->cipher, &frame, piece, plain_length, piece + plain_length, plain);
}

int sealing_seal_footer(struct sealing *sealing, uint64_t plain_bytes, const void *tail, unsigned char *out)
{
    size_t length = (size_t)tail_bytes(plain_bytes), sealed = LENGTH_BYTES + length;
    struct cipher_frame frame = frame_of(sealing, PIECE_FOOTER, chunk_count(plain_bytes));

    put_le(out, plain_bytes, LENGTH_BYTES);
    memcpy(out + LENGTH_BYTES, tail, length);
    memcpy(out + sealed + CIPHER_TAG_BYTES, sealing->header, SEALING_HEADER_BYTES);
    return cipher_seal(&sealing->cipher, &frame, out, sealed, out, out + sealed);
}

int sealing_open_footer(struct sealing *sealing, uint64_t plain_bytes, unsigned char *piece)
{
    size_t sealed = LENGTH_BYTES + (size_t)tail_bytes(plain_bytes);
    struct cipher_frame frame = frame_of(sealing, PIECE_FOOTER, chunk_count(plain_bytes));
    int result = cipher_open(&sealing->cipher, &frame, piece, sealed, piece + sealed, piece);

    if (result == 0 &&
        (get_le(piece, LENGTH_BYTES) != plain_bytes ||
         memcmp(piece + sealed + CIPHER_TAG_BYTES, sealing->header, SEALING_HEADER_BYTES) != 0))
        return 1;
    return result;
}
