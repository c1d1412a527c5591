/* Those who hand out temporary credentials, with a stand-in for the network: what they are asked and by which
 * clock is kept, their answers are given beforehand. */
#ifndef WALFERRY_HANDED_OUT_H
#define WALFERRY_HANDED_OUT_H

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

static inline void write_credentials(struct http_response *response, bool is_xml)
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

static inline void forget(struct repository_config *config)
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

static inline void write_file(const char *name, const char *text)
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
static inline void date_back(const char *path, const struct stat *before)
{
    const struct timespec times[2] = {{timestamp_now() / SECOND, 0}, {timestamp_now() / SECOND, 0}};
    struct stat status;

    if (stat(path, &status) == 0 && status.st_ino != before->st_ino)
        CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
}

/* Looks for keys; said: what it is to say, NULL for nothing. Returns the session token's number, 0 for none.
 */
static inline unsigned look(const struct repository_config *config, const char *said)
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

#define ERROR(status, code)                                                                                  \
    {                                                                                                        \
        status, "<ErrorResponse><Error><Code>" code "</Code><Message>m</Message></Error></ErrorResponse>"    \
    }

static inline void set_keys(void)
{
    setenv("AWS_ACCESS_KEY_ID", "AK", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "SK", 1);
}

#endif
