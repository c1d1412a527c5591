/* What is done about which answer: the table of docs/stores.md. */
#include "common/s3_error.h"
#include "unit.h"

#include <stdlib.h>

/* headers: "name: value" of one header, or NULL. */
static void make_answer(struct http_response *response, unsigned status, const char *code, const char *name,
                        const char *value)
{
    *response = (struct http_response){.status = status};
    if (code != NULL)
        buffer_printf(&response->body,
                      "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>in\nwords</Message></Error>",
                      code);
    if (name != NULL) {
        buffer_append(&response->headers, name, strlen(name) + 1);
        buffer_append(&response->headers, value, strlen(value) + 1);
    }
}

static void test_actions(void)
{
    static const struct {
        unsigned status;
        const char *code, *header, *value;
        enum s3_action action;
    } cases[] = {
        {200, NULL, NULL, NULL, S3_ACTION_NONE},
        {204, NULL, NULL, NULL, S3_ACTION_NONE},
        {200, "InternalError", NULL, NULL, S3_ACTION_RETRY},
        {200, "NeverHeardOf", NULL, NULL, S3_ACTION_RETRY},
        {200, "AccessDenied", NULL, NULL, S3_ACTION_NONE},
        {408, NULL, NULL, NULL, S3_ACTION_RETRY},
        {429, NULL, NULL, NULL, S3_ACTION_RETRY},
        {500, "InternalError", NULL, NULL, S3_ACTION_RETRY},
        {501, "NotImplemented", NULL, NULL, S3_ACTION_NONE},
        {502, NULL, NULL, NULL, S3_ACTION_RETRY},
        {503, "SlowDown", NULL, NULL, S3_ACTION_RETRY},
        {504, NULL, NULL, NULL, S3_ACTION_RETRY},
        {400, "RequestTimeout", NULL, NULL, S3_ACTION_RETRY},
        {400, "IncompleteBody", NULL, NULL, S3_ACTION_RETRY},
        {400, "BadDigest", NULL, NULL, S3_ACTION_RETRY},
        {400, "InvalidArgument", NULL, NULL, S3_ACTION_NONE},
        {400, "ExpiredToken", NULL, NULL, S3_ACTION_CREDENTIALS},
        {403, "InvalidToken", NULL, NULL, S3_ACTION_CREDENTIALS},
        {403, "RequestTimeTooSkewed", NULL, NULL, S3_ACTION_CLOCK},
        {403, "AccessDenied", NULL, NULL, S3_ACTION_NONE},
        {403, "InvalidAccessKeyId", NULL, NULL, S3_ACTION_NONE},
        {403, "SignatureDoesNotMatch", NULL, NULL, S3_ACTION_NONE},
        {403, "InvalidObjectState", NULL, NULL, S3_ACTION_NONE},
        {404, "NoSuchKey", NULL, NULL, S3_ACTION_NONE},
        {404, "NoSuchBucket", NULL, NULL, S3_ACTION_NONE},
        {409, "ConditionalRequestConflict", NULL, NULL, S3_ACTION_RETRY},
        {412, "PreconditionFailed", NULL, NULL, S3_ACTION_NONE},
        {301, "PermanentRedirect", "x-amz-bucket-region", "eu-central-1", S3_ACTION_REGION},
        {301, "PermanentRedirect", NULL, NULL, S3_ACTION_NONE},
        {400, "AuthorizationHeaderMalformed", "x-amz-bucket-region", "eu-central-1", S3_ACTION_REGION},
        {400, NULL, "x-amz-bucket-region", "eu-central-1", S3_ACTION_REGION},
        {400, "AuthorizationHeaderMalformed", "x-amz-bucket-region", "us-east-1", S3_ACTION_NONE},
        {403, "AccessDenied", "x-amz-bucket-region", "eu-central-1", S3_ACTION_NONE},
        {307, "TemporaryRedirect", "location", "https://b.s3.example/k", S3_ACTION_REDIRECT},
        {307, "TemporaryRedirect", NULL, NULL, S3_ACTION_NONE},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_response response;
        struct s3_error error;

        make_answer(&response, cases[i].status, cases[i].code, cases[i].header, cases[i].value);
        s3_error_read(&response, &error);
        CHECK_TEXT(error.code, cases[i].code != NULL ? cases[i].code : "");
        enum s3_action action = s3_error_action(&response, &error, "us-east-1");
        if (action != cases[i].action)
            fprintf(stderr, "status %u code %s\n", cases[i].status, error.code);
        CHECK(action == cases[i].action);
        http_response_free(&response);
    }
}

