/* Those who hand out temporary credentials, with a stand-in for the network: what they are asked, by which
 * clock, and what is made of answers that fail to come. */
#include "common/credentials.h"
#include "common/credentials_source.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "unit.h"

int credentials_ask_in_truth(const struct question *question, struct http_response *response);
#define credentials_ask credentials_ask_in_truth
#include "common/credentials_remote.c" /* for credentials_from_answer */
#undef credentials_ask

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define SECOND 1000000LL
#define MOST 16

/* In place of the C library's. */
static int64_t passed; /* so much time, for all */
static int64_t wrong;  /* this machine's clock */
int clock_gettime(clockid_t clock, struct timespec *time)
{
    long result = syscall(SYS_clock_gettime, clock, time);

    if (clock == CLOCK_REALTIME)
        time->tv_sec += (passed + wrong) / SECOND;
    return (int)result;
}

static const char *boot; /* of another start of the machine; NULL: this one's */
int open(const char *path, int flags, ...)
{
    va_list arguments;

    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return (int)syscall(SYS_openat, AT_FDCWD,
                        boot != NULL && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0 ? boot : path,
                        flags, mode);
}

static struct answer { /* to the next question and those behind it */
    unsigned status;   /* 0: none comes */
    const char *body;  /* NULL: credentials that live for an hour */
} answers[MOST];
static struct asked {
    char method[8], url[200], headers[1000], body[1000];
    char proxy[40], ca_file[40];
    bool tls_verify;
} asked[MOST];
static unsigned count, issued;

static void write_credentials(struct http_response *response, bool is_xml)
{
    char expires[TIMESTAMP_TEXT_BYTES];

    timestamp_format_iso(timestamp_now() - wrong + 3600 * SECOND, expires);
    issued++;
    buffer_printf(&response->body,
                  is_xml
                      ? "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A%u</AccessKeyId>"
                        "<SecretAccessKey>S</SecretAccessKey><SessionToken>T%u</SessionToken><Expiration>%s"
                        "</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
                      : "{\"AccessKeyId\": \"A%u\", \"SecretAccessKey\": \"S\", \"Token\": \"T%u\", "
                        "\"Expiration\": \"%s\"}",
                  issued, issued, expires);
}

int credentials_ask(const struct question *question, struct http_response *response)
{
    const struct answer *answer = &answers[count];
    struct asked *told = &asked[count++];

    REQUIRE(count < MOST);
    snprintf(told->method, sizeof told->method, "%s", question->method);
    snprintf(told->url, sizeof told->url, "%s", question->url);
    snprintf(told->headers, sizeof told->headers, "%s", question->headers);
    snprintf(told->body, sizeof told->body, "%s", question->body != NULL ? question->body : "");
    snprintf(told->proxy, sizeof told->proxy, "%s", question->proxy != NULL ? question->proxy : "-");
    snprintf(told->ca_file, sizeof told->ca_file, "%s", question->ca_file != NULL ? question->ca_file : "-");
    told->tls_verify = question->tls_verify;
    *response = (struct http_response){.status = answer->status, .answered = timestamp_now()};
    snprintf(response->cause, sizeof response->cause, answer->status == 0 ? "nobody is there" : "HTTP %u",
             answer->status);
    if (answer->status == 0)
        return 1;
    time_t theirs = (time_t)((timestamp_now() - wrong) / SECOND);
    char date[64];
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&theirs));
    buffer_append(&response->headers, "date", 5);
    buffer_append(&response->headers, date, strlen(date) + 1);
    if (answer->body != NULL)
        buffer_append_string(&response->body, answer->body);
    else
        write_credentials(response, question->body != NULL);
    return 0;
}

static char directory[] = "/tmp/walferry-credentials-XXXXXX";

