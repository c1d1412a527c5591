/* Instance metadata and containers, what is remembered of what they hand out, and what passes. */
#include "handed_out.h"

#include <dirent.h>

static void test_instance(void)
{
    struct repository_config config;

    forget(&config);
    ANSWER(TOKEN, ROLES, KEYS);
    unsigned first = look(&config, NULL);
    CHECK(first != 0 && count == 3);
    CHECK_TEXT(asked[0].method, "PUT");
    CHECK_TEXT(asked[0].url, "http://169.254.169.254/latest/api/token");
    CHECK_TEXT(asked[2].url, "http://169.254.169.254/latest/meta-data/iam/security-credentials/machine-role");
    CHECK_TEXT(asked[2].proxy, "");

    /* silence when they are due: they are still good, and so is the service tomorrow */
    passed = 3400 * SECOND;
    ANSWER({0, NULL});
    CHECK(look(&config, "could not refresh the credentials") == first && count == 1);
    CHECK(look(&config, NULL) == first && count == 1);
    passed = 3700 * SECOND;
    ANSWER({0, NULL});
    CHECK(look(&config, "found no credentials") == 0 && count == 1);
    ANSWER(TOKEN, ROLES, KEYS);
    CHECK(look(&config, NULL) == first + 1 && count == 3);
    /* until it has been silent for a day */
    passed = 2 * 86400 * SECOND;
    ANSWER({0, NULL});
    CHECK(look(&config, "found no credentials") == 0 && count == 1);
    CHECK(look(&config, "found no credentials") == 0 && count == 1);
}

static void test_absence(void)
{
    struct repository_config config;

    forget(&config);
    ANSWER({0, NULL});
    CHECK(look(&config, "found no credentials") == 0 && count == 1);
    CHECK(look(&config, "found no credentials") == 0 && count == 1); /* that it is not there is remembered */
    passed = 301 * SECOND;
    CHECK(look(&config, "found no credentials") == 0 && count == 2);

    /* overloaded is not absent */
    forget(&config);
    ANSWER({503, "busy"}, TOKEN, ROLES, KEYS);
    CHECK(look(&config, "could not ask the instance metadata at http://169.254.169.254: HTTP 503") == 0);
    CHECK(look(&config, NULL) != 0 && count == 4);

    forget(&config);
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv6", 1);
    ANSWER(TOKEN, ROLES, KEYS);
    CHECK(look(&config, NULL) != 0);
    CHECK_TEXT(asked[0].url, "http://[fd00:ec2::254]/latest/api/token");
}

static void test_container(void)
{
    struct repository_config config;

    forget(&config);
    setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1", 1);
    ANSWER(KEYS, KEYS, KEYS, KEYS);
    CHECK(look(&config, NULL) != 0);
    CHECK_TEXT(asked[0].url, "http://169.254.170.2/v2/credentials/1");
    CHECK_TEXT(asked[0].proxy, "");

    static const char *const forbidden[] = {"http://example.com/v1",
                                            "http://127.0.0.1.example.com/v1",
                                            "http://127.0.0.1@example.com/v1",
                                            "http://169.254.170.2.example.com/",
                                            "http://169.254.170.3/",
                                            "http://[fd00:ec2::23]example.com/",
                                            "http://[::1].example.com/",
                                            "http://localhost\\@example.com/",
                                            "http:///v1",
                                            "https:///v1",
                                            "https://user@example.com/v1",
                                            "file:///etc/passwd",
                                            "ftp://127.0.0.1/",
                                            "127.0.0.1/v1"};
    static const char *const allowed[] = {"http://127.9.8.7:8080/v1", "http://localhost/",
                                          "http://[::1]:1/x?y=z",     "http://169.254.170.23/v1/credentials",
                                          "HTTP://LOCALHOST:80",      "https://example.com:444/v1"};
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
        forget(&config);
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", forbidden[i], 1);
        ANSWER(KEYS);
        CHECK(look(&config, "names an address that is not to be asked") == 0 && count == 0);
    }
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        forget(&config);
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", allowed[i], 1);
        ANSWER(KEYS);
        CHECK(look(&config, NULL) != 0);
        CHECK_TEXT(asked[0].url, allowed[i]);
    }

    /* who asks one endpoint with another token is somebody else */
    forget(&config);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[fd00:ec2::23]/v1/credentials", 1);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "mine", 1);
    ANSWER(KEYS, KEYS, KEYS, KEYS);
    unsigned first = look(&config, NULL);
    CHECK(look(&config, NULL) == first);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "yours", 1);
    CHECK(look(&config, NULL) == first + 1);
    CHECK(strstr(asked[1].headers, "authorization: yours\n") != NULL);
    /* a file's content changes (EKS), and it is the same one; another file is not */
    write_file("token", "one\n");
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", unit_path("%s/token", directory), 1);
    CHECK(look(&config, NULL) == first + 2);
    CHECK(strstr(asked[2].headers, "authorization: one\n") != NULL);
    write_file("token", "two\n");
    CHECK(look(&config, NULL) == first + 2);
    passed = 3400 * SECOND;
    ANSWER(KEYS);
    CHECK(look(&config, NULL) == first + 3);
    CHECK(strstr(asked[0].headers, "authorization: two\n") != NULL);
}

