/* The relay: all bytes come, once and in order, whatever pieces they were written in; a failure behind it
 * reaches the writer, with its message, and only of the stream that it is of. Run under TSan too (make tsan).
 */
#include "unit.h"

#include "common/log.h"
#include "common/relay.h"

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#define BLOCK ((size_t)256 * 1024)

struct place {
    uint64_t bytes, fails_at;
    bool is_wrong, is_slow;
    unsigned calls;
    pthread_t thread;
};

static unsigned char byte_at(uint64_t position)
{
    return (unsigned char)(position * 31 + position / 256);
}

static int take(void *context, const void *data, size_t length)
{
    struct place *place = context;
    const unsigned char *bytes = data;

    for (size_t i = 0; i < length; i++)
        place->is_wrong = place->is_wrong || bytes[i] != byte_at(place->bytes + i);
    place->calls++;
    place->thread = pthread_self();
    if (place->is_slow)
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    if (place->bytes + length > place->fails_at) {
        log_error("no room behind %llu", (unsigned long long)place->bytes);
        return -1;
    }
    place->bytes += length;
    return 0;
}

/* So many bytes in pieces of these lengths, in turns. */
static int write_all(struct relay *relay, struct place *place, uint64_t bytes, size_t piece, size_t other)
{
    static unsigned char data[3 * 256 * 1024];
    const struct sink to = {take, place};
    uint64_t sent = 0;
    int result = 0;

    relay_begin(relay, &to);
    const struct sink sink = relay_sink(relay);
    while (result == 0 && sent < bytes) {
        size_t length = bytes - sent < piece ? (size_t)(bytes - sent) : piece;
        for (size_t i = 0; i < length; i++)
            data[i] = byte_at(sent + i);
        result = sink_write(&sink, data, length);
        sent += length;
        size_t next = other;
        other = piece;
        piece = next;
    }
    return relay_end(relay) == 0 ? result : -1;
}

static void check_all(struct relay *relay, uint64_t bytes, size_t piece, size_t other, bool is_slow)
{
    struct place place = {.fails_at = UINT64_MAX, .is_slow = is_slow};

    CHECK(write_all(relay, &place, bytes, piece, other) == 0);
    CHECK(place.bytes == bytes && !place.is_wrong);
    CHECK(place.calls == (bytes + BLOCK - 1) / BLOCK);
    if (bytes > 0)
        CHECK((bytes <= BLOCK) == (pthread_equal(place.thread, pthread_self()) != 0));
}

static void check_failure(struct relay *relay, uint64_t bytes, uint64_t fails_at, const char *message)
{
    struct place place = {.fails_at = fails_at};

    log_error("something else");
    CHECK(write_all(relay, &place, bytes, 100000, 16384) == -1);
    CHECK(place.bytes <= fails_at && !place.is_wrong);
    CHECK(place.calls == fails_at / BLOCK + 1); /* nothing is handed on behind it */
    CHECK_TEXT(log_last_error(), message);
}

/* Begun once for all calls, ended once; without a relay the sink itself is told. */
static void check_through(struct relay *relay)
{
    struct place place = {.fails_at = UINT64_MAX};
    const struct sink to = {take, &place};
    const unsigned char data[] = {byte_at(0), byte_at(1)};

    struct sink sink = relay_through(relay, &to);
    CHECK(sink_write(&sink, &data[0], 1) == 0);
    sink = relay_through(relay, &to);
    CHECK(sink_write(&sink, &data[1], 1) == 0 && place.bytes == 0);
    CHECK(relay_end(relay) == 0 && place.bytes == 2 && !place.is_wrong);
    CHECK(relay_end(relay) == 0 && place.bytes == 2);
    sink = relay_through(NULL, &to);
    CHECK(sink.write == to.write && sink.context == to.context);
    CHECK(relay_end(NULL) == 0);
}

int main(void)
{
    struct relay *relay = relay_new();

    REQUIRE(relay != NULL);
    log_open("test_relay", LOG_INFO, false);
    for (int i = 0; i < 2; i++) {
        check_through(relay);
        check_all(relay, 0, 1, 1, false);
        check_all(relay, 1, 1, 1, false);
        check_all(relay, BLOCK - 1, 16384, 16384, false);
        check_all(relay, BLOCK, 16384, 16384, false);
        check_all(relay, BLOCK, BLOCK, BLOCK, false);
        check_all(relay, BLOCK + 1, BLOCK, 1, false);
        check_all(relay, 40 * BLOCK, 16384, 16384, i == 0);
        check_all(relay, 40 * BLOCK + 77, 3 * BLOCK, 100, i == 0);
        unit_listen();
        check_failure(relay, 40 * BLOCK, 0, "no room behind 0");
        check_failure(relay, 40 * BLOCK, 5 * BLOCK, "no room behind 1310720");
        check_failure(relay, 40 * BLOCK, 39 * BLOCK + 10, "no room behind 10223616");
        check_failure(relay, 1000, 10, "no room behind 0");
        CHECK(unit_heard("no room behind 1310720"));
    }
    relay_free(relay);
    relay_free(NULL);
    return unit_done("relay");
}