static void forget(struct repository_config *config)
{
    static char state_dir[64];
    static const char *const names[] = {"AWS_ACCESS_KEY_ID",
                                        "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",
                                        "AWS_SHARED_CREDENTIALS_FILE",
                                        "AWS_PROFILE",
                                        "AWS_CONFIG_FILE",
                                        "AWS_WEB_IDENTITY_TOKEN_FILE",
                                        "AWS_ROLE_ARN",
                                        "AWS_ENDPOINT_URL_STS",
                                        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                        "AWS_EC2_METADATA_DISABLED",
                                        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                        "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    unit_remove_tree(directory);
    CHECK(mkdir(directory, 0700) == 0 && mkdir(unit_path("%s/.aws", directory), 0700) == 0);
    setenv("HOME", directory, 1);
    memset(answers, 0, sizeof answers);
    count = 0;
    passed = wrong = 0;
    *config = (struct repository_config){
        .name = (char *)"r", .region = (char *)"eu-west-1", .tls_verify = true, .state_dir = state_dir};
    snprintf(state_dir, sizeof state_dir, "%s/state", directory);
}

static void write_file(const char *name, const char *text)
{
    char *path = unit_path("%s/%s", directory, name);

    unit_write(path, text, strlen(text));
    CHECK(chmod(path, 0600) == 0);
}

/* Who is asked answers with these from now on. */
#define ANSWER(...)                                                                                          \
    do {                                                                                                     \
        const struct answer given[] = {__VA_ARGS__};                                                         \
        memset(answers, 0, sizeof answers);                                                                  \
        memcpy(answers, given, sizeof given);                                                                \
        count = 0;                                                                                           \
    } while (0)

#define TOKEN                                                                                                \
    {                                                                                                        \
        200, "metadata-token"                                                                                \
    }
#define ROLES                                                                                                \
    {                                                                                                        \
        200, "machine-role\n"                                                                                \
    }
#define KEYS                                                                                                 \
    {                                                                                                        \
        200, NULL                                                                                            \
    }

/* The file system has a clock of its own, which is not ahead. */
static void date_back(const char *path, const struct stat *before)
{
    const struct timespec times[2] = {{timestamp_now() / SECOND, 0}, {timestamp_now() / SECOND, 0}};
    struct stat status;

    if (stat(path, &status) == 0 && status.st_ino != before->st_ino)
        CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
}

/* Looks for keys; said: what it is to say, NULL for nothing. Returns the session token's number, 0 for none.
 */
static unsigned look(const struct repository_config *config, const char *said)
{
    struct credentials credentials = CREDENTIALS_EMPTY;
    const char *metadata = unit_path("%s/state/instance-metadata", directory);
    struct stat before = {.st_ino = 0};
    unsigned number = 0;

    if (stat(metadata, &before) != 0)
        before.st_ino = 0;
    unit_listen();
    int result = credentials_find(config, &credentials);
    date_back(metadata, &before);
    if (said != NULL)
        CHECK(unit_heard(said));
    else
        CHECK_TEXT(unit_listened(), "");
    if (result == 0 && credentials.session_token != NULL)
        CHECK(sscanf(credentials.session_token, "T%u", &number) == 1);
    credentials_wipe(&credentials);
    return number;
}

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

#define ERROR(status, code)                                                                                  \
    {                                                                                                        \
        status, "<ErrorResponse><Error><Code>" code "</Code><Message>m</Message></Error></ErrorResponse>"    \
    }

static void set_keys(void)
{
    setenv("AWS_ACCESS_KEY_ID", "AK", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "SK", 1);
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
static void check_place(const char *endpoint, const char *sts_endpoint, const char *url, bool as_store)
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
}

static void test_places(void)
{
    struct repository_config config;

    /* at Amazon's both, perhaps by a proxy that has an authority of its own */
    check_place(NULL, NULL, "https://sts.eu-west-1.amazonaws.com", true);
    check_place("https://s3.eu-west-1.amazonaws.com", NULL, "https://sts.eu-west-1.amazonaws.com", true);
    check_place("https://ceph.example.com", NULL, "https://ceph.example.com", true);
    check_place("https://ceph.example.com", "https://sts.example.com", "https://sts.example.com", true);
    check_place("https://ceph.example.com", "https://sts.amazonaws.com", "https://sts.amazonaws.com", false);
    check_place(NULL, "https://vpce-1.sts.eu-west-1.vpce.amazonaws.com",
                "https://vpce-1.sts.eu-west-1.vpce.amazonaws.com", true);

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
    test_keep_fresh();
    test_clock();
    test_source_expired();
    test_circle();
    test_places();
    test_passing();
    unit_remove_tree(directory);
    return unit_done("credentials_remote");
}
