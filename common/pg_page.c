#include "pg_control.h"

#include <string.h>

#define LANES 32
#define ROW_BYTES (LANES * sizeof(uint32_t))
#define FNV_PRIME 16777619u
#define CHECKSUM_OFFSET 8 /* pd_checksum, behind pd_lsn */

static const uint32_t lane_start[LANES] = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
};

/* Kept simple enough for the compiler to work on several lanes at once. */
static inline void mix_row(uint32_t sums[LANES], const uint32_t row[LANES])
{
    for (int i = 0; i < LANES; i++) {
        uint32_t mixed = sums[i] ^ row[i];
        sums[i] = (mixed * FNV_PRIME) ^ (mixed >> 17);
    }
}

uint16_t pg_page_checksum(const void *page, size_t block_bytes, uint32_t block)
{
    static const uint32_t zeros[LANES];
    const unsigned char *bytes = page;
    uint32_t sums[LANES], row[LANES], result = 0;

    memcpy(sums, lane_start, sizeof sums);
    for (size_t offset = 0; offset < block_bytes; offset += ROW_BYTES) {
        memcpy(row, bytes + offset, ROW_BYTES);
        if (offset == 0) /* the checksum counts as zero, without touching the caller's page */
            memset((unsigned char *)row + CHECKSUM_OFFSET, 0, sizeof(uint16_t));
        mix_row(sums, row);
    }
    mix_row(sums, zeros);
    mix_row(sums, zeros);
    for (int i = 0; i < LANES; i++)
        result ^= sums[i];
    result ^= block; /* so that a page in the wrong place is found */
    return (uint16_t)(result % 65535 + 1);
}
