/* CRC-32C with the processor's instruction and without, of any length from any address, whole and put
 * together. */
#include "unit.h"

#include "common/crc32c.h"

#include <string.h>

/* As it is defined: bit by bit. */
static uint32_t bit_by_bit(const unsigned char *data, size_t length)
{
    uint32_t crc = 0xFFFFFFFFu;

    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82F63B78u : crc >> 1;
    }
    return ~crc;
}

static unsigned char data[200000];

static void test_lengths(size_t from, size_t length)
{
    uint32_t expected = bit_by_bit(data + from, length);

    CHECK(crc32c(data + from, length) == expected);
    CHECK(crc32c_extend_portable(0, data + from, length) == expected);
}

/* Cut in two, the second half behind the first one or on its own. */
static void test_cut(size_t length, size_t cut)
{
    uint32_t whole = crc32c(data, length), first = crc32c(data, cut);

    CHECK(crc32c_extend(first, data + cut, length - cut) == whole);
    CHECK(crc32c_extend_portable(first, data + cut, length - cut) == whole);
    CHECK(crc32c_combine(first, crc32c(data + cut, length - cut), length - cut) == whole);
}

/* Zeros of 2^40 bytes and more: put together in doubling steps, and at once. */
static void test_many_bytes(void)
{
    static const unsigned char zeros[4096];
    uint32_t crc = crc32c(zeros, sizeof zeros);
    uint64_t bytes = sizeof zeros;

    for (; bytes < (uint64_t)1 << 50; bytes *= 2)
        crc = crc32c_combine(crc, crc, bytes);
    CHECK(crc32c_combine(crc, crc32c("x", 1), 1) == crc32c_extend(crc, "x", 1));
    CHECK(crc32c_combine(0, crc, bytes) == crc);
    CHECK(crc32c_combine(crc, 0, 0) == crc);
}

int main(void)
{
    static const size_t lengths[] = {0, 1, 7, 8, 9, 511, 8192, 49151, 49152, 49153, 98304, 150001, 199990};

    CHECK(crc32c("123456789", 9) == 0xE3069283u); /* the check value of its definition */
    CHECK(crc32c_extend_portable(0, "123456789", 9) == 0xE3069283u);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (size_t from = 0; from < 10; from += 3) {
            test_lengths(from, lengths[i]);
            test_cut(lengths[i], lengths[i] * from / 10);
        }
    test_many_bytes();
    return unit_done("test_crc32c");
}
