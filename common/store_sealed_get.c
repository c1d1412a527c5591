/* Reading what is sealed. Nothing is handed on before its piece is authentic; what a range needs is one GET
 * of the pieces that cover it, behind one of the header, which is remembered. */
#include "store_sealed.h"

#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One GET of the pieces of an object, in their order. */
struct opening {
    struct sealed *sealed;
    const char *key;
    const struct sink *sink;
    struct store_object *object; /* the caller's */
    struct store_object inner;   /* as the store told it */
    uint64_t suffix;             /* so many bytes at the end are wanted; 0: from .. to */
    uint64_t from, to;           /* of the content; to 0: its end */
    uint64_t at;                 /* where in the stored object the next byte stands */
    bool is_begun;               /* the store has answered */
    bool has_key;                /* sealed->sealing is this object's */
    uint64_t plain_bytes;
    uint64_t number;                    /* of the next piece */
    uint64_t piece_count;               /* number of the last one that is wanted, and one more */
    size_t filled;                      /* of the piece */
    struct sealing_epoch unknown_epoch; /* stopped for want of this epoch's key */
    bool is_damaged, has_failed;        /* logged */
};

static int damaged(struct opening *opening, const char *how)
{
    log_error("%s is damaged: %s", store_describe(&opening->sealed->inner, opening->key), how);
    opening->is_damaged = true;
    return -1;
}

static int not_sealed(struct opening *opening)
{
    struct sealed *sealed = opening->sealed;

    log_error("%s is damaged, or was never encrypted: it does not begin as an encrypted object does",
              store_describe(&sealed->inner, opening->key));
    log_hint("Nothing plain is believed in repository \"%s\": whoever can write there could have put it. If "
             "it is a repository without encryption, leave encryption_key_file out.",
             sealed->inner.config->name);
    opening->is_damaged = true;
    return -1;
}

/* The first bytes come: how long the object is says where its pieces are. */
static int begin(struct opening *opening)
{
    uint64_t length;

    opening->is_begun = true;
    *opening->object = opening->inner;
    if (!sealing_plain_bytes(opening->inner.total_bytes, &opening->plain_bytes))
        return damaged(opening, "its length is none that an encrypted object can have");
    opening->object->total_bytes = opening->plain_bytes;
    length = opening->inner.total_bytes;
    opening->piece_count = sealing_piece_count(opening->plain_bytes);
    if (opening->suffix != 0) {
        uint64_t wanted = SEALING_FOOTER_BYTES_MOST;
        opening->at = length > wanted ? length - wanted : 0;
        opening->number = opening->piece_count - 1;
        opening->from = opening->suffix < opening->plain_bytes ? opening->plain_bytes - opening->suffix : 0;
        opening->to = 0;
    }
    if (opening->to == 0)
        opening->to = opening->plain_bytes;
    else
        opening->piece_count = sealing_piece_of(opening->plain_bytes, opening->to - 1) + 1;
    return 0;
}

static int take_header(struct opening *opening, const unsigned char *bytes)
{
    struct sealed *sealed = opening->sealed;
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    struct sealing_header header;
    const char *problem = sealing_header_parse(bytes, &header);
    int result = -1;

    if (problem != NULL && memcmp(bytes, SEALING_MAGIC, SEALING_MAGIC_BYTES) != 0)
        return not_sealed(opening);
    if (problem != NULL)
        return damaged(opening, problem);
    switch (sealed_epoch_key(sealed, opening->key, &header.epoch, false, epoch_key)) {
    case STORE_OK:
        result = sealing_begin(&sealed->sealing, epoch_key, &header, sealed_name(opening->key));
        opening->has_key = result == 0;
        opening->has_failed = result != 0;
        break;
    case STORE_ABSENT:
        opening->unknown_epoch = header.epoch; /* a request, which is not for the middle of another one */
        break;
    case STORE_DAMAGED:
        opening->is_damaged = true;
        break;
    default:
        opening->has_failed = true;
        break;
    }
    explicit_bzero(epoch_key, sizeof epoch_key);
    return result;
}

