#include "relay.h"

#include "log.h"
#include "worker_pool.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES (256u * 1024)
#define WAITING_BLOCKS 2
#define BLOCKS (WAITING_BLOCKS + 2) /* one is being filled, and one is at work */
#define TICK_MILLISECONDS 1000

struct block {
    unsigned char *data;
    size_t length;
};

struct relay {
    struct worker_pool *pool; /* of one thread, whose queue keeps the order */
    void *contexts[1];
    unsigned char *memory;
    struct block blocks[BLOCKS]; /* a ring */
    unsigned at;                 /* the one that is being filled */
    bool is_begun;
    bool is_handed_over; /* some block was */
    struct sink to;
    atomic_bool failed;
    char error[1024]; /* why; written before failed is */
};

/* In the thread behind. It never fails, since that would be for good. */
static int hand_on(void *context, void *task)
{
    struct relay *relay = context;
    const struct block *block = task;

    if (!atomic_load(&relay->failed) && sink_write(&relay->to, block->data, block->length) != 0) {
        const char *error = log_last_error();
        snprintf(relay->error, sizeof relay->error, "%s", error == NULL ? "" : error);
        atomic_store(&relay->failed, true);
    }
    return 0;
}

struct relay *relay_new(void)
{
    struct relay *relay = calloc(1, sizeof *relay);

    if (relay != NULL)
        relay->memory = malloc((size_t)BLOCKS * BLOCK_BYTES);
    if (relay == NULL || relay->memory == NULL) {
        log_out_of_memory();
        relay_free(relay);
        return NULL;
    }
    for (size_t i = 0; i < BLOCKS; i++)
        relay->blocks[i].data = relay->memory + i * BLOCK_BYTES;
    relay->contexts[0] = relay;
    const struct worker_pool_settings settings = {
        .workers = 1, .queue_length = WAITING_BLOCKS, .work = hand_on, .worker_contexts = relay->contexts};
    relay->pool = worker_pool_start(&settings);
    if (relay->pool != NULL)
        return relay;
    relay_free(relay);
    return NULL;
}

void relay_free(struct relay *relay)
{
    if (relay == NULL)
        return;
    worker_pool_finish(relay->pool);
    free(relay->memory);
    free(relay);
}

void relay_begin(struct relay *relay, const struct sink *to)
{
    relay->to = *to;
    relay->blocks[relay->at].length = 0;
    relay->is_begun = true;
    relay->is_handed_over = false;
    atomic_store(&relay->failed, false);
}

/* When it was taken there is room for the next: of those before it so many wait, and one is at work. */
static int hand_over(struct relay *relay)
{
    if (worker_pool_submit(relay->pool, &relay->blocks[relay->at]) != 0)
        return -1;
    relay->is_handed_over = true;
    relay->at = (relay->at + 1) % BLOCKS;
    relay->blocks[relay->at].length = 0;
    return 0;
}

static int take(void *context, const void *data, size_t length)
{
    struct relay *relay = context;
    const unsigned char *next = data;

    while (length > 0) {
        if (relay->blocks[relay->at].length == BLOCK_BYTES && hand_over(relay) != 0)
            return -1;
        if (atomic_load(&relay->failed))
            return -1;
        struct block *block = &relay->blocks[relay->at];
        size_t room = BLOCK_BYTES - block->length, taken = length < room ? length : room;
        memcpy(block->data + block->length, next, taken);
        block->length += taken;
        next += taken;
        length -= taken;
    }
    return 0;
}

struct sink relay_sink(struct relay *relay)
{
    return (struct sink){take, relay};
}

struct sink relay_through(struct relay *relay, const struct sink *to)
{
    if (relay == NULL)
        return *to;
    if (!relay->is_begun)
        relay_begin(relay, to);
    return relay_sink(relay);
}

int relay_end(struct relay *relay)
{
    if (relay == NULL || !relay->is_begun)
        return 0;
    const struct block *last = &relay->blocks[relay->at];
    relay->is_begun = false;
    if (!relay->is_handed_over)
        return last->length == 0 ? 0 : sink_write(&relay->to, last->data, last->length);
    if (last->length > 0 && hand_over(relay) != 0)
        return -1;
    while (!worker_pool_wait(relay->pool, TICK_MILLISECONDS))
        ;
    if (!atomic_load(&relay->failed))
        return 0;
    log_take_over(relay->error);
    return -1;
}