/* Who asks with other files, or on another machine that began as a copy of this one, is not given what is
 * remembered. */
static void test_others(void)
{
    struct repository_config config;

    forget(&config);
    config.role_arn = (char *)"r";
    write_file("one", "[default]\naws_access_key_id = A\naws_secret_access_key = S\n");
    write_file("two", "[default]\naws_access_key_id = B\naws_secret_access_key = S\n");
    ANSWER(KEYS, KEYS, KEYS);
    setenv("AWS_SHARED_CREDENTIALS_FILE", unit_path("%s/one", directory), 1);
    unsigned first = look(&config, NULL);
    CHECK(look(&config, NULL) == first);
    setenv("AWS_SHARED_CREDENTIALS_FILE", unit_path("%s/two", directory), 1);
    CHECK(look(&config, NULL) == first + 1);
    CHECK(strstr(asked[1].headers, "Credential=B/") != NULL);

    forget(&config);
    ANSWER(TOKEN, ROLES, KEYS, TOKEN, ROLES, KEYS);
    first = look(&config, NULL);
    write_file("boot", "4b4b4b4b\n");
    boot = unit_path("%s/boot", directory);
    CHECK(look(&config, NULL) == first + 1);
    CHECK(look(&config, NULL) == first + 1);
    boot = "/nonexistent";
    ANSWER(TOKEN, ROLES, KEYS, TOKEN, ROLES, KEYS);
    CHECK(look(&config, NULL) == first + 2);
    boot = NULL;
    CHECK(look(&config, NULL) == first + 3);
    CHECK(look(&config, NULL) == first + 3);
}

/* Without a state_dir nobody but the caller remembers. */
static void test_keep_fresh(void)
{
    struct repository_config config;
    struct credentials credentials = CREDENTIALS_EMPTY;

    forget(&config);
    config.state_dir = NULL;
    ANSWER(TOKEN, ROLES, KEYS);
    CHECK(credentials_find(&config, &credentials) == 0);
    CHECK(credentials_keep_fresh(&config, &credentials) == 0 && count == 3);
    passed = 3570 * SECOND;
    ANSWER({0, NULL}, TOKEN, ROLES, KEYS);
    unit_listen();
    CHECK(credentials_keep_fresh(&config, &credentials) == 0);
    CHECK(unit_heard("those at hand are used while they are valid"));
    CHECK(credentials_keep_fresh(&config, &credentials) == 0 && count == 1);
    passed = 3592 * SECOND; /* not a minute later, but there is no time to lose */
    CHECK(credentials_keep_fresh(&config, &credentials) == 0 && count == 4);
    CHECK(credentials.expires > timestamp_now() + 3000 * SECOND);
    credentials_wipe(&credentials);
}

/* While one call is at the next ones, others use what is valid, and ask nobody. */
static void test_due(void)
{
    struct repository_config config;
    struct state state;

    forget(&config);
    ANSWER(TOKEN, ROLES, KEYS);
    unsigned first = look(&config, NULL);
    state_open_directory(config.state_dir, &state);
    DIR *entries = opendir(config.state_dir);
    REQUIRE(entries != NULL);
    for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (strstr(entry->d_name, ".lock") == NULL)
            continue;
        passed = 3400 * SECOND;
        int lock = state_lock(&state, entry->d_name, 0);
        CHECK(lock >= 0);
        ANSWER(TOKEN, ROLES, KEYS);
        CHECK(look(&config, NULL) == first && count == 0);
        close(lock);
        CHECK(look(&config, NULL) == first + 1 && count == 3);
    }
    CHECK(count == 3);
    closedir(entries);
    state_close(&state);
}

static void check_passing(unsigned status, const char *body, bool passes)
{
    struct http_response response = {.status = status};

    CHECK(buffer_append_string(&response.body, body) == 0);
    CHECK(is_passing(&response) == passes);
    http_response_free(&response);
}

static void test_passing(void)
{
    check_passing(503, "", true);
    check_passing(500, "<html>", true);
    check_passing(429, "", true);
    check_passing(400, "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>", true);
    check_passing(400, "<ErrorResponse><Error><Code>IDPCommunicationError</Code></Error></ErrorResponse>",
                  true);
    check_passing(
        400,
        "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>Couldn't retrieve verification "
        "key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for "
        "requirements</Message></Error></ErrorResponse>",
        true);
    check_passing(400, "<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>",
                  false);
    check_passing(403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>", false);
    check_passing(404, "", false);
    check_passing(200, "", false);
}

int main(void)
{
    if (mkdtemp(directory) == NULL)
        return 1;
    log_set_threshold(LOG_WARNING);
    test_instance();
    test_absence();
    test_container();
    test_others();
    test_due();
    test_keep_fresh();
    test_passing();
    unit_remove_tree(directory);
    return unit_done("credentials_remote");
}
