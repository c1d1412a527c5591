/* The sources of temporary credentials, over answers made of the input: the instance metadata, a container's
 * endpoint, STS with a token or with keys, a profile of the shared files with what it leads to, or all in
 * turn. The first byte chooses. What is not an answer stands before the answers: an address, a token, the two
 * files. */
#include "fake_http.h"

#include "common/credentials.h"

static const char *const fuzz_sources_variables[] = {"AWS_ACCESS_KEY_ID",
                                                     "AWS_SECRET_ACCESS_KEY",
                                                     "AWS_SESSION_TOKEN",
                                                     "AWS_PROFILE",
                                                     "AWS_REGION",
                                                     "AWS_DEFAULT_REGION",
                                                     "AWS_SHARED_CREDENTIALS_FILE",
                                                     "AWS_CONFIG_FILE",
                                                     "AWS_ROLE_ARN",
                                                     "AWS_ROLE_SESSION_NAME",
                                                     "AWS_WEB_IDENTITY_TOKEN_FILE",
                                                     "AWS_ENDPOINT_URL_STS",
                                                     "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                                     "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                                     "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                                     "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                                     "AWS_EC2_METADATA_DISABLED",
                                                     "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                                     "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"};

static void fuzz_sources_forget(void)
{
    for (size_t i = 0; i < sizeof fuzz_sources_variables / sizeof fuzz_sources_variables[0]; i++)
        unsetenv(fuzz_sources_variables[i]);
}

static void fuzz_sources_check(const struct credentials *credentials)
{
    FUZZ_CHECK(credentials->source != NULL && credentials->refresh <= credentials->expires);
    for (const char *next = credentials->access_key; *next != '\0'; next++)
        FUZZ_CHECK((unsigned char)*next > ' ' && *next != 0x7f);
    for (const char *next = credentials->secret_key; *next != '\0'; next++)
        FUZZ_CHECK((unsigned char)*next > ' ' && *next != 0x7f);
}

/* Found, refreshed as if it were time to, and again since the store refuses them. */
static void fuzz_sources_find(const struct repository_config *config)
{
    struct credentials credentials = CREDENTIALS_EMPTY;

    fake_url[0] = '\0';
    if (credentials_find(config, &credentials) != 0) {
        FUZZ_CHECK(credentials.access_key == NULL && credentials.source == NULL);
        return;
    }
    fuzz_sources_check(&credentials);
    if (credentials.refresh > 1)
        credentials.refresh = 1;
    if (credentials_keep_fresh(config, &credentials) == 0)
        FUZZ_CHECK(credentials.access_key != NULL);
    if (credentials_renew(config, &credentials) == 0)
        fuzz_sources_check(&credentials);
    FUZZ_CHECK(credentials.access_key != NULL && credentials.secret_key != NULL);
    credentials_wipe(&credentials);
}

/* Nothing goes without TLS to another machine. */
static bool fuzz_sources_may_be_asked(const char *url)
{
    static const char *const hosts[] = {"localhost", "[::1]", "169.254.170.2", "169.254.170.23",
                                        "[fd00:ec2::23]"};
    const char *host = url + strlen("http://");

    if (strncasecmp(url, "https://", 8) == 0 || strncasecmp(url, "http://127.", 11) == 0)
        return true;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        if (strncasecmp(url, "http://", 7) == 0 && strncasecmp(host, hosts[i], strlen(hosts[i])) == 0 &&
            strchr(":/?#", host[strlen(hosts[i])]) != NULL)
            return true;
    return false;
}

static void fuzz_sources_container(struct repository_config *config, const char *address)
{
    config->credentials = CREDENTIALS_CONTAINER;
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "token", 1);
    setenv(*address == '/' ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" : "AWS_CONTAINER_CREDENTIALS_FULL_URI",
           address, 1);
    fuzz_sources_find(config);
    FUZZ_CHECK(fake_url[0] == '\0' || fuzz_sources_may_be_asked(fake_url));
}

/* No command is run: nothing that could name one is taken. */
static void fuzz_sources_profile(struct repository_config *config, struct fuzz_input *input)
{
    char paths[2][64];
    int files[2];

    config->credentials = CREDENTIALS_SHARED;
    config->region_is_default = true;
    config->endpoint = NULL;
    for (int i = 0; i < 2; i++) {
        size_t length;
        char *text = fuzz_take(input, 1, &length);

        for (size_t j = 0; j + 6 <= length; j++)
            if (strncasecmp(text + j, "rocess", 6) == 0)
                text[j] = '#';
        files[i] = fuzz_file(text, length, paths[i]);
        free(text);
    }
    config->credentials_file = paths[0];
    setenv("AWS_CONFIG_FILE", paths[1], 1);
    setenv("AWS_ACCESS_KEY_ID", "key", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/a", 1);
    fake_answers = *input;
    fuzz_sources_find(config);
    config->credentials_file = NULL;
    close(files[0]);
    close(files[1]);
}

FUZZ_TARGET(sources)
{
    struct fuzz_input input = {data, length};
    unsigned kind = fuzz_byte(&input) % 6;
    char role[] = "arn:aws:iam::123456789012:role/a", path[64];
    struct repository_config config = *fake_begin(input.next, input.left);
    size_t taken = 0;
    char *first = kind == 0 || kind == 1 || kind == 2 ? fuzz_take(&input, 1, &taken) : NULL;
    int fd = -1;

    fuzz_sources_forget();
    setenv("HOME", "/nonexistent", 1);
    config.access_key = config.secret_key = NULL;
    fake_answers = input;
    switch (kind) {
    case 0:
        config.credentials = CREDENTIALS_INSTANCE;
        if (taken > 0)
            setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", first, 1);
        fuzz_sources_find(&config);
        break;
    case 1:
        fuzz_sources_container(&config, first);
        break;
    case 2:
        fd = fuzz_file(first, taken, path);
        config.role_arn = role;
        config.web_identity_token_file = path;
        fuzz_sources_find(&config);
        close(fd);
        break;
    case 3:
        config.access_key = role;
        config.secret_key = role;
        config.role_arn = role;
        fuzz_sources_find(&config);
        break;
    case 4:
        fuzz_sources_profile(&config, &input);
        break;
    default: /* all of them, and the last one answers */
        fuzz_sources_find(&config);
    }
    free(first);
    fuzz_sources_forget();
    return 0;
}
