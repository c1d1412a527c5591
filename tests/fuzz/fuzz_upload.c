/* An upload to S3 in two parts, over answers made of the input: it is never said to be complete when no
 * answer said so. */
#include "fake_http.h"

FUZZ_TARGET(upload)
{
    static const char zeros[1u << 20];
    struct store *store = fake_store(data, length);
    struct store_upload *upload;
    struct store_object object;
    int written = 0;

    FUZZ_CHECK(store != NULL);
    upload = store_upload_begin(store, "main/a", 0, STORE_CONDITION_UNKNOWN);
    FUZZ_CHECK(upload != NULL);
    for (int i = 0; i < 16 && written == 0; i++)
        written = store_upload_write(upload, zeros, sizeof zeros);
    if (written == 0)
        written = store_upload_write(upload, "more", 4);
    if (written != 0)
        store_upload_abort(upload);
    else if (store_upload_finish(upload, &object) == STORE_OK)
        FUZZ_CHECK(length >= 60 && (memmem(data, length, "CompleteMultipartUploadResult", 29) != NULL ||
                                    memmem(data, length, "alferry-", 8) != NULL));
    store_close(store);
    return 0;
}
