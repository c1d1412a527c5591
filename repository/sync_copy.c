#include "sync_copy.h"

#include "common/document.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/wal_check.h"

#include <stdlib.h>
#include <string.h>

/* Bytes go to whoever checks them, then to where they are collected. */
struct tee {
    struct copier *copier;
    struct sink check, out;
    bool out_failed;
};

static int tee_write(void *context, const void *data, size_t length)
{
    struct tee *tee = context;

    if (interrupt_requested() || sink_write(&tee->check, data, length) != 0)
        return -1;
    tee->out_failed = sink_write(&tee->out, data, length) != 0;
    if (tee->out_failed)
        return -1;
    rate_take(tee->copier->rate, length);
    progress_add(tee->copier->progress, length);
    return 0;
}

static enum copy_result taken(struct copier *copier, const char *key)
{
    log_error("\"%s\" is in repository \"%s\" already, with other content than in repository \"%s\"",
              store_describe(copier->to.store, key), copier->to.settings->name, copier->from.settings->name);
    log_hint("Nothing was overwritten. basebackup-verify --full says which of the two is right.");
    return COPY_TAKEN;
}

static enum copy_result stored(struct copier *copier, const char *key, enum repository_result result)
{
    switch (result) {
    case REPOSITORY_OK:
        return COPY_DONE;
    case REPOSITORY_IDENTICAL:
        return COPY_THERE;
    case REPOSITORY_COLLISION:
        return taken(copier, key);
    case REPOSITORY_DAMAGED: /* logged: what is there can't be read */
        return COPY_TAKEN;
    default:
        return COPY_FAILED;
    }
}

/* Sealed objects */

static int discard(void *context, const void *data, size_t length)
{
    (void)context;
    (void)data;
    (void)length;
    return 0;
}

/* Into the spool. COPY_DONE: it is whole. */
static enum copy_result fetch_sealed(struct copier *copier, const char *key, const struct sink *plain,
                                     struct object_facts *facts)
{
    struct store_object object = {.total_bytes = 0};
    struct object_reader *reader = object_reader_new(plain, store_describe(copier->from.store, key));
    enum copy_result result = COPY_FAILED;

    if (reader == NULL)
        return COPY_FAILED;
    object_reader_expect_total(reader, &object.total_bytes);
    struct tee tee = {copier, object_reader_sink(reader), object_spool_sink(&copier->spool), false};
    enum store_result got =
        store_get(copier->from.store, key, NULL, &(struct sink){tee_write, &tee}, &object);
    if (got == STORE_ABSENT)
        result = COPY_ABSENT;
    else if (got == STORE_OK)
        result = object_reader_finish(reader, facts) == 0 ? COPY_DONE : COPY_DAMAGED;
    else if (got == STORE_DAMAGED || object_reader_is_damaged(reader))
        result = COPY_DAMAGED;
    else if (!tee.out_failed)
        result = COPY_UNREADABLE;
    object_reader_free(reader);
    return result;
}

static enum copy_result put_spool(struct copier *copier, const char *key, const struct object_facts *facts)
{
    struct body body;

    object_spool_body(&copier->spool, &body);
    copier->bytes += body.length;
    return stored(copier, key, repository_put_object(&copier->to, key, &body, facts));
}

static enum copy_result copy_sealed(struct copier *copier, const struct copy *copy)
{
    const char *name = strrchr(copy->key, '/') + 1;
    struct sink plain = {discard, NULL};
    struct object_facts facts;
    struct wal_check check;

    wal_check_begin(&check, name, copier->system_identifier, copier->segment_bytes);
    if (copy->kind == COPY_WAL)
        plain = wal_check_sink(&check);
    /* A backup's index is as long as the backup has files: never in memory. */
    if (object_spool_begin(&copier->spool, NULL, copy->kind == COPY_INDEX ? 0 : OBJECT_SPOOL_BYTES,
                           copier->to.settings->kind == REPOSITORY_S3) != 0)
        return COPY_FAILED;
    enum copy_result result = fetch_sealed(copier, copy->key, &plain, &facts);
    if (result == COPY_DONE && copy->kind == COPY_WAL &&
        wal_check_end(&check, &facts, store_describe(copier->from.store, copy->key)) != 0)
        result = COPY_DAMAGED;
    return result == COPY_DONE ? put_spool(copier, copy->key, &facts) : result;
}

/* By what their trailers say. */
static enum copy_result compare_sealed(struct copier *copier, const char *key)
{
    struct object_facts from, to;
    enum repository_result result = repository_get_facts(&copier->from, key, NULL, &from);

