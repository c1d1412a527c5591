/* pg_control, as it is and with its CRC put right for each length it may stand behind; PG_VERSION and
 * postmaster.pid are read by name only, from files of the server's own. */
#include "fuzz.h"

#include "common/crc32c.h"
#include "common/pg_control.h"

static void fuzz_control_parse(const void *data, size_t length)
{
    struct pg_control control;
    const char *problem = pg_control_parse(data, length, &control);

    if (problem == NULL)
        FUZZ_CHECK(control.segment_bytes != 0 && control.block_bytes != 0);
}

FUZZ_TARGET(control)
{
    /* where the CRC lies in pg_control of 13 to 17, of 18 and of 19 */
    static const size_t places[] = {288, 292, 308};
    unsigned char *copy = malloc(length + (length == 0));

    FUZZ_CHECK(copy != NULL);
    memcpy(copy, data, length);
    fuzz_control_parse(copy, length);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (length < places[i] + 4)
            continue;
        memcpy(copy, data, length);
        uint32_t crc = crc32c(copy, places[i]);
        memcpy(copy + places[i], &crc, sizeof crc);
        fuzz_control_parse(copy, length);
    }
    free(copy);
    return 0;
}
