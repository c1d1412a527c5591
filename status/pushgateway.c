#include "pushgateway.h"

#include "common/http.h"
#include "common/log.h"
#include "metrics.h"

#include <stdio.h>
#include <string.h>

#define CONNECT_SECONDS 5

struct putting {
    const char *url;
    const char *cluster; /* letters, digits and ._- only */
    struct body body;
};

int pushgateway_check(const char *url)
{
    bool is_http = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    const char *host = is_http ? strstr(url, "://") + 3 : "";

    if (*host != '\0' && *host != '/' && strpbrk(url, "@?# \t\r\n") == NULL)
        return 0;
    log_error("--pushgateway must be http[s]://HOST[:PORT][/PATH], not \"%s\"", is_http ? "http..." : url);
    log_hint("Passwords are not taken from the command line, where everybody sees them.");
    return -1;
}

static int prepare(void *context, struct http_request *request, unsigned tries)
{
    const struct putting *putting = context;
    size_t length = strlen(putting->url);

    (void)tries;
    while (length > 0 && putting->url[length - 1] == '/')
        length--;
    request->method = "PUT";
    request->body = &putting->body;
    if (buffer_append(&request->url, putting->url, length) != 0 ||
        buffer_printf(&request->url, "/metrics/job/walferry/cluster/%s", putting->cluster) != 0)
        return -1;
    return buffer_append_string(&request->headers, "content-type: text/plain; version=0.0.4\n");
}

/* The first line of what the Pushgateway says is the reason. */
static enum http_verdict classify(void *context, struct http_response *response)
{
    const char *text = buffer_string(&response->body);

    (void)context;
    snprintf(response->cause, sizeof response->cause, "HTTP %u%s%.*s", response->status,
             *text != '\0' ? ": " : "", (int)strcspn(text, "\n"), text);
    return response->status == 429 || response->status >= 500 ? HTTP_RETRY : HTTP_DONE;
}

static int perform(const struct putting *putting, unsigned seconds)
{
    const struct http_settings settings = {
        .tls_verify = true, .connect_timeout_seconds = CONNECT_SECONDS, .stall_timeout_seconds = seconds};
    const struct http_call call = {.verb = "put",
                                   .object = putting->url,
                                   .prepare = prepare,
                                   .classify = classify,
                                   .context = (void *)putting};
    const struct http_limits limits = {(int64_t)seconds * 1000000, 0};
    struct http_response response = {.status = 0};
    struct http *http = http_open(&settings);
    int result = -1;

    if (http == NULL)
        return -1;
    enum http_result outcome = http_perform(http, &call, &limits, &response);
    if (outcome == HTTP_ANSWERED && response.status / 100 == 2)
        result = 0;
    else if (outcome != HTTP_FAILED) {
        log_error("could not push metrics to \"%s\": %s", putting->url, response.cause);
        log_hint("Is a Pushgateway there? It takes PUT at /metrics/job/NAME below this address.");
    }
    http_response_free(&response);
    http_close(http);
    return result;
}

int pushgateway_put(const struct picture *picture, const char *url, unsigned seconds)
{
    struct buffer text = BUFFER_EMPTY;
    int result = metrics_write(picture, &text);

    if (result == 0) {
        const struct putting putting = {
            url, picture->config->cluster_name, {.data = text.data, .fd = -1, .length = text.length}};
        result = perform(&putting, seconds);
    }
    buffer_free(&text);
    return result;
}
