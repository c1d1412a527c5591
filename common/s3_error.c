#include "s3_error.h"

#include "xml.h"

#include <stdio.h>
#include <string.h>

/* A copy without control characters: it is going to stand in a log. */
static void copy_text(char *out, size_t out_bytes, const char *text)
{
    size_t length = 0;

    for (; *text != '\0' && length + 1 < out_bytes; text++)
        out[length++] = (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text;
    out[length] = '\0';
}

static bool take_element(void *context, const char *path, const char *text)
{
    struct s3_error *error = context;

    if (strcmp(path, "Error/Code") == 0)
        copy_text(error->code, sizeof error->code, text);
    else if (strcmp(path, "Error/Message") == 0)
        copy_text(error->message, sizeof error->message, text);
    else if (strcmp(path, "Error/RequestId") == 0)
        copy_text(error->request_id, sizeof error->request_id, text);
    else if (strcmp(path, "Error/Region") == 0)
        copy_text(error->region, sizeof error->region, text);
    return true;
}

void s3_error_read(const struct http_response *response, struct s3_error *error)
{
    const char *problem, *header;

    *error = (struct s3_error){.code = ""};
    if (response->body.length > 0 &&
        xml_parse(response->body.data, response->body.length, take_element, error, &problem) != 0)
        *error = (struct s3_error){.code = ""}; /* half a document, or none at all */
    header = http_header(response, "x-amz-request-id");
    if (error->request_id[0] == '\0' && header != NULL)
        copy_text(error->request_id, sizeof error->request_id, header);
    header = http_header(response, "x-amz-bucket-region");
    if (error->region[0] == '\0' && header != NULL)
        copy_text(error->region, sizeof error->region, header);
}

static bool is_among(const char *code, const char *const *codes)
{
    for (; *codes != NULL; codes++)
        if (strcmp(code, *codes) == 0)
            return true;
    return false;
}

/* By code, whatever the status: a store may say 200 and put the error in the body. */
bool s3_error_is_passing(const char *code)
{
    static const char *const codes[] = {"InternalError",
                                        "SlowDown",
                                        "ServiceUnavailable",
                                        "RequestTimeout",
                                        "IncompleteBody",
                                        "BadDigest",
                                        "OperationAborted",
                                        "Throttling",
                                        "ThrottlingException",
                                        "KMS.ThrottlingException",
                                        "RequestThrottled",
                                        "BandwidthLimitExceeded",
                                        "TooManyRequestsException",
                                        "XAmzContentSHA256Mismatch",
                                        "RequestLimitExceeded",
                                        "ConditionalRequestConflict",
                                        NULL};

    return is_among(code, codes);
}

/* Of the errors that were seen with status 200: those that another try would not better. */
static bool is_lasting(const char *code)
{
    static const char *const codes[] = {
        "AccessDenied",       "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket",
        "NoSuchUpload",       "NoSuchKey",          "InvalidPart",           "InvalidPartOrder",
        "EntityTooSmall",     "EntityTooLarge",     "MalformedXML",          "InvalidRequest",
        "PreconditionFailed", "NotImplemented",     "InvalidArgument",       NULL};

    return is_among(code, codes);
}

static bool is_passing_status(unsigned status)
{
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

enum s3_action s3_error_action(const struct http_response *response, const struct s3_error *error,
                               const char *region)
{
    static const char *const stale_keys[] = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", NULL};
    unsigned status = response->status;

    if (s3_error_is_none(response, error))
        return S3_ACTION_NONE;
    if (strcmp(error->code, "RequestTimeTooSkewed") == 0)
        return S3_ACTION_CLOCK;
    if (is_among(error->code, stale_keys))
        return S3_ACTION_CREDENTIALS;
    if (status == 307 && http_header(response, "location") != NULL)
        return S3_ACTION_REDIRECT;
    /* 400 is AuthorizationHeaderMalformed, or a HEAD's answer, which has no body to say so */
    if ((status == 301 || status == 400) && error->region[0] != '\0' && strcmp(error->region, region) != 0)
        return S3_ACTION_REGION;
    if (is_passing_status(status) || s3_error_is_passing(error->code))
        return S3_ACTION_RETRY;
    if (status >= 200 && status < 300 && !is_lasting(error->code))
        return S3_ACTION_RETRY;
    return S3_ACTION_NONE;
}

bool s3_error_wants_checksum(const struct s3_error *error)
{
    return strcmp(error->code, "InvalidRequest") == 0 && (strstr(error->message, "Content-MD5") != NULL ||
                                                          strstr(error->message, "x-amz-checksum-") != NULL);
}

static bool says_any(const struct s3_error *error, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcasestr(error->message, *words) != NULL)
            return true;
    return false;
}

bool s3_error_is_of_customer_key(const struct s3_error *error)
{
    /* AWS: "The object was stored using a form of Server Side Encryption. The correct parameters must be
     * provided"; Ceph: "Requests specifying Server Side Encryption with Customer provided keys must provide",
     * and of another key "The calculated MD5 hash of the key did not match the hash that was provided." */
    static const char *const words[] = {"form of Server Side Encryption", "Customer provided key",
                                        "customer-key", "MD5 hash of the key", NULL};

    return (strcmp(error->code, "InvalidRequest") == 0 || strcmp(error->code, "InvalidArgument") == 0) &&
           says_any(error, words);
}

bool s3_error_is_of_kms(const struct s3_error *error)
{
    /* AWS: KMS.NotFoundException, or "... is not authorized to perform: kms:Decrypt on resource ..."; Ceph:
     * "Failed to retrieve the actual key, kms-keyid: ..." with InvalidAccessKeyId */
    static const char *const words[] = {"kms:", "kms-keyid", NULL};

    return strncmp(error->code, "KMS.", 4) == 0 || says_any(error, words);
}

bool s3_error_is_of_settings(const struct s3_error *error)
{
    static const char *const codes[] = {"InvalidStorageClass", "InvalidTag", "InvalidRetentionPeriod",
                                        "ServerSideEncryptionConfigurationNotFoundError", NULL};
    static const char *const words[] = {"encryption",  "storage class", "storage-class",
                                        "object lock", "object-lock",   "ObjectLock",
                                        "retention",   "KMS",           NULL};

    return is_among(error->code, codes) ||
           ((strcmp(error->code, "InvalidRequest") == 0 || strcmp(error->code, "InvalidArgument") == 0 ||
             strcmp(error->code, "NotImplemented") == 0) &&
            says_any(error, words));
}

bool s3_error_is_none(const struct http_response *response, const struct s3_error *error)
{
    return response->status >= 200 && response->status < 300 && error->code[0] == '\0';
}
