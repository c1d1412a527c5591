#include "credentials.h"

#include "credentials_source.h"
#include "log.h"
#include "timestamp.h"

#include <stdlib.h>
#include <string.h>

#define AGAIN_MICROSECONDS (60 * 1000000LL) /* after a refresh that failed */
#define MARGIN_MICROSECONDS (10 * 1000000LL)

static void wipe_string(char **text)
{
    if (*text != NULL)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

void credentials_wipe(struct credentials *credentials)
{
    if (credentials == NULL)
        return;
    wipe_string(&credentials->access_key);
    wipe_string(&credentials->secret_key);
    wipe_string(&credentials->session_token);
    free(credentials->source);
    *credentials = (struct credentials)CREDENTIALS_EMPTY;
}

const char *credentials_variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : NULL;
}

char *credentials_circumstances(void)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID",
                                        "AWS_PROFILE",
                                        "AWS_SHARED_CREDENTIALS_FILE",
                                        "AWS_CONFIG_FILE",
                                        "AWS_WEB_IDENTITY_TOKEN_FILE",
                                        "AWS_ROLE_ARN",
                                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                        "AWS_EC2_METADATA_SERVICE_ENDPOINT"};
    struct buffer text = BUFFER_EMPTY;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = credentials_variable(names[i]);

        if (buffer_printf(&text, "%s\n", value != NULL ? value : "") != 0) {
            buffer_wipe(&text);
            return NULL;
        }
    }
    return (char *)text.data;
}

/* A line end that came along with a pasted or mounted secret would break the request's headers. */
static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7f)
            return false;
    return true;
}

enum found credentials_take(struct credentials *credentials, char *source, const char *access_key,
                            const char *secret_key, const char *session_token)
{
    credentials_wipe(credentials);
    credentials->source = source;
    if (source == NULL)
        return FAILED;
    if (!is_plain(access_key) || !is_plain(secret_key) ||
        (session_token != NULL && !is_plain(session_token))) {
        log_error("a key in %s holds a blank, a line end or another control character", source);
        return FAILED;
    }
    credentials->access_key = string_copy(access_key);
    credentials->secret_key = string_copy(secret_key);
    credentials->session_token = session_token != NULL ? string_copy(session_token) : NULL;
    if (credentials->access_key == NULL || credentials->secret_key == NULL ||
        (session_token != NULL && credentials->session_token == NULL))
        return FAILED;
    return FOUND;
}

static enum found find_in_configuration(const struct search *search, struct credentials *credentials)
{
    const struct repository_config *config = search->config;

    if (config->access_key == NULL || config->secret_key == NULL)
        return NOT_HERE;
    return credentials_take(credentials,
                            string_printf("the configuration's section [repository %s]", config->name),
                            config->access_key, config->secret_key, config->session_token);
}

/* What the configuration names for this repository goes before what happens to be set for all. */
static bool is_set_aside(const struct search *search)
{
    return !search->insists && (search->config->credentials_file != NULL || search->config->profile != NULL);
}

enum found credentials_by_environment(const struct search *search, struct credentials *credentials)
{
    const char *access_key = credentials_variable("AWS_ACCESS_KEY_ID");
    const char *secret_key = credentials_variable("AWS_SECRET_ACCESS_KEY");

    if (is_set_aside(search))
        return NOT_HERE;
    if (access_key == NULL && secret_key == NULL) {
        if (search->insists)
            log_error("the environment has neither AWS_ACCESS_KEY_ID nor AWS_SECRET_ACCESS_KEY");
        return search->insists ? FAILED : NOT_HERE;
    }
    if (access_key == NULL || secret_key == NULL) {
        log_error("the environment has %s but not %s",
                  access_key != NULL ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                  access_key != NULL ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
        return FAILED;
    }
    return credentials_take(credentials, string_copy("the environment (AWS_ACCESS_KEY_ID)"), access_key,
                            secret_key, credentials_variable("AWS_SESSION_TOKEN"));
}

enum found credentials_by_web_identity(const struct search *search, struct credentials *credentials)
{
    const struct repository_config *config = search->config;
    bool is_named = config->web_identity_token_file != NULL;
    const struct role role = {
        .arn = is_named ? config->role_arn : credentials_variable("AWS_ROLE_ARN"),
        .session_name = config->role_session_name,
        .duration_seconds = config->role_duration_seconds,
        .token_file =
            is_named ? config->web_identity_token_file : credentials_variable("AWS_WEB_IDENTITY_TOKEN_FILE"),
    };

