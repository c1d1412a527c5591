/* Roles: where they are assumed, for whose region and by which clock, and who assumes them. */
#include "handed_out.h"

/* When was that question signed, by the real clock? */
static int64_t signed_at(const struct asked *question)
{
    const char *date = strstr(question->headers, "x-amz-date: ");
    struct tm tm = {.tm_isdst = 0};

    REQUIRE(date != NULL && strptime(date, "x-amz-date: %Y%m%dT%H%M%SZ", &tm) != NULL);
    return (int64_t)timegm(&tm) - (timestamp_now() - wrong) / SECOND;
}

static void test_clock(void)
{
    static const int minutes[] = {-600, -30, 30, 600};
    struct repository_config config;

    for (size_t i = 0; i < sizeof minutes / sizeof minutes[0]; i++) {
        forget(&config);
        set_keys();
        config.role_arn = (char *)"arn:aws:iam::1:role/w";
        wrong = minutes[i] * 60 * SECOND;
        ANSWER(ERROR(403, "SignatureDoesNotMatch"), KEYS);
        CHECK(look(&config, "s apart; signing with the server's time") != 0 && count == 2);
        CHECK(labs((long)signed_at(&asked[1])) <= 2);
        CHECK(labs((long)signed_at(&asked[0])) > 1500);
    }
    /* it is right, and the secret is wrong; or it is not the clock's fault after all */
    forget(&config);
    set_keys();
    config.role_arn = (char *)"arn:aws:iam::1:role/w";
    ANSWER(ERROR(403, "SignatureDoesNotMatch"), KEYS);
    CHECK(look(&config, "SignatureDoesNotMatch") == 0 && count == 1);
    wrong = 3600 * SECOND;
    ANSWER(ERROR(403, "SignatureDoesNotMatch"), ERROR(403, "SignatureDoesNotMatch"), KEYS);
    CHECK(look(&config, "SignatureDoesNotMatch") == 0 && count == 2);
}

/* The keys that are to assume a role are remembered, too, and may be refused sooner than they say. */
static void test_source_expired(void)
{
    struct repository_config config;

    forget(&config);
    write_file(".aws/config", "[default]\nrole_arn = arn:aws:iam::1:role/outer\nsource_profile = inner\n"
                              "[profile inner]\nrole_arn = arn:aws:iam::1:role/inner\nsource_profile = base\n"
                              "[profile base]\naws_access_key_id = A\naws_secret_access_key = S\n");
    ANSWER(KEYS, KEYS);
    unsigned first = look(&config, NULL);
    CHECK(first != 0 && count == 2);
    CHECK(strstr(asked[0].body, "role%2Finner") != NULL && strstr(asked[1].body, "role%2Fouter") != NULL);
    write_file(".aws/config", "[default]\nrole_arn = arn:aws:iam::1:role/other\nsource_profile = inner\n"
                              "[profile inner]\nrole_arn = arn:aws:iam::1:role/inner\nsource_profile = base\n"
                              "[profile base]\naws_access_key_id = A\naws_secret_access_key = S\n");
    ANSWER(ERROR(403, "ExpiredToken"), KEYS, KEYS);
    CHECK(look(&config, NULL) == first + 2 && count == 3);
    CHECK(strstr(asked[0].body, "role%2Fother") != NULL && strstr(asked[1].body, "role%2Finner") != NULL);
    /* once */
    unit_remove_tree(config.state_dir);
    ANSWER(KEYS, ERROR(403, "ExpiredToken"), KEYS, ERROR(403, "ExpiredToken"), KEYS);
    CHECK(look(&config, "keys that are to assume the role have expired") == 0 && count == 4);
}

static void test_circle(void)
{
    struct repository_config config;
    int64_t began = monotonic_now();

    forget(&config);
    write_file(".aws/config", "[default]\nrole_arn = r1\nsource_profile = b\n"
                              "[profile b]\nrole_arn = r2\nsource_profile = c\n"
                              "[profile c]\nrole_arn = r3\nsource_profile = b\n"
                              "[profile own]\nrole_arn = r4\nsource_profile = own\n"
                              "aws_access_key_id = A\naws_secret_access_key = S\n");
    CHECK(look(&config, "source_profile leads in a circle, back to profile \"b\"") == 0);
    CHECK(monotonic_now() - began < 5 * SECOND); /* nobody waits for what he holds himself */
    setenv("AWS_PROFILE", "own", 1);
    ANSWER(KEYS);
    CHECK(look(&config, NULL) != 0 && count == 1);
}

