/* Roles, assumed at an STS: AssumeRole, signed, and AssumeRoleWithWebIdentity, which needs no key
 * (credentials_source.h). Source: AWS Security Token Service API Reference.
 *
 * Where it is asked: sts_endpoint of the section, else AWS_ENDPOINT_URL_STS, else the repository's own
 * endpoint where that is not Amazon's (Ceph and others have both at one address: a token for them is no
 * business of Amazon's), else Amazon's of the region. */
#include "credentials_source.h"

#include "credentials_document.h"
#include "digest.h"
#include "file.h"
#include "log.h"
#include "s3_sign.h"
#include "timestamp.h"

#include <stdlib.h>
#include <string.h>

#define STS_SECONDS 10
#define TOKEN_BYTES_MOST (64u * 1024)
#define CLOCK_SECONDS                                                                                        \
    240 /* so far apart, a refused signature is the clock's fault: Amazon takes 5 minutes                    \
         */
#define FORM "application/x-www-form-urlencoded; charset=utf-8"

struct assumption {
    const struct role *role;
    const char *origin, *region;
    bool is_beside_store; /* what the section says of certificates is meant for it, too */
};

/* How it is asked; what is put right once. */
struct attempt {
    struct credentials keys; /* to sign with */
    int64_t clock_offset;    /* the server's clock less ours */
    bool clock_tried, keys_tried;
};

/* "https://x.amazonaws.com:443" and the like. */
static bool is_amazon(const char *endpoint)
{
    const char *host = strstr(endpoint, "://") + 3;
    size_t length = strcspn(host, ":/");
    const char *const ends[] = {".amazonaws.com", ".amazonaws.com.cn", ".api.aws"};

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (length > strlen(ends[i]) &&
            strncmp(host + length - strlen(ends[i]), ends[i], strlen(ends[i])) == 0)
            return true;
    return false;
}

/* Where a request is signed for: no user, who would stand in messages, and no path, which would have to be
 * signed. */
static bool is_origin(const char *text)
{
    const char *host = strncmp(text, "https://", 8) == 0  ? text + 8
                       : strncmp(text, "http://", 7) == 0 ? text + 7
                                                          : "";

    return *host != '\0' && strcspn(host, "/?#@ ") == strlen(host);
}

