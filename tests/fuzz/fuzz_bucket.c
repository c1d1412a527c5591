/* What repository-check reads of a bucket: its object lock, its lifecycle rules, an upload that is begun and
 * given up. The first byte is for the settings; the rest is answers. */
#include "fake_http.h"

#include "common/timestamp.h"
#include "repository/check.h"

#include <stdarg.h>

static unsigned fuzz_bucket_said;

/* In place of repository-check's. */
void check_say(struct check *check, enum finding finding, const char *format, ...)
{
    char text[4096];
    va_list arguments;

    FUZZ_CHECK(check != NULL && finding <= FINDING_FAILURE);
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    FUZZ_CHECK(length > 0 && (size_t)length < sizeof text);
    fuzz_bucket_said++;
}

FUZZ_TARGET(bucket)
{
    static char cluster_name[] = "main";
    static const struct config config = {.cluster_name = cluster_name};
    struct fuzz_input input = {data, length};
    unsigned details = fuzz_byte(&input);
    struct repository repository = {.config = &config};
    struct check check = {.repository = &repository, .reads_only = (details & 1) != 0};

    check.deadline = monotonic_now() + CHECK_SECONDS * 1000000ll;
    fake_settings = (struct s3_settings){.object_lock = (enum s3_lock)((details >> 1 & 3) % 3),
                                         .object_lock_days = 7,
                                         .legal_hold = (details & 8) != 0,
                                         .checksum = details >> 4 & 1,
                                         .sse = (enum s3_encryption)((details >> 5 & 3) % 3)};
    repository.settings = fake_begin(input.next, input.left);
    fake_settings = (struct s3_settings){.object_lock = S3_LOCK_NONE};
    fuzz_bucket_said = 0;
    check_bucket(&check);
    FUZZ_CHECK(fuzz_bucket_said >= 2); /* of the lock and of the rules, whatever came */
    return 0;
}