/* The part of a piece's content that is wanted. */
static int hand_on(struct opening *opening, const struct sealing_piece *piece, const unsigned char *plain)
{
    uint64_t begin_at = piece->plain_offset, end = begin_at + piece->plain_length;

    if (end > opening->to)
        end = opening->to;
    if (begin_at < opening->from) {
        plain +=
            opening->from - begin_at < piece->plain_length ? opening->from - begin_at : piece->plain_length;
        begin_at = opening->from;
    }
    return begin_at < end ? sink_write(opening->sink, plain, (size_t)(end - begin_at)) : 0;
}

/* stored: all of it; of the chunks it may be where the store's driver has it, the others are opened in place.
 */
static int take_piece(struct opening *opening, const struct sealing_piece *piece, const unsigned char *stored)
{
    struct sealed *sealed = opening->sealed;
    unsigned char *bytes = sealed->piece;
    size_t ahead = 0;
    int opened;

    if (piece->is_header)
        return take_header(opening, bytes);
    if (piece->is_footer) {
        if (!opening->has_key && take_header(opening, bytes + piece->length - SEALING_HEADER_BYTES) != 0)
            return -1;
        opened = sealing_open_footer(&sealed->sealing, opening->plain_bytes, bytes);
        ahead = 8;
    } else {
        opened = sealing_open_chunk(&sealed->sealing, opening->number, piece->is_last, stored,
                                    piece->plain_length, bytes);
    }
    if (opened > 0)
        return damaged(opening, piece->is_footer ? "its end is not what was encrypted under this name"
                                                 : "it is not what was encrypted under this name");
    if (opened < 0) {
        opening->has_failed = true;
        return -1;
    }
    return hand_on(opening, piece, bytes + ahead);
}

static int take_stored(void *context, const void *data, size_t length)
{
    struct opening *opening = context;
    const unsigned char *next = data;

    if (!opening->is_begun && begin(opening) != 0)
        return -1;
    while (length > 0) {
        if (opening->number >= opening->piece_count)
            return damaged(opening, "more of it came than was asked for");
        struct sealing_piece piece = sealing_piece(opening->plain_bytes, opening->number);
        const unsigned char *stored = opening->sealed->piece;
        uint64_t gap = piece.offset > opening->at ? piece.offset - opening->at : 0;
        size_t take =
            gap > 0 ? (size_t)(gap < length ? gap : length) : (size_t)piece.length - opening->filled;
        if (take > length)
            take = length;
        if (gap == 0 && take == piece.length && !piece.is_header && !piece.is_footer) {
            stored = next; /* a chunk that came whole */
            opening->filled = take;
        } else if (gap == 0) {
            memcpy(opening->sealed->piece + opening->filled, next, take);
            opening->filled += take;
        }
        opening->at += take;
        next += take;
        length -= take;
        if (gap == 0 && opening->filled == piece.length) {
            if (take_piece(opening, &piece, stored) != 0)
                return -1;
            opening->filled = 0;
            opening->number++;
        }
    }
    return 0;
}

/* What the inner store's get came to, and what was made of its bytes. */
static enum store_result judge(struct opening *opening, enum store_result got)
{
    if (opening->is_damaged)
        return STORE_DAMAGED;
    if (opening->has_failed)
        return STORE_FAILED;
    if (got != STORE_OK)
        return got;
    if (!opening->is_begun) /* no byte came */
        damaged(opening, "it is empty");
    else if (opening->number < opening->piece_count)
        damaged(opening, "it ends too early");
    return opening->is_damaged ? STORE_DAMAGED : STORE_OK;
}

/* An object says that it is of an epoch for which there is no key here. What is in keys/ tells whether that
 * can be: the current epoch may be one that was remembered, and another host have begun others. Of two that
 * began one at once, the loser may have left its document beside the winner's: it is damage only where none
 * but ours are there. */
static enum store_result tell_no_key(struct opening *opening)
{
    struct sealed *sealed = opening->sealed;
    const uint32_t epoch = opening->unknown_epoch.number;
    const bool has_number = keyring_has_number(sealed->keyring, epoch);
    struct buffer others = BUFFER_EMPTY, ours = BUFFER_EMPTY;
    enum store_result result = STORE_FAILED;

