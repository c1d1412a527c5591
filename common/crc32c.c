#include "crc32c.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

/* Bits are reflected: the highest one is x^0. */
#define POLYNOMIAL 0x82F63B78u
#define ONE 0x80000000u      /* x^0 */
#define ONE_BYTE 0x00800000u /* x^8 */

/* Arithmetic of polynomials over GF(2), modulo POLYNOMIAL */

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = ONE; bit != 0; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b & 1 ? b >> 1 ^ POLYNOMIAL : b >> 1;
    }
    return product;
}

/* What so many zero bytes behind a run multiply its CRC by. */
static uint32_t shift_by(uint64_t bytes)
{
    uint32_t power = ONE_BYTE, shift = ONE;

    for (; bytes != 0; bytes >>= 1) {
        if (bytes & 1)
            shift = multiply(shift, power);
        power = multiply(power, power);
    }
    return shift;
}

uint32_t crc32c_combine(uint32_t first, uint32_t second, uint64_t second_bytes)
{
    return multiply(shift_by(second_bytes), first) ^ second;
}

/* Without an instruction: eight bytes at a time, by tables */

static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
        tables[0][byte] = crc;
    }
    for (int table = 1; table < 8; table++)
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t before = tables[table - 1][byte];
            tables[table][byte] = before >> 8 ^ tables[0][before & 255];
        }
}

uint32_t crc32c_extend_portable(uint32_t crc, const void *data, size_t length)
{
    const unsigned char *next = data;

    pthread_once(&tables_once, make_tables);
    crc = ~crc;
    for (; length >= 8; next += 8, length -= 8) {
        crc ^= (uint32_t)next[0] | (uint32_t)next[1] << 8 | (uint32_t)next[2] << 16 | (uint32_t)next[3] << 24;
        crc = tables[7][crc & 255] ^ tables[6][crc >> 8 & 255] ^ tables[5][crc >> 16 & 255] ^
              tables[4][crc >> 24] ^ tables[3][next[4]] ^ tables[2][next[5]] ^ tables[1][next[6]] ^
              tables[0][next[7]];
    }
    for (; length > 0; next++, length--)
        crc = crc >> 8 ^ tables[0][(crc ^ *next) & 255];
    return ~crc;
}

/* With the instruction. It takes three cycles to answer, but can begin another in each: three runs at once.
 */

#if defined(__x86_64__)
#define WITH_INSTRUCTION __attribute__((target("sse4.2")))

static bool has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2");
}

WITH_INSTRUCTION static inline uint32_t take_word(uint32_t crc, uint64_t word)
{
    return (uint32_t)_mm_crc32_u64(crc, word);
}

WITH_INSTRUCTION static inline uint32_t take_byte(uint32_t crc, unsigned char byte)
{
    return _mm_crc32_u8(crc, byte);
}
#elif defined(__aarch64__)
#define WITH_INSTRUCTION __attribute__((target("+crc")))

static bool has_instruction(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}

WITH_INSTRUCTION static inline uint32_t take_word(uint32_t crc, uint64_t word)
{
    return __crc32cd(crc, word);
}

WITH_INSTRUCTION static inline uint32_t take_byte(uint32_t crc, unsigned char byte)
{
    return __crc32cb(crc, byte);
}
#endif

#ifdef WITH_INSTRUCTION
#define RUN_BYTES 16384u

static inline uint64_t get_word(const unsigned char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    return word;
}

/* shifts: by one run, and by two. */
WITH_INSTRUCTION static uint32_t take_three_runs(uint32_t crc, const unsigned char *next,
                                                 const uint32_t shifts[2])
{
    uint32_t second = 0, third = 0;

    for (size_t i = 0; i < RUN_BYTES; i += 8) {
        crc = take_word(crc, get_word(next + i));
        second = take_word(second, get_word(next + RUN_BYTES + i));
        third = take_word(third, get_word(next + 2 * RUN_BYTES + i));
    }
    return multiply(shifts[1], crc) ^ multiply(shifts[0], second) ^ third;
}

WITH_INSTRUCTION static uint32_t extend_by_instruction(uint32_t crc, const unsigned char *next, size_t length)
{
    crc = ~crc;
    if (length >= 3 * RUN_BYTES) {
        const uint32_t shifts[2] = {shift_by(RUN_BYTES), shift_by(2 * RUN_BYTES)};
        for (; length >= 3 * RUN_BYTES; next += 3 * RUN_BYTES, length -= 3 * RUN_BYTES)
            crc = take_three_runs(crc, next, shifts);
    }
    for (; length >= 8; next += 8, length -= 8)
        crc = take_word(crc, get_word(next));
    for (; length > 0; next++, length--)
        crc = take_byte(crc, *next);
    return ~crc;
}
#endif

uint32_t crc32c_extend(uint32_t crc, const void *data, size_t length)
{
#ifdef WITH_INSTRUCTION
    if (has_instruction())
        return extend_by_instruction(crc, data, length);
#endif
    return crc32c_extend_portable(crc, data, length);
}

uint32_t crc32c(const void *data, size_t length)
{
    return crc32c_extend(0, data, length);
}