    if (!is_named && is_set_aside(search))
        return NOT_HERE;
    if (role.token_file == NULL) {
        if (search->insists)
            log_error("there is no web identity: neither web_identity_token_file nor "
                      "AWS_WEB_IDENTITY_TOKEN_FILE is set");
        return search->insists ? FAILED : NOT_HERE;
    }
    if (role.arn == NULL) {
        log_error("the environment has AWS_WEB_IDENTITY_TOKEN_FILE but not AWS_ROLE_ARN");
        return FAILED;
    }
    return credentials_by_role(search, &role, credentials);
}

/* In the order in which they are asked. */
static const struct {
    enum credentials_choice choice;
    credentials_finder *find;
} sources[] = {
    {CREDENTIALS_CONFIG, find_in_configuration},
    {CREDENTIALS_PROCESS, credentials_by_process},
    {CREDENTIALS_ENVIRONMENT, credentials_by_environment},
    {CREDENTIALS_WEB_IDENTITY, credentials_by_web_identity},
    {CREDENTIALS_SHARED, credentials_by_profile},
    {CREDENTIALS_CONTAINER, credentials_by_container},
    {CREDENTIALS_INSTANCE, credentials_by_instance},
};

static enum found find_in_chain(const struct search *search, void *context, struct credentials *credentials)
{
    enum credentials_choice choice = search->config->credentials;

    (void)context;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (choice != CREDENTIALS_AUTO && choice != sources[i].choice)
            continue;
        enum found found = sources[i].find(search, credentials);
        /* a command may be a profile's, too */
        if (found == NOT_HERE && choice == CREDENTIALS_PROCESS)
            found = credentials_by_profile(search, credentials);
        if (found != NOT_HERE)
            return found;
    }
    log_error("found no credentials for repository \"%s\"", search->config->name);
    log_hint("Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or make ~/.aws/credentials, for the user that "
             "runs this program; or set credentials_file, or access_key and secret_key, in section "
             "[repository %s]. docs/credentials.md has all ways.",
             search->config->name);
    return FAILED;
}

/* The section's role, assumed with what the chain finds. */
static enum found find_by_role(const struct search *search, struct credentials *credentials)
{
    const struct repository_config *config = search->config;
    char *circumstances = credentials_circumstances();
    char *identity = circumstances == NULL
                         ? NULL
                         : string_printf("chain\n%d\n%s\n%s\n%s\n%s\n%s", (int)config->credentials,
                                         config->access_key != NULL ? config->access_key : "",
                                         config->profile != NULL ? config->profile : "",
                                         config->credentials_file != NULL ? config->credentials_file : "",
                                         config->credential_process != NULL ? config->credential_process : "",
                                         circumstances);
    const struct role role = {.arn = config->role_arn,
                              .external_id = config->external_id,
                              .session_name = config->role_session_name,
                              .duration_seconds = config->role_duration_seconds,
                              .source = find_in_chain,
                              .identity = identity};
    enum found found = identity != NULL ? credentials_by_role(search, &role, credentials) : FAILED;

    free(circumstances);
    free(identity);
    return found;
}

static int find(const struct repository_config *config, const char *refused, struct credentials *credentials)
{
    struct search search = {
        .config = config, .refused = refused, .insists = config->credentials != CREDENTIALS_AUTO};
    struct credentials fresh = CREDENTIALS_EMPTY;
    enum found found;

    state_open_directory(config->state_dir, &search.state);
    if (config->web_identity_token_file != NULL)
        found = credentials_by_web_identity(&search, &fresh);
    else if (config->role_arn != NULL)
        found = find_by_role(&search, &fresh);
    else
        found = find_in_chain(&search, NULL, &fresh);
    state_close(&search.state);
    if (found != FOUND) {
        credentials_wipe(&fresh);
        return -1;
    }
    credentials_wipe(credentials);
    *credentials = fresh;
    return 0;
}

int credentials_find(const struct repository_config *config, struct credentials *credentials)
{
    return find(config, NULL, credentials);
}

int credentials_renew(const struct repository_config *config, struct credentials *credentials)
{
    const char *token = credentials->session_token;

    return find(config, token != NULL ? token : credentials->access_key, credentials);
}

int credentials_keep_fresh(const struct repository_config *config, struct credentials *credentials)
{
    int64_t now = timestamp_now();

    if (credentials->refresh == 0 || now < credentials->refresh)
        return 0;
    if (credentials->expires <= now + MARGIN_MICROSECONDS)
        return find(config, NULL, credentials);
    /* nothing is remembered, or it would have found what there is and said so */
    bool was_muted = log_mute_thread(true);
    int result = find(config, NULL, credentials);
    log_mute_thread(was_muted);
    if (result != 0) {
        log_warning("could not refresh the credentials from %s; those at hand are used while they are valid",
                    credentials->source);
        credentials->refresh = now + AGAIN_MICROSECONDS;
        if (credentials->refresh > credentials->expires - MARGIN_MICROSECONDS)
            credentials->refresh = credentials->expires - MARGIN_MICROSECONDS;
    }
    return 0;
}
