#include "pieces.h"

#include "common/log.h"
#include "common/worker_pool.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 2
/* An incompressible piece with its frame and trailer, too, stays in memory. */
#define SPOOL_BYTES (DUMP_PIECE_BYTES + (1u << 20))

/* A packed piece on its way to the targets of a lane. */
struct piece {
    atomic_uint users;
    char name[DUMP_PIECE_NAME_BYTES];
    struct object_spool spool;
    struct object_facts facts;
    struct body body; /* of the spool, when it is packed */
};

struct task {
    struct pieces *pieces;
    struct piece *piece;
    size_t target;
};

/* The piece that is being filled, as one lane has it. */
struct lane {
    struct object_writer *writer;
    struct piece *piece; /* NULL: none is open, or the lane has no living target */
    uint64_t stored;     /* of the stream's pieces before */
};

struct worker {
    struct repository *repositories; /* of each target; with a store of its own once it was needed */
};

struct pieces {
    struct targets *targets;
    unsigned postgresql_version;
    const char *directory;
    struct lane *lanes;
    struct worker workers[WORKERS];
    void *contexts[WORKERS];
    struct worker_pool *pool;
    uint32_t oid;
    uint64_t count, filled, bytes; /* pieces; of the open one; of the stream */
    struct sha256 hash;
};

static void release(struct piece *piece)
{
    if (piece == NULL || atomic_fetch_sub(&piece->users, 1) != 1)
        return;
    object_spool_free(&piece->spool);
    free(piece);
}

static void task_free(void *item)
{
    struct task *task = item;

    release(task->piece);
    free(task);
}

/* Storing */

static int put(struct repository *repository, const struct targets *targets, const struct target *target,
               const struct piece *piece)
{
    char *key = targets_key(targets, target, piece->name);
    enum repository_result result = REPOSITORY_FAILED;

    if (key != NULL)
        result = repository_put_object(repository, key, &piece->body, &piece->facts);
    if (result == REPOSITORY_COLLISION)
        log_error("\"%s\" is there already, with other content", store_describe(repository->store, key));
    free(key);
    return result == REPOSITORY_OK || result == REPOSITORY_IDENTICAL ? 0 : -1;
}

static int work(void *context, void *item)
{
    struct worker *worker = context;
    struct task *task = item;
    struct targets *targets = task->pieces->targets;
    struct target *target = &targets->items[task->target];
    struct repository *repository = &worker->repositories[task->target];
    int result = 0;

    if (target_is_alive(target)) {
        if (repository->store == NULL) {
            *repository = target->repository;
            repository->relay = NULL;
            repository->store = store_open(target->repository.settings, &targets->limits);
        }
        if (repository->store == NULL || put(repository, targets, target, task->piece) != 0)
            result = target_give_up(targets, target);
    }
    task_free(task);
    return result;
}

/* Packing */

static int submit(struct pieces *pieces, struct piece *piece, size_t target)
{
    struct task *task = malloc(sizeof *task);

    if (task == NULL)
        return log_out_of_memory();
    atomic_fetch_add(&piece->users, 1);
    *task = (struct task){pieces, piece, target};
    return worker_pool_submit(pieces->pool, task);
}

static int begin_piece(struct pieces *pieces, size_t index)
{
    struct lane *lane = &pieces->lanes[index];

    if (!targets_lane_is_alive(pieces->targets, index))
        return 0;
    lane->piece = calloc(1, sizeof *lane->piece);
    if (lane->piece == NULL)
        return log_out_of_memory();
    *lane->piece = (struct piece){.users = 1, .spool = OBJECT_SPOOL_EMPTY};
    dump_piece_name(pieces->oid, pieces->count, lane->piece->name);
    if (object_spool_begin(&lane->piece->spool, pieces->directory, SPOOL_BYTES, true) != 0)
        return -1;
    return object_writer_begin(lane->writer, object_spool_sink(&lane->piece->spool));
}

static int end_piece(struct pieces *pieces, size_t index)
{
    struct targets *targets = pieces->targets;
    struct lane *lane = &pieces->lanes[index];
    struct piece *piece = lane->piece;
    int result = -1;

    if (piece == NULL)
        return 0;
    lane->piece = NULL;
    struct object_facts *facts = &piece->facts;
    snprintf(facts->kind, sizeof facts->kind, DUMP_KIND);
    snprintf(facts->name, sizeof facts->name, "%s/%s", targets->id, piece->name);
    facts->system_identifier = targets->system_identifier;
    facts->postgresql_version = pieces->postgresql_version;
    if (object_writer_end(lane->writer, facts) == 0) {
        lane->stored += piece->spool.length;
        object_spool_body(&piece->spool, &piece->body);
        result = 0;
        for (size_t i = 0; i < targets->count && result == 0; i++)
            if (targets->items[i].lane == index && target_is_alive(&targets->items[i]))
                result = submit(pieces, piece, i);
    }
    release(piece);
    return result;
}

