#include "s3_hint.h"

#include "log.h"

#include <string.h>

static bool is_copy(const struct s3_request *request)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcmp(request->headers[i].name, "x-amz-copy-source") == 0)
            return true;
    return false;
}

/* False: there is none for this answer. */
static bool hint_of_settings(const struct repository_config *config, const struct s3_request *request,
                             const struct s3_answer *answer, const char *source)
{
    const struct s3_error *error = &answer->error;
    const struct s3_settings *s3 = &config->s3;
    bool reads = strcmp(request->method, "GET") == 0 && request->key != NULL;
    bool makes = request->key != NULL &&
                 ((strcmp(request->method, "PUT") == 0 && request->query_count == 0) ||
                  (request->query_count > 0 && strcmp(request->query[0].name, "uploads") == 0));

    if (s3_error_is_of_kms(error) && strcmp(error->code, "AccessDenied") == 0)
        log_hint("Grant kms:Decrypt on the KMS key, for storing also kms:GenerateDataKey, to the credentials "
                 "from %s.",
                 source);
    else if (s3_error_is_of_kms(error))
        log_hint("Check sse_kms_key_id in section [repository %s], and whether the key is enabled and of the "
                 "bucket's region.",
                 config->name);
    else if (s3_error_wants_checksum(error))
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
        log_hint("Grant s3:PutObject%s%s%s%s to the key that came from %s.",
                 is_copy(request) ? ", s3:GetObject, s3:GetObjectVersion (of a copy's source)" : "",
                 s3->object_lock != S3_LOCK_NONE ? ", s3:PutObjectRetention (object_lock)" : "",
                 s3->tags != NULL ? ", s3:PutObjectTagging (tags)" : "",
                 s3->sse == S3_ENCRYPTION_KMS ? ", kms:GenerateDataKey and kms:Decrypt (sse = kms)" : "",
                 source);
    else
        return false;
    return true;
}

/* What a request needs that is not the GET of an object. */
static const char *grant_for(const struct s3_request *request)
{
    const char *what = request->query_count > 0 ? request->query[0].name : "";

    if (request->key == NULL && strcmp(request->method, "GET") == 0)
        return strcmp(what, "versions") == 0  ? "s3:ListBucketVersions on the bucket"
               : strcmp(what, "uploads") == 0 ? "s3:ListBucketMultipartUploads on the bucket"
                                              : "s3:ListBucket on the bucket";
    if (request->key == NULL || strcmp(request->method, "DELETE") == 0)
        return "s3:DeleteObject (for versions s3:DeleteObjectVersion)";
    if (strcmp(what, "legal-hold") == 0)
        return "s3:PutObjectLegalHold";
    if (is_copy(request))
        return "s3:GetObject and s3:GetObjectVersion (of the source), and s3:PutObject";
    return strcmp(request->method, "HEAD") == 0 ? "s3:GetObject and s3:ListBucket"
                                                : "s3:PutObject (and s3:AbortMultipartUpload)";
}

static bool hint_by_code(const struct repository_config *config, const struct s3_request *request,
                         const struct s3_answer *answer, const char *source)
{
    const char *code = answer->error.code;
    bool is_head = strcmp(request->method, "HEAD") == 0; /* its answers have no body to hold a code */

    if (*code == '\0' && !is_head) /* a proxy's 403 is no question of grants */
        return false;
    if (strcmp(code, "NoSuchBucket") == 0)
        log_hint("Walferry makes no buckets: make \"%s\", or correct the url in section [repository %s].",
                 config->bucket, config->name);
    else if (s3_error_is_of_kms(&answer->error))
        return hint_of_settings(config, request, answer, source);
    else if (strcmp(code, "InvalidAccessKeyId") == 0 || strcmp(code, "SignatureDoesNotMatch") == 0)
        log_hint("The key came from %s.", source);
    else if (strcmp(code, "ExpiredToken") == 0 || strcmp(code, "InvalidToken") == 0)
        log_hint("Renew the temporary credentials; they came from %s.", source);
    else if (strcmp(code, "RequestTimeTooSkewed") == 0)
        log_hint("Set the clock of this machine.");
    else if (strcmp(code, "InvalidObjectState") == 0)
        log_hint("The object is in an archive tier (Glacier): have the store restore it, then try again.");
    else if (hint_of_settings(config, request, answer, source))
        return true;
    else if (strcmp(code, "PermanentRedirect") == 0 || strcmp(code, "AuthorizationHeaderMalformed") == 0)
        log_hint("Check region, endpoint and addressing in section [repository %s].", config->name);
    else if (answer->response.status == 403 && strcmp(request->method, "GET") == 0 && request->key != NULL)
        log_hint("Grant s3:GetObject on the bucket's objects and s3:ListBucket on the bucket without a "
                 "condition: without the "
                 "latter a store says 403 for a missing object, too, and no recovery can begin. The key came "
                 "from %s.",
                 source);
    else if (answer->response.status == 403)
        log_hint("Grant %s to the key that came from %s.", grant_for(request), source);
    else
        return false;
    return true;
}

void s3_hint(const struct repository_config *config, const struct s3_request *request,
             const struct s3_answer *answer, const char *origin, const char *source)
{
    const struct http_response *response = &answer->response;

    if (response->untrusted)
        log_hint("Name the CA's certificate with ca_file in section [repository %s]; check the host's name "
                 "in endpoint.",
                 config->name);
    else if (response->cut)
        log_hint("%s was asked; check endpoint and addressing in section [repository %s], and the network.",
                 origin, config->name);
    else if (!hint_by_code(config, request, answer, source) && answer->error.code[0] == '\0' &&
             strcmp(request->method, "HEAD") != 0)
        log_hint("The answer of %s is not that of an S3 store: check endpoint and addressing in section "
                 "[repository %s].",
                 origin, config->name);
}
