#include "stored_part.h"

#include "common/codec.h"
#include "interrupt.h"

#include <string.h>

struct check {
    const struct restore_part *part;
    struct decoder *decoder;
    struct sha256 hash;
    bool has_failed;   /* not for damage; logged */
    size_t file;       /* at work */
    uint64_t position; /* in the stored bytes */
    uint64_t plain;    /* in the member at work: header, content, padding */
};

/* Plain bytes of a member, of which only the content counts. */
static int hash_content(void *context, const void *data, size_t length)
{
    struct check *check = context;
    const struct index_entry *file = &check->part->files[check->file];
    uint64_t begin = file->header, end = file->header + file->bytes;

    if (begin < check->plain)
        begin = check->plain;
    if (end > check->plain + length)
        end = check->plain + length;
    if (begin < end)
        sha256_update(&check->hash, (const char *)data + (begin - check->plain), (size_t)(end - begin));
    check->plain += length;
    return 0;
}

static int begin_member(struct check *check)
{
    check->plain = 0;
    if (sha256_begin(&check->hash) == 0)
        return 0;
    check->has_failed = true;
    return -1;
}

static int end_member(struct check *check)
{
    unsigned char digest[SHA256_BYTES];

    sha256_finish(&check->hash, digest);
    return decoder_at_boundary(check->decoder) &&
                   memcmp(digest, check->part->files[check->file++].sha256, SHA256_BYTES) == 0
               ? 0
               : -1;
}

/* Stored bytes: one member after the other. */
static int write_stored(void *context, const void *data, size_t length)
{
    struct check *check = context;
    struct sink content = {hash_content, check};
    const char *next = data;

    while (length > 0) {
        if (interrupt_requested() || check->file == check->part->count)
            return -1;
        const struct index_entry *file = &check->part->files[check->file];
        uint64_t end = file->offset + file->stored;
        size_t taken = length < end - check->position ? length : (size_t)(end - check->position);
        if ((check->position == file->offset && begin_member(check) != 0) ||
            decoder_write(check->decoder, next, taken, &content) != 0)
            return -1;
        check->position += taken;
        if (check->position == end && end_member(check) != 0)
            return -1;
        next += taken;
        length -= taken;
    }
    return 0;
}

int stored_part_check(struct store *store, const char *key, const struct restore_part *part)
{
    struct check check = {.part = part, .decoder = decoder_new()};
    struct sink sink = {write_stored, &check};
    enum store_result got = STORE_FAILED;
    int result = -1;

    if (check.decoder != NULL && decoder_begin(check.decoder, part->codec) == 0)
        got = store_get(store, key, NULL, &sink, NULL);
    if (got == STORE_OK)
        result = check.file == part->count;
    else if (got == STORE_ABSENT || (got == STORE_STOPPED && !check.has_failed && !interrupt_requested()))
        result = 0;
    sha256_free(&check.hash);
    decoder_free(check.decoder);
    return result;
}