    if (result == REPOSITORY_OK)
        result = repository_get_facts(&copier->to, key, NULL, &to);
    if (result == REPOSITORY_OK)
        return memcmp(from.sha256, to.sha256, SHA256_BYTES) == 0 ? COPY_THERE : taken(copier, key);
    if (result == REPOSITORY_ABSENT)
        return COPY_ABSENT;
    return result == REPOSITORY_DAMAGED ? COPY_DAMAGED : COPY_UNREADABLE;
}

/* Parts */

static int upload_write(void *context, const void *data, size_t length)
{
    return store_upload_write(context, data, length);
}

static enum copy_result fetch_part(struct copier *copier, const struct copy *copy,
                                   struct store_upload *upload)
{
    const struct part_range whole = backup_part_whole(copy->part);
    struct store_object object = {.total_bytes = 0};
    char *what = string_copy(store_describe(copier->from.store, copy->key));
    enum copy_result result = COPY_FAILED;

    if (what != NULL &&
        part_reader_begin(copier->parts, copy->part, &whole, what, &object.total_bytes) == 0) {
        struct tee tee = {copier, part_reader_sink(copier->parts), {upload_write, upload}, false};
        enum store_result got =
            store_get(copier->from.store, copy->key, NULL, &(struct sink){tee_write, &tee}, &object);
        if (part_reader_end(copier->parts, got == STORE_OK) == 0)
            result = COPY_DONE;
        else if (got == STORE_ABSENT)
            result = COPY_ABSENT;
        else if (got == STORE_DAMAGED || part_reader_found_damage(copier->parts))
            result = COPY_DAMAGED;
        else if (!tee.out_failed)
            result = COPY_UNREADABLE;
    }
    free(what);
    return result;
}

/* Another call has been faster. Parts have their names only when they are whole, so the length tells. */
static enum copy_result compare_part(struct copier *copier, const struct copy *copy)
{
    const struct store_range one_byte = {.length = 1};
    const struct sink nowhere = {discard, NULL};
    struct store_object object = {.total_bytes = 0};

    if (store_get(copier->to.store, copy->key, &one_byte, &nowhere, &object) != STORE_OK)
        return COPY_FAILED;
    return object.total_bytes == copy->part->bytes ? COPY_THERE : taken(copier, copy->key);
}

static enum copy_result copy_part(struct copier *copier, const struct copy *copy)
{
    struct store_upload *upload =
        store_upload_begin(copier->to.store, copy->key, copy->part->bytes, copier->to.cluster.condition);
    enum copy_result result = upload == NULL ? COPY_FAILED : fetch_part(copier, copy, upload);

    if (upload == NULL)
        return COPY_FAILED;
    if (result != COPY_DONE) {
        store_upload_abort(upload);
        return result;
    }
    copier->bytes += copy->part->bytes;
    switch (store_upload_finish(upload, NULL)) {
    case STORE_OK:
        return COPY_DONE;
    case STORE_EXISTS:
        return compare_part(copier, copy);
    default:
        return COPY_FAILED;
    }
}

/* Small ones */

static bool is_right(const struct copier *copier, const struct copy *copy, const struct buffer *text)
{
    if (copy->kind == COPY_TEXT)
        return true;
    struct json *document =
        document_open(text->data, text->length, NULL, store_describe(copier->from.store, copy->key));
    json_free(document);
    return document != NULL;
}

static enum copy_result copy_small(struct copier *copier, const struct copy *copy)
{
    struct buffer text = BUFFER_EMPTY;
    enum copy_result result = COPY_UNREADABLE;

    switch (repository_get_small(&copier->from, copy->key, NULL, &text)) {
    case REPOSITORY_OK:
        result = is_right(copier, copy, &text)
                     ? stored(copier, copy->key, repository_put_small(&copier->to, copy->key, &text))
                     : COPY_DAMAGED;
        break;
    case REPOSITORY_ABSENT:
        result = COPY_ABSENT;
        break;
    case REPOSITORY_DAMAGED:
        result = COPY_DAMAGED;
        break;
    default:
        break;
    }
    copier->bytes += result == COPY_DONE ? text.length : 0;
    buffer_free(&text);
    return result;
}

enum copy_result copy_object(struct copier *copier, const struct copy *copy)
{
    switch (copy->kind) {
    case COPY_WAL:
    case COPY_INDEX:
        return copy_sealed(copier, copy);
    case COPY_PART:
        return copy_part(copier, copy);
    case COPY_COMPARE:
        return compare_sealed(copier, copy->key);
    default:
        return copy_small(copier, copy);
    }
}
