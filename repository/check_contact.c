/* The first step of repository-check: is somebody there, and does he know us? */
#include "check.h"

#include "common/digest.h"
#include "common/log.h"
#include "common/s3_client.h"
#include "common/timestamp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* AWS and Ceph refuse signatures that are 15 minutes off. */
#define CLOCK_NOTE_SECONDS 60

static bool check_directory(struct check *check)
{
    const char *path = check->repository->settings->path, *pgdata = check->repository->config->pgdata;
    struct stat status, data_status;

    bool exists = stat(path, &status) == 0;

    if (!exists && errno != ENOENT && errno != ENOTDIR) {
        check_say(check, FINDING_FAILURE, "could not stat directory \"%s\": %m", path);
        return false;
    }
    if (!exists || !S_ISDIR(status.st_mode)) {
        check_say(check, FINDING_FAILURE,
                  "directory \"%s\" is not there: is it mounted? repository-init makes it", path);
        return false;
    }
    check_say(check, FINDING_OK, "directory \"%s\" is there", path);
    if (pgdata != NULL && stat(pgdata, &data_status) == 0 && data_status.st_dev == status.st_dev)
        check_say(check, FINDING_NOTE,
                  "it lies on the same file system as the data directory: one lost disk takes both");
    return true;
}

static void say_transport(struct check *check, const struct s3_client *client,
                          const struct http_response *response)
{
    const struct repository_config *settings = check->repository->settings;
    const char *address = s3_client_address(client);
    double milliseconds = (double)(response->ended - response->began) / 1000;

    if (strncmp(address, "https:", 6) != 0)
        check_say(check, FINDING_NOTE,
                  "%s answers in %.1f ms, without TLS: everything can be read on the way", address,
                  milliseconds);
    else if (!settings->tls_verify)
        check_say(check, FINDING_NOTE,
                  "%s answers in %.1f ms over TLS, but tls_verify = no: it could be anybody", address,
                  milliseconds);
    else
        check_say(check, FINDING_OK, "%s answers in %.1f ms over TLS, certificate verified%s%s", address,
                  milliseconds, settings->ca_file != NULL ? " with " : "",
                  settings->ca_file != NULL ? settings->ca_file : "");
}

static void say_clock(struct check *check, const struct http_response *response)
{
    const char *date = http_header(response, "date");
    int64_t theirs, difference;

    if (date == NULL || !http_parse_date(date, &theirs))
        return;
    difference = (response->answered - theirs) / 1000000; /* Date has whole seconds */
    if (llabs(difference) > CLOCK_NOTE_SECONDS)
        check_say(check, FINDING_NOTE,
                  "the clock of this machine is %lld s %s: from 900 s on a store refuses every request",
                  llabs(difference), difference > 0 ? "ahead of the store's" : "behind the store's");
    else
        check_say(check, FINDING_OK, "the clocks agree (within %lld s)", llabs(difference) + 1);
}

/* What a GET of an object that nobody has made brings. */
static bool judge_missing(struct check *check, const struct s3_client *client, enum s3_result result,
                          const struct s3_answer *answer)
{
    const char *source = s3_client_credentials_source(client), *cause = answer->response.cause;

    if (result == S3_REFUSED && s3_answer_is(answer, 404, "NoSuchKey")) {
        check_say(check, FINDING_OK, "the key is accepted (from %s)", source);
        check_say(check, FINDING_OK, "a missing object is answered as missing (404 NoSuchKey)");
        return true;
    }
    if (result == S3_REFUSED && s3_answer_is(answer, 403, "AccessDenied")) {
        check_say(check, FINDING_OK, "the key is known (from %s)", source);
        check_say(check, FINDING_FAILURE,
                  "a missing object is answered 403, not 404: wal-fetch cannot begin a recovery; grant "
                  "s3:ListBucket on the "
                  "bucket without a condition");
        return true; /* the other rights are worth a look */
    }
    if (s3_answer_is(answer, 404, "NoSuchBucket"))
        check_say(check, FINDING_FAILURE, "there is no bucket \"%s\": make it, or correct the url",
                  check->repository->settings->bucket);
    else if (answer->response.status == 403)
        check_say(check, FINDING_FAILURE, "the key (from %s) is not accepted: %s", source, cause);
    else
        check_say(check, FINDING_FAILURE,
                  "not the answer of an S3 store for this bucket: %s; check endpoint, region and addressing",
                  result == S3_SUCCEEDED ? "an object that nobody made is there" : cause);
    return false;
}

static bool ask_for_missing(struct check *check, struct s3_client *client, const char *key)
{
    struct s3_request request = {.verb = "get", .object = key, .method = "GET", .key = key};
    struct s3_answer answer = {0};
    enum s3_result result = s3_perform(client, &request, &answer);
    bool good = false;

    if (result == S3_FAILED || result == S3_STOPPED) {
        check_say(check, FINDING_FAILURE, "the store could not be asked");
    } else if (answer.response.cut) {
        check_say(check, FINDING_FAILURE, "%s cannot be reached: %s%s", s3_client_address(client),
                  answer.response.cause,
                  answer.response.untrusted ? " (name the CA's certificate with ca_file)" : "");
    } else {
        say_transport(check, client, &answer.response);
        say_clock(check, &answer.response);
        good = judge_missing(check, client, result, &answer);
    }
    s3_answer_free(&answer);
    return good;
}

static bool check_s3(struct check *check)
{
    const struct repository_config *settings = check->repository->settings;
    struct s3_client *client = s3_client_open(settings);
    unsigned char random[8];
    char hex[17], *key = NULL;
    bool good = false;

    if (client != NULL && random_bytes(random, sizeof random) == 0) {
        hex_encode(random, sizeof random, hex);
        key = string_printf("%s%s%s/probe-%s", settings->path, settings->path[0] != '\0' ? "/" : "",
                            check->repository->config->cluster_name, hex);
    }
    if (key != NULL) {
        s3_client_set_limits(client, CHECK_REQUEST_SECONDS, check->deadline);
        good = ask_for_missing(check, client, key);
    }
    free(key);
    s3_client_close(client);
    return good;
}

bool check_contact(struct check *check)
{
    return check->repository->settings->kind == REPOSITORY_S3 ? check_s3(check) : check_directory(check);
}
