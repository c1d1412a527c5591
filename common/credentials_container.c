/* The endpoint that ECS, EKS (pod identity) and others give a container
 * (credentials_source.h). */
#include "credentials_source.h"

#include "file.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ECS_ORIGIN "http://169.254.170.2"
#define TOKEN_BYTES_MOST (64u * 1024)
#define CONTAINER_SECONDS 5
#define CONTAINER_CONNECT_SECONDS 2

struct endpoint {
    const char *url;
    const char *object; /* scheme and host alone: the path is as good as a key */
};

/* Without TLS only what does not leave the machine may be asked: the authorization goes with it. */
static bool is_local(const char *host, size_t length)
{
    static const char *const hosts[] = {"localhost", "[::1]", "169.254.170.2", "169.254.170.23",
                                        "[fd00:ec2::23]"};

    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        if (strlen(hosts[i]) == length && strncasecmp(host, hosts[i], length) == 0)
            return true;
    /* 127.x.y.z, and not 127.example.com */
    return length > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= length;
}

bool credentials_stay_here(const char *url)
{
    const char *host = strstr(url, "://");
    size_t length, port;

    if (host == NULL || strpbrk(url, " \t\r\n@\\") != NULL)
        return false;
    host += 3;
    length = strcspn(host, "/?#");
    port = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    if (port < length && host[port] != ':')
        return false;
    return is_local(host, port < length ? port : length);
}

static bool is_allowed(const char *url)
{
    return strpbrk(url, " \t\r\n@\\") == NULL &&
           ((strncasecmp(url, "https://", 8) == 0 && strcspn(url + 8, "/?#:") > 0) ||
            (strncasecmp(url, "http://", 7) == 0 && credentials_stay_here(url)));
}

/* The value of the header authorization, *token NULL if there is to be none; caller wipes and frees. 0, or -1
 * after logging. */
static int read_token(char **token)
{
    const char *path = credentials_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *given = credentials_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    struct buffer text = BUFFER_EMPTY;
    int result = 0;

    *token = NULL;
    if (path != NULL) {
        enum file_result read = file_read_all(path, TOKEN_BYTES_MOST, &text);

        if (read == FILE_ABSENT)
            log_error("there is no file \"%s\", which AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names", path);
        result = read == FILE_OK ? 0 : -1;
    } else if (given != NULL) {
        result = buffer_append_string(&text, given);
    }
    while (text.length > 0 && strchr("\r\n", text.data[text.length - 1]) != NULL)
        text.data[--text.length] = '\0';
    if (result == 0 && strpbrk(buffer_string(&text), "\r\n") != NULL) {
        log_error("the container's authorization token holds a line end");
        result = -1;
    }
    if (result == 0 && text.length > 0) {
        *token = string_copy(buffer_string(&text));
        result = *token != NULL ? 0 : -1;
    }
    buffer_wipe(&text);
    return result;
}

static enum found fetch(const struct search *search, void *context, struct credentials *credentials)
{
    const struct endpoint *endpoint = context;
    struct http_response response = {.status = 0};
    struct buffer headers = BUFFER_EMPTY;
    enum found found = FAILED;
    char *token;
    int asked;

    (void)search;
    if (read_token(&token) != 0)
        return FAILED;
    if (buffer_append_string(&headers, "accept: application/json\n") != 0 ||
        (token != NULL && buffer_printf(&headers, "authorization: %s\n", token) != 0))
        goto done;
    asked = credentials_ask(&(struct question){.object = endpoint->object,
                                               .method = "GET",
                                               .url = endpoint->url,
                                               .headers = buffer_string(&headers),
                                               .seconds = CONTAINER_SECONDS,
                                               .connect_seconds = CONTAINER_CONNECT_SECONDS,
                                               .tls_verify = true,
                                               .proxy = ""},
                            &response);
    if (asked == 1)
        log_error("could not ask %s for credentials: %s", endpoint->object, response.cause);
    if (asked == 0)
        found = credentials_from_answer(&response, endpoint->object, credentials);
    if (found == FAILED && asked >= 0)
        log_hint("AWS_CONTAINER_CREDENTIALS_%s named it: look whether the task or pod has a role, and (EKS) "
                 "whether its identity agent runs.",
                 credentials_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != NULL ? "RELATIVE_URI"
                                                                                        : "FULL_URI");
done:
    http_response_free(&response);
    buffer_wipe(&headers);
    if (token != NULL)
        explicit_bzero(token, strlen(token));
    free(token);
    return found;
}

/* Where, and in whose name: the same address has other credentials for another token. A file's content is
 * renewed; caller wipes. */
static char *describe(const char *url)
{
    const char *path = credentials_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *given = credentials_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");

    return string_printf("container\n%s\n%s\n%s", url, path != NULL ? path : "",
                         path == NULL && given != NULL ? given : "");
}

enum found credentials_by_container(const struct search *search, struct credentials *credentials)
{
    const char *relative = credentials_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = credentials_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    char *url = NULL, *object = NULL, *identity = NULL;
    enum found found = FAILED;

    if (relative == NULL && full == NULL) {
        if (search->insists)
            log_error("there are no credentials of a container: neither AWS_CONTAINER_CREDENTIALS_"
                      "RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set");
        return search->insists ? FAILED : NOT_HERE;
    }
    url = relative != NULL ? string_printf("%s%s%s", ECS_ORIGIN, *relative == '/' ? "" : "/", relative)
                           : string_copy(full);
    if (url == NULL)
        return FAILED;
    if (!is_allowed(url)) {
        log_error("AWS_CONTAINER_CREDENTIALS_%s names an address that is not to be asked",
                  relative != NULL ? "RELATIVE_URI" : "FULL_URI");
        log_hint("It must begin with https://, or with http:// and be this machine (127.0.0.1, [::1], "
                 "localhost) or the endpoint of ECS or EKS (169.254.170.2, 169.254.170.23, "
                 "[fd00:ec2::23]).");
        goto done;
    }
    object = string_printf(
        "the container's endpoint at %.*s",
        (int)(strcspn(strstr(url, "://") + 3, "/?#") + (size_t)(strstr(url, "://") - url) + 3), url);
    identity = describe(url);
    if (object != NULL && identity != NULL) {
        struct endpoint endpoint = {url, object};

        found = credentials_remembered(search, identity, fetch, &endpoint, credentials);
    }
done:
    free(url);
    free(object);
    if (identity != NULL)
        explicit_bzero(identity, strlen(identity));
    free(identity);
    return found;
}