static void test_reading(void)
{
    struct http_response response = {.status = 404};
    struct s3_error error;

    buffer_append_string(&response.body,
                         "<Error><Code>NoSuchKey</Code><Message>a\nb</Message><RequestId>r1</RequestId>"
                         "<Region>eu-west-1</Region><Details><Code>Other</Code></Details></Error>");
    s3_error_read(&response, &error);
    CHECK_TEXT(error.code, "NoSuchKey");
    CHECK_TEXT(error.message, "a b");
    CHECK_TEXT(error.request_id, "r1");
    CHECK_TEXT(error.region, "eu-west-1");
    /* a document that breaks off proves nothing */
    buffer_clear(&response.body);
    buffer_append_string(&response.body, "<Error><Code>NoSuchKey</Code><Mess");
    s3_error_read(&response, &error);
    CHECK_TEXT(error.code, "");
    /* nor does somebody else's page, or a success document */
    buffer_clear(&response.body);
    buffer_append_string(&response.body, "<html><Error><Code>NoSuchKey</Code></Error></html>");
    s3_error_read(&response, &error);
    CHECK_TEXT(error.code, "");
    http_response_free(&response);
}

static void test_dates(void)
{
    int64_t value = 0;

    CHECK(http_parse_date("Fri, 24 May 2013 00:00:00 GMT", &value) && value == 1369353600000000);
    CHECK(!http_parse_date("yesterday", &value));
    CHECK(!http_parse_date("", &value));
}

/* Refusals that are a matter of the settings: as AWS and Ceph word them. */
static void test_settings(void)
{
    enum { CUSTOMER = 1, KMS = 2, CHECKSUM = 4 };
    static const struct {
        const char *code, *message;
        int what;
    } cases[] = {
        {"InvalidRequest",
         "The object was stored using a form of Server Side Encryption. The correct parameters must be "
         "provided to retrieve the object.",
         CUSTOMER},
        {"InvalidArgument", "The calculated MD5 hash of the key did not match the hash that was provided.",
         CUSTOMER},
        {"InvalidRequest",
         "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate "
         "secret key.",
         CUSTOMER},
        {"KMS.NotFoundException", "Invalid keyId missing", KMS},
        {"KMS.KMSInvalidStateException", "arn:aws:kms:... is pending deletion.", KMS},
        {"AccessDenied",
         "User: arn:aws:iam::111122223333:user/pg is not authorized to perform: kms:GenerateDataKey on "
         "resource: arn:aws:kms:eu-1:111122223333:key/1",
         KMS},
        {"InvalidAccessKeyId", "Failed to retrieve the actual key, kms-keyid: no-such-key", KMS},
        {"InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 0},
        {"AccessDenied", "Access Denied", 0},
        {"InvalidRequest",
         "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock "
         "parameters",
         CHECKSUM},
        {"InvalidArgument", "Argument maxKeys must be an integer", 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct s3_error error = {.code = ""};

        snprintf(error.code, sizeof error.code, "%s", cases[i].code);
        snprintf(error.message, sizeof error.message, "%s", cases[i].message);
        int found = (s3_error_is_of_customer_key(&error) ? CUSTOMER : 0) |
                    (s3_error_is_of_kms(&error) ? KMS : 0) | (s3_error_wants_checksum(&error) ? CHECKSUM : 0);
        if (found != cases[i].what)
            fprintf(stderr, "%s: %s\n", cases[i].code, cases[i].message);
        CHECK(found == cases[i].what);
    }
}

int main(void)
{
    test_settings();
    test_actions();
    test_reading();
    test_dates();
    return unit_done("s3_error");
}