    if (sealed_list_key_ids(&sealed->inner, sealed->keyring, opening->key, epoch, &others, &ours) != 0)
        goto done;
    if (others.length == 0 && ours.length == 0) {
        result = STORE_DAMAGED;
        damaged(opening, "it names a key epoch that has no key in keys/");
        log_hint("It was altered, or stored before the repository was emptied and made anew; or its epoch's "
                 "documents in keys/ were deleted: look for them in the bucket's versions, or in a copy, "
                 "before you move any object.");
    } else if (others.length == 0 && has_number) {
        result = STORE_DAMAGED;
        damaged(opening, "it is encrypted with another key than its epoch has here");
        log_hint("So it is with what was stored before a repository was emptied and made anew, or altered.");
    } else {
        log_error("%s is encrypted with epoch %" PRIu32 ", which no configured key (%s) opens",
                  store_describe(&sealed->inner, opening->key), epoch, keyring_ids(sealed->keyring));
        log_hint("It is opened by the key %s: encryption_key_file takes several. Is there none of them any "
                 "more, then nobody can read it.%s",
                 buffer_string(others.length > 0 ? &others : &ours),
                 has_number ? " If they don't open it either, it was altered." : "");
    }
done:
    buffer_free(&others);
    buffer_free(&ours);
    return result;
}

/* One GET; once more where the key of the object's epoch had to be got first. */
static enum store_result run(struct opening *start, const char *version_id, const struct store_range *range)
{
    struct sealed *sealed = start->sealed;

    for (unsigned tries = 0; tries < 2; tries++) {
        unsigned char epoch_key[CIPHER_KEY_BYTES];
        struct opening opening = *start;
        struct sink sink = {take_stored, &opening};
        enum store_result result =
            judge(&opening, sealed->inner.driver->get(&sealed->inner, opening.key, version_id, range, &sink,
                                                      &opening.inner));
        if (result != STORE_STOPPED || opening.unknown_epoch.number == 0)
            return result;
        result = sealed_epoch_key(sealed, opening.key, &opening.unknown_epoch, true, epoch_key);
        explicit_bzero(epoch_key, sizeof epoch_key);
        if (result == STORE_ABSENT)
            return tell_no_key(&opening);
        if (result != STORE_OK)
            return result;
    }
    /* nothing of it was opened */
    log_error("could not read %s: each time it was asked for it was of another key epoch",
              store_describe(&sealed->inner, start->key));
    return STORE_FAILED;
}

/* Ranges */

static const struct store_range end_of_object = {.suffix = SEALING_FOOTER_BYTES_MOST};

struct head {
    unsigned char bytes[SEALING_HEADER_BYTES];
    size_t length;
};

static int take_head(void *context, const void *data, size_t length)
{
    struct head *head = context;

    if (length > sizeof head->bytes - head->length)
        return -1;
    memcpy(head->bytes + head->length, data, length);
    head->length += length;
    return 0;
}

void sealed_forget(struct sealed *sealed)
{
    free(sealed->known.key);
    sealed->known = (struct sealed_known){.key = NULL};
}

static bool is_known(const struct sealed_known *known, const char *key, const char *version_id)
{
    return known->key != NULL && strcmp(known->key, key) == 0 &&
           strcmp(known->version_id, version_id == NULL ? "" : version_id) == 0;
}

/* The object's header and length, into sealed->known. */
static enum store_result learn(struct opening *opening, const char *version_id)
{
    const struct store_range range = {.length = SEALING_HEADER_BYTES};
    struct sealed *sealed = opening->sealed;
    struct sealed_known *known = &sealed->known;
    struct head head = {.length = 0};
    const struct sink sink = {take_head, &head};
    enum store_result result;
    const char *problem;

    if (is_known(known, opening->key, version_id))
        return STORE_OK;
    sealed_forget(sealed);
    result =
        sealed->inner.driver->get(&sealed->inner, opening->key, version_id, &range, &sink, &known->object);
    if (result == STORE_SHORT) {
        not_sealed(opening);
        return STORE_DAMAGED;
    }
    if (result != STORE_OK)
        return result;
    problem = sealing_header_parse(head.bytes, &known->header);
    if (memcmp(head.bytes, SEALING_MAGIC, SEALING_MAGIC_BYTES) != 0)
        not_sealed(opening);
    else if (problem != NULL)
        damaged(opening, problem);
    else if (!sealing_plain_bytes(known->object.total_bytes, &opening->plain_bytes))
        damaged(opening, "its length is none that an encrypted object can have");
    if (opening->is_damaged)
        return STORE_DAMAGED;
    if (version_id != NULL && strlen(version_id) >= sizeof known->version_id)
        return STORE_FAILED;
    snprintf(known->version_id, sizeof known->version_id, "%s", version_id == NULL ? "" : version_id);
    known->key = string_copy(opening->key);
    return known->key == NULL ? STORE_FAILED : STORE_OK;
}

