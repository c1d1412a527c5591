/* Questions to the services that hand out temporary credentials: short, and without the S3 client's manners
 * (credentials_source.h). */
#include "credentials_source.h"

#include "credentials_document.h"
#include "log.h"

#include <stdio.h>
#include <string.h>

struct asking {
    const struct question *question;
    struct body body;
};

static int prepare(void *context, struct http_request *request, unsigned tries)
{
    struct asking *asking = context;
    const struct question *question = asking->question;

    (void)tries;
    request->method = question->method;
    request->body = question->body != NULL ? &asking->body : NULL;
    return buffer_append_string(&request->url, question->url) != 0 ||
                   buffer_append_string(&request->headers, question->headers) != 0 ||
                   buffer_append_string(&request->headers, "user-agent: walferry\n") != 0
               ? -1
               : 0;
}

/* Of STS's errors these pass, and have status 400. The last is an InvalidIdentityToken, whose others do not.
 */
static bool is_passing(const struct http_response *response)
{
    const char *body = buffer_string(&response->body);

    return response->status >= 500 || response->status == 429 || response->status == 408 ||
           (response->status == 400 &&
            (strstr(body, "<Code>Throttling") != NULL ||
             strstr(body, "<Code>IDPCommunicationError") != NULL ||
             strstr(body, "retrieve verification key from your identity provider") != NULL));
}

static enum http_verdict classify(void *context, struct http_response *response)
{
    (void)context;
    snprintf(response->cause, sizeof response->cause, "HTTP %u", response->status);
    return is_passing(response) ? HTTP_RETRY : HTTP_DONE;
}

int credentials_ask(const struct question *question, struct http_response *response)
{
    const struct http_settings settings = {.ca_file = question->ca_file,
                                           .tls_verify = question->tls_verify,
                                           .connect_timeout_seconds = question->connect_seconds,
                                           .stall_timeout_seconds = question->seconds,
                                           .proxy = question->proxy};
    struct asking asking = {question, {.data = question->body, .fd = -1}};
    const struct http_call call = {.verb = "ask",
                                   .object = question->object,
                                   .prepare = prepare,
                                   .classify = classify,
                                   .context = &asking,
                                   .is_tried_once = question->is_asked_once};
    const struct http_limits limits = {(int64_t)question->seconds * 1000000, 0};
    struct http *http = http_open(&settings);
    int result = -1;

    *response = (struct http_response){.status = 0};
    if (http == NULL)
        return -1;
    if (question->body != NULL)
        asking.body.length = strlen(question->body);
    switch (http_perform(http, &call, &limits, response)) {
    case HTTP_ANSWERED:
        result = 0;
        break;
    case HTTP_GAVE_UP:
        result = response->cut ? 1 : 0; /* an answer that passes, to the last */
        break;
    case HTTP_STOPPED:
    case HTTP_FAILED:
        break;
    }
    http_close(http);
    return result;
}

enum found credentials_from_answer(const struct http_response *response, const char *object,
                                   struct credentials *credentials)
{
    struct credentials_document document = {.access_key = NULL};
    const char *problem = NULL;
    bool is_understood =
        credentials_document_json(response->body.data, response->body.length, &document, &problem);
    enum found found = FAILED;

    if (is_understood && document.code[0] != '\0') {
        log_error("%s gave no credentials: HTTP %u %s: %s", object, response->status, document.code,
                  document.message);
    } else if (response->status != 200 || !is_understood) {
        log_error("%s gave no credentials: HTTP %u%s%s", object, response->status,
                  response->status == 200 ? ", but " : "", response->status == 200 ? problem : "");
    } else {
        found = credentials_take(credentials, string_copy(object), document.access_key, document.secret_key,
                                 document.session_token);
        credentials->expires = document.expires;
    }
    credentials_document_wipe(&document);
    return found;
}