/* Caller frees. */
static char *find_origin(const struct repository_config *config, const char *region)
{
    const char *variable = credentials_variable("AWS_ENDPOINT_URL_STS");
    const char *named = config->sts_endpoint != NULL ? config->sts_endpoint : variable;
    char *origin;

    if (named == NULL && config->endpoint != NULL && !is_amazon(config->endpoint))
        named = config->endpoint;
    if (named == NULL)
        return string_printf("https://sts.%s.amazonaws.com%s", region,
                             strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    origin = string_copy(named);
    size_t length = origin != NULL ? strlen(origin) : 0;
    if (length > 0 && origin[length - 1] == '/')
        origin[length - 1] = '\0';
    if (origin != NULL && !is_origin(origin)) {
        log_error("%s must be https://HOST[:PORT]",
                  named == variable ? "AWS_ENDPOINT_URL_STS" : "sts_endpoint");
        free(origin);
        origin = NULL;
    }
    return origin;
}

/* What a request to Amazon's STS is signed for is the region in its name ("vpce-1.sts.eu-west-1.vpce..."),
 * and us-east-1 for "sts.amazonaws.com", whatever the bucket's is. Takes region over. Caller frees; NULL
 * after logging. */
static char *signing_region(const char *origin, char *region)
{
    const char *label = strstr(origin, "://") + 3;

    if (!is_amazon(origin))
        return region;
    free(region);
    while (strncmp(label, "sts.", 4) != 0 && strncmp(label, "sts-fips.", 9) != 0) {
        label += strcspn(label, ".");
        if (*label++ == '\0')
            return string_copy("us-east-1");
    }
    label = strchr(label, '.') + 1;
    if (strncmp(label, "amazonaws.", 10) == 0)
        return string_copy("us-east-1");
    return string_printf("%.*s", (int)strcspn(label, "."), label);
}

static int add_field(struct buffer *form, const char *name, const char *value)
{
    return buffer_printf(form, "&%s=", name) != 0 || s3_encode(form, value, false) != 0 ? -1 : 0;
}

/* Kubernetes renews it in place: it is read for each request. 0, or -1 after logging. */
static int read_token(const char *path, struct buffer *token)
{
    enum file_result result = file_read_all(path, TOKEN_BYTES_MOST, token);

    if (result == FILE_ABSENT) {
        log_error("there is no web identity token file \"%s\"", path);
        log_hint("It is named by web_identity_token_file or AWS_WEB_IDENTITY_TOKEN_FILE: look whether it is "
                 "mounted where this program runs.");
    }
    while (token->length > 0 && strchr(" \r\n", token->data[token->length - 1]) != NULL)
        token->data[--token->length] = '\0';
    if (result == FILE_OK && token->length == 0) {
        log_error("web identity token file \"%s\" is empty", path);
        result = FILE_FAILED;
    }
    return result == FILE_OK ? 0 : -1;
}

static int make_form(const struct role *role, struct buffer *form)
{
    const char *variable = credentials_variable("AWS_ROLE_SESSION_NAME");
    const char *session = role->session_name != NULL ? role->session_name
                          : variable != NULL         ? variable
                                                     : "walferry";
    struct buffer token = BUFFER_EMPTY;
    int result = -1;

    if (buffer_printf(form, "Action=%s&Version=2011-06-15",
                      role->token_file != NULL ? "AssumeRoleWithWebIdentity" : "AssumeRole") != 0 ||
        add_field(form, "RoleArn", role->arn) != 0 || add_field(form, "RoleSessionName", session) != 0)
        return -1;
    if (role->duration_seconds != 0 &&
        buffer_printf(form, "&DurationSeconds=%u", role->duration_seconds) != 0)
        return -1;
    if (role->token_file == NULL)
        return role->external_id != NULL ? add_field(form, "ExternalId", role->external_id) : 0;
    if (read_token(role->token_file, &token) == 0)
        result = add_field(form, "WebIdentityToken", buffer_string(&token));
    buffer_wipe(&token);
    return result;
}

/* Headers that sign the form with keys. */
static int sign(const struct assumption *assumption, const struct buffer *form, const struct attempt *attempt,
                struct buffer *headers)
{
    const struct credentials *keys = &attempt->keys;
    const struct s3_field content_type = {"content-type", FORM};
    unsigned char digest[SHA256_BYTES];
    char payload[SHA256_HEX_BYTES];

    if (sha256_of(form->data, form->length, digest) != 0)
        return -1;
    hex_encode(digest, sizeof digest, payload);
    const struct s3_signing signing = {.method = "POST",
                                       .host = strstr(assumption->origin, "://") + 3,
                                       .path = "/",
                                       .query = "",
                                       .headers = &content_type,
                                       .header_count = 1,
                                       .payload_sha256 = payload,
                                       .access_key = keys->access_key,
                                       .secret_key = keys->secret_key,
                                       .session_token = keys->session_token,
                                       .region = assumption->region,
                                       .service = "sts",
                                       .time = timestamp_now() + attempt->clock_offset};
    return s3_sign(&signing, headers);
}

static void hint(const struct role *role, const char *code)
{
    if (strncmp(code, "ExpiredToken", 12) == 0 || strncmp(code, "InvalidIdentityToken", 20) == 0) {
        if (role->token_file != NULL)
            log_hint("The token in \"%s\" is not accepted: look whether it is renewed there, and whether its "
                     "issuer is an identity provider of the account.",
                     role->token_file);
        else
            log_hint("The keys that are to assume the role have expired.");
    } else if (strcmp(code, "AccessDenied") == 0) {
        log_hint("The role's trust policy must let %s assume it%s.",
                 role->token_file != NULL ? "the token's issuer and subject" : "the owner of the keys",
                 role->token_file != NULL    ? " (sts:AssumeRoleWithWebIdentity)"
                 : role->external_id == NULL ? " (sts:AssumeRole); it may want an external_id"
                                             : " (sts:AssumeRole) with this external_id");
    } else if (strcmp(code, "SignatureDoesNotMatch") == 0 || strcmp(code, "InvalidClientTokenId") == 0 ||
               strcmp(code, "InvalidAccessKeyId") == 0) {
        log_hint("The keys that are to assume the role are not accepted; or the clock of this machine is "
                 "wrong.");
    } else if (strcmp(code, "RegionDisabledException") == 0) {
        log_hint("Set region or sts_endpoint: this region's STS is not switched on for the account.");
    }
}

static enum found judge(const struct assumption *assumption, const struct http_response *response,
                        struct credentials *credentials)
{
    struct credentials_document document = {.access_key = NULL};
    const char *arn = assumption->role->arn, *problem = NULL;
    bool is_understood =
        credentials_document_xml(response->body.data, response->body.length, &document, &problem);
    enum found found = FAILED;

    if (is_understood && document.code[0] != '\0') {
        log_error("could not assume role \"%s\" at %s: HTTP %u %s: %s", arn, assumption->origin,
                  response->status, document.code, document.message);
        hint(assumption->role, document.code);
    } else if (response->status != 200 || !is_understood) {
        log_error("could not assume role \"%s\" at %s: HTTP %u%s%s", arn, assumption->origin,
                  response->status, problem != NULL ? ", and the answer is not that of an STS: " : "",
                  problem != NULL ? problem : "");
        log_hint("Check sts_endpoint.");
    } else {
        found = credentials_take(credentials, string_printf("role \"%s\"", arn), document.access_key,
                                 document.secret_key, document.session_token);
        credentials->expires = document.expires;
    }
    credentials_document_wipe(&document);
    return found;
}

/* 0: there is an answer; 1: none; -1 after logging. */
static int ask(const struct search *search, const struct assumption *assumption,
               const struct attempt *attempt, struct http_response *response)
{
    const struct repository_config *config = search->config;
    bool is_signed = assumption->role->token_file == NULL;
    struct buffer form = BUFFER_EMPTY, headers = BUFFER_EMPTY;
    int asked = -1;

    if (make_form(assumption->role, &form) == 0 &&
        (is_signed ? sign(assumption, &form, attempt, &headers)
                   : buffer_append_string(&headers, "content-type: " FORM "\n")) == 0)
        asked = credentials_ask(
            &(struct question){.object = assumption->origin,
                               .method = "POST",
                               .url = assumption->origin,
                               .headers = buffer_string(&headers),
                               .body = buffer_string(&form),
                               .seconds = STS_SECONDS,
                               .connect_seconds = config->connect_timeout_seconds,
                               .ca_file = assumption->is_beside_store ? config->ca_file : NULL,
                               .tls_verify = !assumption->is_beside_store || config->tls_verify,
                               .proxy = config->proxy},
            response);
    buffer_wipe(&form);
    buffer_wipe(&headers);
    return asked;
}

/* STS has no code of its own for it: "SignatureDoesNotMatch: Signature expired". */
static bool adopt_clock(const struct assumption *assumption, const struct http_response *response,
                        struct attempt *attempt)
{
    const char *date = http_header(response, "date");
    int64_t theirs, offset;

    if (attempt->clock_tried || date == NULL || !http_parse_date(date, &theirs))
        return false;
    offset = theirs - response->answered;
    if (llabs(offset) < CLOCK_SECONDS * 1000000LL)
        return false;
    attempt->clock_tried = true;
    attempt->clock_offset = offset;
    log_warning("the clock of this machine and that of %s are %lld s apart; signing with the server's time",
                assumption->origin, llabs(offset) / 1000000);
    return true;
}

/* Temporary keys that were remembered may be refused sooner than they say. */
static bool adopt_keys(const struct search *search, const struct role *role,
                       const struct http_response *response, struct attempt *attempt)
{
    struct search again = *search;
    struct credentials fresh = CREDENTIALS_EMPTY;

    if (attempt->keys_tried || attempt->keys.session_token == NULL ||
        strstr(buffer_string(&response->body), "<Code>ExpiredToken") == NULL)
        return false;
    attempt->keys_tried = true;
    again.refused = attempt->keys.session_token;
    bool found = role->source(&again, role->context, &fresh) == FOUND;
    if (found) {
        credentials_wipe(&attempt->keys);
        attempt->keys = fresh;
    } else {
        credentials_wipe(&fresh);
    }
    return found;
}

static enum found fetch(const struct search *search, void *context, struct credentials *credentials)
{
    const struct assumption *assumption = context;
    const struct role *role = assumption->role;
    struct search inner = *search; /* what the store refused is the role's, not that of who assumes it */
    struct attempt attempt = {.keys = CREDENTIALS_EMPTY};
    struct http_response response = {.status = 0};
    enum found found = FAILED;
    int asked;

    inner.refused = NULL;
    if (role->token_file == NULL) {
        found = role->source(&inner, role->context, &attempt.keys);
        if (found != FOUND)
            goto done;
        found = FAILED;
    }
    if (strncmp(assumption->origin, "http://", 7) == 0 && !credentials_stay_here(assumption->origin)) {
        log_warning("%s hands keys out without TLS: whoever is on the way can take them", assumption->origin);
        log_hint("Use https:// and, with an authority of its own, ca_file.");
    }
    for (;;) {
        asked = ask(search, assumption, &attempt, &response);
        if (asked != 0 || response.status < 400 || role->token_file != NULL ||
            !(adopt_clock(assumption, &response, &attempt) || adopt_keys(&inner, role, &response, &attempt)))
            break;
        http_response_free(&response);
    }
    if (asked == 1) {
        log_error("could not assume role \"%s\" at %s: %s", role->arn, assumption->origin, response.cause);
        log_hint("Check sts_endpoint, region, proxy and the network%s.",
                 response.untrusted ? "; ca_file names the authority of a certificate" : "");
    }
    if (asked == 0)
        found = judge(assumption, &response, credentials);
done:
    credentials_wipe(&attempt.keys);
    http_response_free(&response);
    return found;
}

enum found credentials_by_role(const struct search *search, const struct role *role,
                               struct credentials *credentials)
{
    struct assumption assumption = {.role = role};
    char *region = credentials_region(search->config), *origin = NULL, *identity = NULL;
    const char *variable = credentials_variable("AWS_ROLE_SESSION_NAME");
    enum found found = FAILED;

    if (region != NULL)
        origin = find_origin(search->config, region);
    if (origin != NULL)
        identity = string_printf("role\n%s\n%s\n%s\n%s\n%u\n%s\n%s", origin, role->arn,
                                 role->external_id != NULL ? role->external_id : "",
                                 role->session_name != NULL ? role->session_name
                                 : variable != NULL         ? variable
                                                            : "",
                                 role->duration_seconds, role->token_file != NULL ? role->token_file : "",
                                 role->identity != NULL ? role->identity : "");
    if (identity != NULL) {
        const char *store = search->config->endpoint;

        assumption.origin = origin;
        assumption.is_beside_store = store == NULL || is_amazon(store) || !is_amazon(origin);
        assumption.region = region = signing_region(origin, region);
        if (region != NULL)
            found = credentials_remembered(search, identity, fetch, &assumption, credentials);
    }
    free(region);
    free(origin);
    free(identity);
    return found;
}
