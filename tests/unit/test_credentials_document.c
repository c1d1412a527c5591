/* The documents that temporary credentials come in: what AWS documents, what others make of it, and what is
 * none. */
#include "common/credentials_document.h"
#include "common/timestamp.h"
#include "unit.h"

#include <string.h>

static bool read_text(const char *text, struct credentials_document *document, const char **problem)
{
    *problem = "";
    return *text == '<' ? credentials_document_xml(text, strlen(text), document, problem)
                        : credentials_document_json(text, strlen(text), document, problem);
}

static void check_keys(const char *text, const char *access, const char *secret, const char *token,
                       const char *expires)
{
    struct credentials_document document;
    const char *problem;
    int64_t time = 0;

    CHECK(read_text(text, &document, &problem));
    CHECK_TEXT(document.code, "");
    CHECK_TEXT(document.access_key, access);
    CHECK_TEXT(document.secret_key, secret);
    if (token != NULL)
        CHECK_TEXT(document.session_token, token);
    else
        CHECK(document.session_token == NULL);
    if (expires != NULL)
        CHECK(timestamp_parse(expires, &time) == TIMESTAMP_OK);
    CHECK(document.expires == time);
    credentials_document_wipe(&document);
    CHECK(document.access_key == NULL);
}

static void check_error(const char *text, const char *code, const char *message)
{
    struct credentials_document document;
    const char *problem;

    CHECK(read_text(text, &document, &problem));
    CHECK_TEXT(document.code, code);
    CHECK_TEXT(document.message, message);
    credentials_document_wipe(&document);
}

static void check_problem(const char *text, const char *expected)
{
    struct credentials_document document;
    const char *problem;

    CHECK(!read_text(text, &document, &problem));
    CHECK_TEXT(problem, expected);
    credentials_document_wipe(&document);
}

#define KEYS "\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"SK\""

static void test_json(void)
{
    check_keys("{\"Version\":1," KEYS "}", "AK", "SK", NULL, NULL);
    check_keys("{\"Version\":1," KEYS ",\"SessionToken\":\"T\",\"Expiration\":\"2026-11-22T10:00:00Z\"}",
               "AK", "SK", "T", "2026-11-22 10:00:00+00");
    check_keys("{\"Version\":1," KEYS ",\"SessionToken\":null,\"Expiration\":null}", "AK", "SK", NULL, NULL);
    /* the container's endpoint, the instance metadata */
    check_keys("{\"RoleArn\":\"r\"," KEYS ",\"Token\":\"T\",\"Expiration\":\"2026-11-22T11:00:00+01:00\"}",
               "AK", "SK", "T", "2026-11-22 10:00:00+00");
    check_keys("{\"Code\":\"Success\",\"LastUpdated\":\"2026-11-22T04:00:00Z\",\"Type\":\"AWS-HMAC\"," KEYS
               ",\"Token\":\"T\",\"Expiration\":\"2026-11-22T10:00:00Z\"}",
               "AK", "SK", "T", "2026-11-22 10:00:00+00");
    check_keys("{" KEYS ",\"Expiration\":\"2026-11-22T10:00:00.123456789Z\"}", "AK", "SK", NULL,
               "2026-11-22 10:00:00.123456+00");
    check_keys("{" KEYS ",\"Expiration\":\"2026-11-22T10:00:00\"}", "AK", "SK", NULL,
               "2026-11-22 10:00:00+00");
    check_error("{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot\\nassume\"}",
                "AssumeRoleUnauthorizedAccess", "EC2 cannot assume");
    check_error("{\"code\":\"Denied\",\"message\":\"no\"}", "Denied", "no");
    check_problem("", "it is no JSON");
    check_problem("not found", "it is no JSON");
    check_problem("{" KEYS "} {", "it is no JSON");
    check_problem("[]", "it has no AccessKeyId");
    check_problem("{\"AccessKeyId\":5,\"SecretAccessKey\":\"SK\"}", "it has no AccessKeyId");
    check_problem("{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"SK\"}", "it has no AccessKeyId");
    check_problem("{\"AccessKeyId\":\"AK\"}", "it has no SecretAccessKey");
    check_problem("{" KEYS ",\"Expiration\":\"tomorrow\"}", "its Expiration is no time");
    check_problem("{" KEYS ",\"Expiration\":\"1900-01-01T00:00:00Z\"}", "its Expiration is no time");
}

#define XML_KEYS "<AccessKeyId>AK</AccessKeyId><SecretAccessKey>SK</SecretAccessKey>"
#define ANSWER(name, credentials)                                                                            \
    "<" name "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" name "Result>"                 \
    "<AssumedRoleUser><Arn>a</Arn></AssumedRoleUser><Credentials>" credentials "</Credentials></" name       \
    "Result><ResponseMetadata><RequestId>i</RequestId></ResponseMetadata></" name "Response>"

static void test_xml(void)
{
    check_keys(ANSWER("AssumeRole", XML_KEYS "<SessionToken>T</SessionToken><Expiration>2026-11-22T10:00:00Z"
                                             "</Expiration>"),
               "AK", "SK", "T", "2026-11-22 10:00:00+00");
    check_keys(ANSWER("AssumeRoleWithWebIdentity", "<SessionToken>T</SessionToken>" XML_KEYS), "AK", "SK",
               "T", NULL);
    /* Ceph's: an error without a root of its own */
    check_error("<Error><Code>AccessDenied</Code><RequestId>x</RequestId></Error>", "AccessDenied", "");
    check_error("<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code><Message>Token "
                "expired</Message></Error></ErrorResponse>",
                "ExpiredTokenException", "Token expired");
    check_problem(ANSWER("AssumeRole", "<AccessKeyId>AK</AccessKeyId>"), "it has no SecretAccessKey");
    check_problem(ANSWER("AssumeRole", XML_KEYS "<Expiration>x</Expiration>"), "its Expiration is no time");
    check_problem("<html><Credentials>" XML_KEYS "</Credentials></html>", "it has no AccessKeyId");
    struct credentials_document document;
    const char *problem, *half = "<AssumeRoleResponse><AssumeRoleResult><Credentials>" XML_KEYS;
    CHECK(!read_text(half, &document, &problem) && document.access_key == NULL);
}

int main(void)
{
    test_json();
    test_xml();
    return unit_done("credentials_document");
}
