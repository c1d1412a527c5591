/* The form in which an object lies in an encrypted repository: a header, chunks of 64 KiB, and a footer with
 * the end of the content, each sealed by AES-256-GCM under a key of this object alone. Layer 1; no network,
 * no key files. Format: docs/encryption.md.
 *
 *     header 64 | chunk 65536 + 16 | ... | last chunk + 16 | footer: 8 + tail + 16, then the header once more
 *
 * The tail is the last 1,024 bytes of the content (all of a shorter one): what a trailer or a small document
 * needs is had by reading the end of the object alone. */
#ifndef WALFERRY_SEALING_H
#define WALFERRY_SEALING_H

#include "buffer.h"
#include "cipher.h"
#include "json.h"

#include <stdbool.h>

#define SEALING_MAGIC "WALFSEAL"
#define SEALING_MAGIC_BYTES 8
#define SEALING_HEADER_BYTES 64
#define SEALING_SALT_BYTES 32
#define SEALING_CHUNK_BYTES (64u * 1024)
#define SEALING_TAIL_BYTES 1024u
#define SEALING_FOOTER_BYTES_MOST (8 + SEALING_TAIL_BYTES + CIPHER_TAG_BYTES + SEALING_HEADER_BYTES)
/* The longest of the pieces that an object is made of. */
#define SEALING_PIECE_BYTES_MOST (SEALING_CHUNK_BYTES + CIPHER_TAG_BYTES)
#define SEALING_EPOCH_MOST 99999999u
#define SEALING_NAME_BYTES_MOST 1024

/* Which key an object is sealed with. The number alone is not enough: a repository that was emptied and made
 * anew begins with 1 again. */
#define SEALING_EPOCH_ID_BYTES 8
struct sealing_epoch {
    uint32_t number; /* 1 to SEALING_EPOCH_MOST; 0: none */
    unsigned char id[SEALING_EPOCH_ID_BYTES];
};
/* The epoch of that number with this key. 0, or -1 after logging. */
int sealing_epoch_of(uint32_t number, const unsigned char epoch_key[CIPHER_KEY_BYTES],
                     struct sealing_epoch *epoch);
bool sealing_epochs_are_equal(const struct sealing_epoch *left, const struct sealing_epoch *right);
/* Members "epoch" and "epoch_id". False: they are not there, or malformed; the epoch is then unchanged. */
void sealing_epoch_to_json(struct json *object, const struct sealing_epoch *epoch);
bool sealing_epoch_from_json(const struct json *object, struct sealing_epoch *epoch);

struct sealing_header {
    struct sealing_epoch epoch;
    unsigned char salt[SEALING_SALT_BYTES];
};
void sealing_header_write(const struct sealing_header *header, unsigned char out[SEALING_HEADER_BYTES]);
/* NULL, or what is wrong with it: "it ..." */
const char *sealing_header_parse(const unsigned char in[SEALING_HEADER_BYTES], struct sealing_header *header);

/* Is this the end of an object that was encrypted so? */
bool sealing_is_end(const void *data, size_t length);

/* How long an object of so many plain bytes is, and the other way round; false: none is so long. */
uint64_t sealing_stored_bytes(uint64_t plain_bytes);
bool sealing_plain_bytes(uint64_t stored_bytes, uint64_t *plain_bytes);

/* The pieces of an object: its header, chunks from 1 on, its footer. */
struct sealing_piece {
    uint64_t offset, length;            /* in the stored object */
    uint64_t plain_offset;              /* of a chunk, and of a footer's tail */
    size_t plain_length;                /* 0 of a header */
    bool is_header, is_last, is_footer; /* is_last: of the chunks */
};
uint64_t sealing_piece_count(uint64_t plain_bytes);
/* number: from 0, the header, to the footer, the last one. */
struct sealing_piece sealing_piece(uint64_t plain_bytes, uint64_t number);
/* The number of the chunk, or of the footer, that has this byte of the content. */
uint64_t sealing_piece_of(uint64_t plain_bytes, uint64_t plain_offset);

/* One object's key, and what its pieces are bound to. All zero before the first sealing_begin. */
struct sealing {
    struct cipher cipher;
    unsigned char header[SEALING_HEADER_BYTES];
    /* The header, what a piece is (1) and its number (8), and the object's name. */
    unsigned char associated[SEALING_HEADER_BYTES + 9 + SEALING_NAME_BYTES_MOST];
    size_t associated_length;
};
/* name: the key below the cluster's folder, "<system identifier>/wal/..." 0, or -1 after logging. */
int sealing_begin(struct sealing *sealing, const unsigned char epoch_key[CIPHER_KEY_BYTES],
                  const struct sealing_header *header, const char *name);
/* The same for a new object, with a salt that was never there before. */
int sealing_begin_new(struct sealing *sealing, const unsigned char epoch_key[CIPHER_KEY_BYTES],
                      const struct sealing_epoch *epoch, const char *name);
void sealing_end(struct sealing *sealing); /* wipes it */

/* plain: plain_length bytes of the content; out: the piece's length. Of the footer, plain_bytes is that of
 * all of it. 0, or -1 after logging. */
int sealing_seal_chunk(struct sealing *sealing, uint64_t number, bool is_last, const void *plain,
                       size_t length, unsigned char *out);
int sealing_seal_footer(struct sealing *sealing, uint64_t plain_bytes, const void *tail, unsigned char *out);
/* 0; 1: it is not authentic (nothing logged), and what is in plain must not be used; -1 after logging. plain:
 * plain_length bytes, which may be those at piece. */
int sealing_open_chunk(struct sealing *sealing, uint64_t number, bool is_last, const unsigned char *piece,
                       size_t plain_length, unsigned char *plain);
/* In place: the tail begins 8 bytes behind where the piece begins. */
int sealing_open_footer(struct sealing *sealing, uint64_t plain_bytes, unsigned char *piece);

#endif