/* Whose authority is asked for, and where. */
static void check_place(const char *endpoint, const char *sts_endpoint, const char *url, const char *region,
                        bool as_store)
{
    struct repository_config config;

    forget(&config);
    set_keys();
    config.role_arn = (char *)"r";
    config.ca_file = (char *)"/ours.pem";
    config.tls_verify = false;
    config.endpoint = (char *)endpoint;
    config.sts_endpoint = (char *)sts_endpoint;
    ANSWER(KEYS);
    CHECK(look(&config, NULL) != 0);
    CHECK_TEXT(asked[0].url, url);
    CHECK_TEXT(asked[0].ca_file, as_store ? "/ours.pem" : "-");
    CHECK(asked[0].tls_verify == !as_store);
    CHECK(strstr(asked[0].headers, unit_path("/%s/sts/aws4_request", region)) != NULL);
}

static void test_places(void)
{
    struct repository_config config;

    /* at Amazon's both, perhaps by a proxy that has an authority of its own */
    const char *ours = "eu-west-1", *first = "us-east-1", *ceph = "https://ceph.example.com",
               *end = "https://vpce-1.sts.eu-central-1.vpce.amazonaws.com";
    check_place(NULL, NULL, "https://sts.eu-west-1.amazonaws.com", ours, true);
    check_place("https://s3.eu-west-1.amazonaws.com", NULL, "https://sts.eu-west-1.amazonaws.com", ours,
                true);
    check_place(ceph, NULL, ceph, ours, true);
    check_place(ceph, "https://sts.example.com", "https://sts.example.com", ours, true);
    check_place(ceph, "https://sts.amazonaws.com", "https://sts.amazonaws.com", first, false);
    check_place(NULL, end, end, "eu-central-1", true);
    /* it takes signatures for its own region alone, where the bucket may lie elsewhere */
    check_place(NULL, "https://sts.amazonaws.com", "https://sts.amazonaws.com", first, true);
    check_place(NULL, "https://sts.us-west-2.amazonaws.com:443", "https://sts.us-west-2.amazonaws.com:443",
                "us-west-2", true);
    check_place(NULL, "https://sts-fips.us-west-2.amazonaws.com", "https://sts-fips.us-west-2.amazonaws.com",
                "us-west-2", true);
    check_place(NULL, "https://sts.cn-north-1.amazonaws.com.cn", "https://sts.cn-north-1.amazonaws.com.cn",
                "cn-north-1", true);
    check_place(NULL, "https://sts.us-west-2.api.aws", "https://sts.us-west-2.api.aws", "us-west-2", true);
    check_place(NULL, "https://x.amazonaws.com", "https://x.amazonaws.com", first, true);

    forget(&config);
    set_keys();
    config.role_arn = (char *)"r";
    static const char *const no_places[] = {"sts.example.com", "https://u:s3cr3t@example.com",
                                            "https://example.com/sts", "https://"};
    for (size_t i = 0; i < sizeof no_places / sizeof no_places[0]; i++) {
        setenv("AWS_ENDPOINT_URL_STS", no_places[i], 1);
        ANSWER(KEYS);
        CHECK(look(&config, "AWS_ENDPOINT_URL_STS must be https://HOST[:PORT]\n") == 0 && count == 0);
    }
    setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:8000", 1);
    ANSWER(KEYS);
    CHECK(look(&config, NULL) != 0);
    setenv("AWS_ENDPOINT_URL_STS", "http://sts.example.com", 1);
    ANSWER(KEYS);
    CHECK(look(&config, "hands keys out without TLS") != 0);
    setenv("AWS_ENDPOINT_URL_STS", "https://sts.example.com/", 1);
    ANSWER(KEYS);
    CHECK(look(&config, NULL) != 0);
    CHECK_TEXT(asked[0].url, "https://sts.example.com");
}

int main(void)
{
    if (mkdtemp(directory) == NULL)
        return 1;
    log_set_threshold(LOG_WARNING);
    test_clock();
    test_source_expired();
    test_circle();
    test_places();
    unit_remove_tree(directory);
    return unit_done("credentials_sts");
}
