/* The instance metadata service, version 2 (credentials_source.h). Elsewhere than at Amazon nobody answers:
 * then a second is lost, and not again for a while. But where it has answered it is asked each time: there
 * silence is a hiccup. */
#include "credentials_source.h"

#include "log.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STATE_NAME "instance-metadata"
#define THERE "there\n"
#define THERE_SECONDS 86400
#define ABSENT "absent\n"
#define ABSENT_SECONDS 300
#define TOKEN_SECONDS 1
#define METADATA_SECONDS 5
#define ROLES_PATH "/latest/meta-data/iam/security-credentials/"

struct service {
    const char *origin;
    const char *object; /* for messages */
};

static int ask(const struct service *service, const char *method, const char *path, const char *headers,
               unsigned seconds, struct http_response *response)
{
    char *url = string_printf("%s%s", service->origin, path);
    int asked = url == NULL ? -1
                            : credentials_ask(&(struct question){.object = service->object,
                                                                 .method = method,
                                                                 .url = url,
                                                                 .headers = headers,
                                                                 .seconds = seconds,
                                                                 .connect_seconds = 1,
                                                                 .is_asked_once = true,
                                                                 .tls_verify = true,
                                                                 .proxy = ""},
                                              response);

    free(url);
    return asked;
}

/* A token or a role's name: one word. */
static bool is_word(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

/* Is that what was written last, and not longer ago than this? */
static bool is_remembered(const struct search *search, const char *what, int64_t seconds)
{
    struct buffer text = BUFFER_EMPTY;
    int64_t age;
    bool is = state_read(&search->state, STATE_NAME, &text, &age) == 0 && age < seconds &&
              strcmp(buffer_string(&text), what) == 0;

    buffer_free(&text);
    return is;
}

static void keep_in_mind(const struct search *search, const char *what)
{
    state_write(&search->state, STATE_NAME, what, strlen(what));
}

/* Nobody there, or somebody who is not that service. */
static enum found absent(const struct search *search, const struct service *service,
                         const struct http_response *response)
{
    if (search->insists) {
        log_error("could not ask %s: %s", service->object, response->cause);
        log_hint(
            "It is there on EC2 only, with a role (instance profile) attached to the machine and, from a "
            "container, a hop limit of 2.");
        return FAILED;
    }
    log_debug("%s is not there: %s", service->object, response->cause);
    if (!is_remembered(search, THERE, THERE_SECONDS))
        keep_in_mind(search, ABSENT);
    return NOT_HERE;
}

static enum found ask_for_role(const struct search *search, const struct service *service,
                               const char *headers, struct http_response *response, char **path)
{
    int asked = ask(service, "GET", ROLES_PATH, headers, METADATA_SECONDS, response);
    char *role;

    if (asked < 0)
        return FAILED;
    if (asked == 0 && response->status == 404) /* it knows of no role */
        return absent(search, service, response);
    role = (char *)response->body.data;
    if (role != NULL)
        role[strcspn(role, "\r\n")] = '\0';
    if (asked != 0 || response->status != 200 || role == NULL || !is_word(role) ||
        strpbrk(role, "/?#%") != NULL) {
        log_error("could not ask %s for the role: %s", service->object, response->cause);
        return FAILED;
    }
    *path = string_printf("%s%s", ROLES_PATH, role);
    return *path != NULL ? FOUND : FAILED;
}

static enum found fetch(const struct search *search, void *context, struct credentials *credentials)
{
    const struct service *service = context;
    struct http_response response = {.status = 0};
    struct buffer headers = BUFFER_EMPTY;
    char *path = NULL;
    enum found found = FAILED;
    int asked;

    if (!search->insists && is_remembered(search, ABSENT, ABSENT_SECONDS))
        return NOT_HERE;
    asked = ask(service, "PUT", "/latest/api/token", "x-aws-ec2-metadata-token-ttl-seconds: 300\n",
                TOKEN_SECONDS, &response);
    if (asked < 0)
        goto done;
    if (asked == 0 && (response.status >= 500 || response.status == 429)) {
        log_error("could not ask %s: %s", service->object, response.cause);
        goto done;
    }
    if (asked == 1 || response.status != 200 || !is_word(buffer_string(&response.body))) {
        found = absent(search, service, &response);
        goto done;
    }
    if (buffer_printf(&headers, "x-aws-ec2-metadata-token: %s\n", buffer_string(&response.body)) != 0)
        goto done;
    http_response_free(&response);
    found = ask_for_role(search, service, buffer_string(&headers), &response, &path);
    if (found != FOUND)
        goto done;
    http_response_free(&response);
    found = FAILED;
    asked = ask(service, "GET", path, buffer_string(&headers), METADATA_SECONDS, &response);
    if (asked == 1)
        log_error("could not ask %s for the credentials of its role: %s", service->object, response.cause);
    if (asked == 0)
        found = credentials_from_answer(&response, service->object, credentials);
    if (found == FOUND)
        keep_in_mind(search, THERE);
done:
    http_response_free(&response);
    buffer_wipe(&headers);
    free(path);
    return found;
}

static bool is_disabled(void)
{
    const char *value = credentials_variable("AWS_EC2_METADATA_DISABLED");

    return value != NULL && strcasecmp(value, "true") == 0;
}

enum found credentials_by_instance(const struct search *search, struct credentials *credentials)
{
    const char *endpoint = credentials_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const char *mode = credentials_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    const char *usual =
        mode != NULL && strcasecmp(mode, "IPv6") == 0 ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
    enum found found = FAILED;

    if (is_disabled()) {
        if (search->insists)
            log_error("the instance metadata may not be asked: AWS_EC2_METADATA_DISABLED is true");
        return search->insists ? FAILED : NOT_HERE;
    }
    char *origin = string_copy(endpoint != NULL ? endpoint : usual);
    size_t length = origin != NULL ? strlen(origin) : 0;
    if (length > 0 && origin[length - 1] == '/')
        origin[length - 1] = '\0';
    char *object = origin != NULL ? string_printf("the instance metadata at %s", origin) : NULL;
    if (object != NULL && strpbrk(origin, " \r\n@") != NULL)
        log_error("AWS_EC2_METADATA_SERVICE_ENDPOINT must be http://HOST[:PORT]");
    else if (object != NULL) {
        struct service service = {origin, object};

        found = credentials_remembered(search, object, fetch, &service, credentials);
    }
    free(origin);
    free(object);
    return found;
}