/* The sealing of the object whose header is known. */
static enum store_result begin_known(struct opening *opening)
{
    struct sealed *sealed = opening->sealed;
    const struct sealing_header *header = &sealed->known.header;
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    enum store_result result = sealed_epoch_key(sealed, opening->key, &header->epoch, true, epoch_key);

    if (result == STORE_ABSENT) {
        opening->unknown_epoch = header->epoch;
        result = tell_no_key(opening);
    } else if (result == STORE_OK &&
               sealing_begin(&sealed->sealing, epoch_key, header, sealed_name(opening->key)) != 0) {
        result = STORE_FAILED;
    }
    opening->has_key = result == STORE_OK;
    explicit_bzero(epoch_key, sizeof epoch_key);
    return result;
}

static enum store_result get_range(struct opening *opening, const char *version_id,
                                   const struct store_range *range)
{
    struct sealed_known *known = &opening->sealed->known;
    enum store_result result = learn(opening, version_id);
    uint64_t plain_bytes;

    if (result != STORE_OK)
        return result;
    sealing_plain_bytes(known->object.total_bytes, &plain_bytes);
    *opening->object = known->object;
    opening->object->total_bytes = plain_bytes;
    opening->from = range->suffix == 0            ? range->offset
                    : range->suffix < plain_bytes ? plain_bytes - range->suffix
                                                  : 0;
    if (opening->from > plain_bytes || range->length > plain_bytes - opening->from)
        return STORE_SHORT;
    opening->to = range->length == 0 ? plain_bytes : opening->from + range->length;
    if (opening->from == opening->to && range->suffix == 0)
        return STORE_SHORT;
    if (opening->from == opening->to) { /* its end says whether it is empty */
        opening->suffix = range->suffix;
        result = run(opening, version_id, &end_of_object);
        if (result == STORE_OK && opening->object->total_bytes != 0) {
            damaged(opening, "it was empty when its header was read");
            result = STORE_DAMAGED;
        }
        if (result != STORE_OK)
            sealed_forget(opening->sealed);
        return result;
    }
    result = begin_known(opening);
    if (result != STORE_OK)
        return result;
    opening->number = sealing_piece_of(plain_bytes, opening->from);
    const struct sealing_piece first = sealing_piece(plain_bytes, opening->number);
    const struct sealing_piece last =
        sealing_piece(plain_bytes, sealing_piece_of(plain_bytes, opening->to - 1));
    opening->at = first.offset;
    result = run(opening, version_id,
                 &(struct store_range){first.offset, last.offset + last.length - first.offset, 0});
    if (result == STORE_SHORT) { /* it was longer when its header was read */
        damaged(opening, "it ends too early");
        result = STORE_DAMAGED;
    }
    if (result != STORE_OK)
        sealed_forget(opening->sealed);
    return result;
}

enum store_result sealed_get(struct store *store, const char *key, const char *version_id,
                             const struct store_range *range, const struct sink *sink,
                             struct store_object *object)
{
    const struct store_range whole = {0, 0, 0};
    struct sealed *sealed = store->own;
    struct opening opening = {.sealed = sealed, .key = key, .sink = sink, .object = object};

    if (sealed_name(key) == NULL)
        return sealed->inner.driver->get(&sealed->inner, key, version_id, range, sink, object);
    if (sealed->piece == NULL && (sealed->piece = malloc(SEALING_PIECE_BYTES_MOST)) == NULL) {
        log_out_of_memory();
        return STORE_FAILED;
    }
    if (range->suffix > SEALING_TAIL_BYTES || range->offset != 0 || range->length != 0)
        return get_range(&opening, version_id, range);
    opening.suffix = range->suffix;
    return run(&opening, version_id, range->suffix != 0 ? &end_of_object : &whole);
}