static int end_pieces(struct pieces *pieces)
{
    int result = 0;

    for (size_t i = 0; i < pieces->targets->lane_count && result == 0; i++)
        result = end_piece(pieces, i);
    pieces->filled = 0;
    return result;
}

static int begin_pieces(struct pieces *pieces)
{
    int result = 0;

    if (pieces->count == DUMP_PIECES_MOST) {
        log_error("the dump has more than %u pieces", DUMP_PIECES_MOST);
        return -1;
    }
    pieces->count++;
    for (size_t i = 0; i < pieces->targets->lane_count && result == 0; i++)
        result = begin_piece(pieces, i);
    return result;
}

int pieces_begin(struct pieces *pieces, uint32_t oid)
{
    pieces->oid = oid;
    pieces->count = pieces->filled = pieces->bytes = 0;
    for (size_t i = 0; i < pieces->targets->lane_count; i++)
        pieces->lanes[i].stored = 0;
    return sha256_begin(&pieces->hash);
}

int pieces_write(struct pieces *pieces, const void *data, size_t length)
{
    const unsigned char *bytes = data;

    sha256_update(&pieces->hash, data, length);
    pieces->bytes += length;
    while (length > 0) {
        size_t take = DUMP_PIECE_BYTES - (size_t)pieces->filled;
        if (take > length)
            take = length;
        if (pieces->filled == 0 && begin_pieces(pieces) != 0)
            return -1;
        for (size_t i = 0; i < pieces->targets->lane_count; i++)
            if (pieces->lanes[i].piece != NULL &&
                object_writer_write(pieces->lanes[i].writer, bytes, take) != 0)
                return -1;
        pieces->filled += take;
        bytes += take;
        length -= take;
        if (pieces->filled == DUMP_PIECE_BYTES && end_pieces(pieces) != 0)
            return -1;
    }
    return 0;
}

int pieces_end(struct pieces *pieces, struct dump_stream *stream, uint64_t *stored)
{
    if (pieces->filled > 0 && end_pieces(pieces) != 0)
        return -1;
    stream->pieces = pieces->count;
    stream->bytes = pieces->bytes;
    sha256_finish(&pieces->hash, stream->sha256);
    for (size_t i = 0; i < pieces->targets->lane_count; i++)
        stored[i] = pieces->lanes[i].stored;
    return 0;
}

/* Its life */

static int open_lanes(struct pieces *pieces)
{
    const struct targets *targets = pieces->targets;

    pieces->lanes = calloc(targets->lane_count, sizeof *pieces->lanes);
    if (pieces->lanes == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < targets->lane_count; i++)
        if ((pieces->lanes[i].writer = object_writer_new(&targets->lanes[i])) == NULL)
            return -1;
    for (size_t i = 0; i < WORKERS; i++) {
        pieces->workers[i].repositories = calloc(targets->count, sizeof *pieces->workers[i].repositories);
        pieces->contexts[i] = &pieces->workers[i];
        if (pieces->workers[i].repositories == NULL)
            return log_out_of_memory();
    }
    return 0;
}

struct pieces *pieces_open(struct targets *targets, unsigned server_version, const char *directory)
{
    struct pieces *pieces = calloc(1, sizeof *pieces);

    if (pieces == NULL) {
        log_out_of_memory();
        return NULL;
    }
    pieces->targets = targets;
    pieces->postgresql_version = server_version / 10000;
    pieces->directory = directory;
    const struct worker_pool_settings settings = {.workers = WORKERS,
                                                  .queue_length = 1,
                                                  .work = work,
                                                  .discard = task_free,
                                                  .worker_contexts = pieces->contexts};
    if (open_lanes(pieces) == 0 && (pieces->pool = worker_pool_start(&settings)) != NULL)
        return pieces;
    pieces_finish(pieces);
    return NULL;
}

int pieces_finish(struct pieces *pieces)
{
    int result;

    if (pieces == NULL)
        return 0;
    result = worker_pool_finish(pieces->pool);
    for (size_t i = 0; pieces->lanes != NULL && i < pieces->targets->lane_count; i++) {
        object_writer_free(pieces->lanes[i].writer);
        release(pieces->lanes[i].piece);
    }
    for (size_t i = 0; i < WORKERS; i++) {
        struct repository *repositories = pieces->workers[i].repositories;
        for (size_t k = 0; repositories != NULL && k < pieces->targets->count; k++)
            store_close(repositories[k].store);
        free(repositories);
    }
    sha256_free(&pieces->hash);
    free(pieces->lanes);
    free(pieces);
    return result;
}
