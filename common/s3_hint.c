#include "s3_hint.h"

#include "log.h"

#include <string.h>

bool s3_hint_of_settings(const struct repository_config *config, const struct s3_request *request,
                         const struct s3_answer *answer, const char *source)
{
    const struct s3_error *error = &answer->error;
    const struct s3_settings *s3 = &config->s3;
    bool reads = strcmp(request->method, "GET") == 0 && request->key != NULL;
    bool makes = request->key != NULL &&
                 ((strcmp(request->method, "PUT") == 0 && request->query_count == 0) ||
                  (request->query_count > 0 && strcmp(request->query[0].name, "uploads") == 0));

    if (s3_error_wants_checksum(error))
        log_hint("Bucket \"%s\" takes nothing without a checksum header: set checksum = sha256 in section "
                 "[repository %s].",
                 config->bucket, config->name);
    else if (s3_error_is_of_customer_key(error) && s3->sse == S3_ENCRYPTION_CUSTOMER)
        log_hint("sse_customer_key_file in section [repository %s] names another key than the object was "
                 "stored with, or the bucket takes no such keys.",
                 config->name);
    else if (s3_error_is_of_customer_key(error))
        log_hint("The object was stored with a customer's key (SSE-C): set sse = customer and "
                 "sse_customer_key_file in section [repository %s] as they were then.",
                 config->name);
    else if (answer->response.status == 403 && s3->sse == S3_ENCRYPTION_CUSTOMER && reads)
        log_hint("sse_customer_key_file names another key than the object was stored with; or grant "
                 "s3:GetObject, and s3:ListBucket on the bucket without a condition, to the key that came "
                 "from %s.",
                 source);
    else if (s3_error_is_of_settings(error))
        log_hint("Check sse, storage_class, storage_class_wal, tags and object_lock in section [repository "
                 "%s], and whether the bucket has what they want.",
                 config->name);
    else if (answer->response.status == 403 && s3->expected_bucket_owner != NULL)
        log_hint(
            "Either a grant is missing to the key that came from %s, or the bucket is not that of account "
            "%s (expected_bucket_owner).",
            source, s3->expected_bucket_owner);
    else if (answer->response.status == 403 && makes &&
             (s3->object_lock != S3_LOCK_NONE || s3->tags != NULL || s3->sse == S3_ENCRYPTION_KMS))
        log_hint("Grant s3:PutObject%s%s%s to the key that came from %s.",
                 s3->object_lock != S3_LOCK_NONE ? ", s3:PutObjectRetention (object_lock)" : "",
                 s3->tags != NULL ? ", s3:PutObjectTagging (tags)" : "",
                 s3->sse == S3_ENCRYPTION_KMS ? ", kms:GenerateDataKey and kms:Decrypt (sse = kms)" : "",
                 source);
    else
        return false;
    return true;
}
