/* CRC-32C (Castagnoli) as PostgreSQL computes it. Layer 0. */
#ifndef WALFERRY_CRC32C_H
#define WALFERRY_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of these bytes behind others whose CRC is crc; 0 is that of no bytes. With the processor's instruction for
 * it, where there is one. */
uint32_t crc32c_extend(uint32_t crc, const void *data, size_t length);
/* The same without it. */
uint32_t crc32c_extend_portable(uint32_t crc, const void *data, size_t length);

uint32_t crc32c(const void *data, size_t length);

/* Of two runs of bytes, one behind the other, from the CRC of each. */
uint32_t crc32c_combine(uint32_t first, uint32_t second, uint64_t second_bytes);

#endif
