#include "config_s3.h"

#include "buffer.h"
#include "log.h"
#include "timestamp.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DAY_SECONDS 86400u
#define TAGS_MOST 10
#define TAG_KEY_MOST 128
#define TAG_VALUE_MOST 256
#define HEADER_VALUE_MOST 1024

/* Amazon's classes, as its user guide ("Using Amazon S3 storage classes") has them. Other stores have others.
 */
static const struct storage_class {
    const char *name;
    unsigned days_least; /* that are paid for */
    bool is_archive;     /* has to be restored before it can be read */
} classes[] = {
    {"STANDARD_IA", 30, false}, {"ONEZONE_IA", 30, false},   {"GLACIER_IR", 90, false},
    {"GLACIER", 90, true},      {"DEEP_ARCHIVE", 180, true},
};

static const struct storage_class *find_class(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(classes[i].name, name) == 0)
            return &classes[i];
    return NULL;
}

/* --- further headers
 * ----------------------------------------------------------------------------------------------- */

static bool is_header_name(const char *name)
{
    if (*name == '\0' || strlen(name) > 64)
        return false;
    for (; *name != '\0'; name++)
        if (!islower((unsigned char)*name) && !isdigit((unsigned char)*name) && *name != '-')
            return false;
    return true;
}

/* Those that make a request what it is, and those that have a setting. */
static bool is_own_header(const char *name)
{
    static const char *const names[] = {"host",
                                        "authorization",
                                        "range",
                                        "expect",
                                        "connection",
                                        "transfer-encoding",
                                        "te",
                                        "trailer",
                                        "upgrade",
                                        "proxy-authorization",
                                        "user-agent",
                                        "x-amz-date",
                                        "x-amz-storage-class",
                                        "cookie",
                                        "x-amz-request-payer",
                                        NULL};
    static const char *const prefixes[] = {"if-",
                                           "content-",
                                           "x-amz-content-",
                                           "x-amz-security-",
                                           "x-amz-copy-",
                                           "x-amz-server-side-",
                                           "x-amz-object-lock-",
                                           "x-amz-checksum-",
                                           "x-amz-tagging",
                                           "x-amz-metadata-",
                                           "x-amz-sdk-",
                                           "x-amz-trailer",
                                           "x-amz-decoded-",
                                           "x-amz-expected-",
                                           "x-amz-source-",
                                           "x-amz-meta-walferry",
                                           NULL};

    for (size_t i = 0; names[i] != NULL; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    for (size_t i = 0; prefixes[i] != NULL; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/* As it is signed: runs of blanks would be signed as one. */
static bool is_header_value(const char *value)
{
    if (strlen(value) > HEADER_VALUE_MOST || strstr(value, "  ") != NULL)
        return false;
    for (; *value != '\0'; value++)
        if (*value < ' ' || *value > '~')
            return false;
    return true;
}

int config_s3_add_header(struct repository_config *repository, const char *name, const char *value,
                         char **problem)
{
    struct s3_settings *s3 = &repository->s3;

    if (!is_header_name(name))
        *problem =
            string_printf("\"header.%s\": the name of a header is lower case letters, digits and -", name);
    else if (is_own_header(name))
        *problem = string_printf("\"header.%s\" is a header that walferry sets itself", name);
    else if (!is_header_value(value))
        *problem = string_printf("\"header.%s\": the value must be ASCII, without two blanks in a row, at "
                                 "most %d bytes",
                                 name, HEADER_VALUE_MOST);
    else if (s3->extra_count == S3_EXTRA_HEADERS_MOST)
        *problem =
            string_printf("\"header.%s\": there may be %d such keys, not more", name, S3_EXTRA_HEADERS_MOST);
    else {
        for (unsigned i = 0; i < s3->extra_count; i++)
            if (strcmp(s3->extra[i].name, name) == 0) {
                *problem = string_printf("key \"header.%s\" is given twice", name);
                return -1;
            }
        struct s3_extra_header *extra = &s3->extra[s3->extra_count];
        *extra = (struct s3_extra_header){string_copy(name), string_copy(value)};
        if (extra->name != NULL && extra->value != NULL) {
            s3->extra_count++;
            return 0;
        }
        free(extra->name);
        free(extra->value);
    }
    return -1;
}

/* --- checks
 * -------------------------------------------------------------------------------------------------------- */

static bool all_of(const char *text, const char *more)
{
    for (; *text != '\0'; text++)
        if (!isalnum((unsigned char)*text) && strchr(more, *text) == NULL)
            return false;
    return true;
}

static int check_encryption(const struct repository_config *repository, const char *place)
{
    const struct s3_settings *s3 = &repository->s3;

    if (s3->sse_kms_key_id != NULL && s3->sse != S3_ENCRYPTION_KMS)
        log_error("%s: sse_kms_key_id goes with sse = kms", place);
    else if (s3->sse_kms_key_id != NULL &&
             (*s3->sse_kms_key_id == '\0' || !all_of(s3->sse_kms_key_id, ":/-_.@=+")))
        log_error("%s: sse_kms_key_id must be the id, ARN or alias of a key, not \"%s\"", place,
                  s3->sse_kms_key_id);
    else if ((s3->sse_customer_key_file != NULL) != (s3->sse == S3_ENCRYPTION_CUSTOMER))
        log_error("%s: sse = customer and sse_customer_key_file go together", place);
    else if (s3->sse_customer_key_file != NULL && *s3->sse_customer_key_file != '/')
        log_error("%s: sse_customer_key_file must be an absolute path", place);
    else if (s3->sse == S3_ENCRYPTION_CUSTOMER &&
             ((repository->endpoint != NULL && strncmp(repository->endpoint, "https://", 8) != 0) ||
              !repository->tls_verify)) {
        log_error("%s: sse = customer sends its key with each request, and needs an endpoint with https:// "
                  "and tls_verify",
                  place);
        log_hint("Name a private CA with ca_file.");
    } else
        return 0;
    return -1;
}

static int check_class(const char *name, const char *value, const char *place)
{
    if (value == NULL || (*value != '\0' && strlen(value) <= 64 && all_of(value, "_-")))
        return 0;
    log_error("%s: %s must be the name of a storage class, as in STANDARD_IA, not \"%s\"", place, name,
              value);
    return -1;
}

static int check_classes(const struct s3_settings *s3, const char *place)
{
    const struct storage_class *of_wal = find_class(s3->storage_class_wal);

    if (check_class("storage_class", s3->storage_class, place) != 0 ||
        check_class("storage_class_wal", s3->storage_class_wal, place) != 0)
        return -1;
    if (of_wal == NULL || !of_wal->is_archive)
        return 0;
    log_error("%s: storage_class_wal = %s: what lies there cannot be read before the store has restored it, "
              "object by object, and a recovery asks for one segment after the other",
              place, of_wal->name);
    log_hint("GLACIER_IR is as cheap to keep nearly, and can be read at once.");
    return -1;
}

/* "key=value&key=value", as the header has it. */
static int check_tags(const char *tags, const char *place)
{
    unsigned count = 0;

    if (tags == NULL)
        return 0;
    if (!all_of(tags, "+-=._:/@%&"))
        goto wrong;
    for (const char *tag = tags; tag != NULL; tag = strchr(tag, '&')) {
        tag += *tag == '&';
        size_t key = strcspn(tag, "=&"), whole = strcspn(tag, "&");
        if (key == 0 || tag[key] != '=' || key > TAG_KEY_MOST || whole - key - 1 > TAG_VALUE_MOST ||
            memchr(tag + key + 1, '=', whole - key - 1) != NULL || ++count > TAGS_MOST)
            goto wrong;
    }
    return 0;
wrong:
    log_error(
        "%s: tags must be KEY=VALUE&KEY=VALUE, at most %d, of letters, digits and +-._:/@ (others as %%XX), "
        "not \"%s\"",
        place, TAGS_MOST, tags);
    return -1;
}

static int check_lock(struct s3_settings *s3, const struct config_seen *seen, const char *place)
{
    if ((s3->object_lock != S3_LOCK_NONE) != (s3->object_lock_days != 0)) {
        log_error("%s: object_lock and object_lock_days go together", place);
        return -1;
    }
    if (!config_key_was_seen(seen, "repository", "legal_hold"))
        s3->legal_hold = s3->object_lock != S3_LOCK_NONE;
    return 0;
}

static int check_as_of(struct s3_settings *s3, const char *place)
{
    if (s3->as_of_text == NULL || timestamp_parse(s3->as_of_text, &s3->as_of) == TIMESTAMP_OK)
        return 0;
    log_error("%s: as_of must be a time with its offset from UTC, as in 2026-11-20 14:29:59+00, not \"%s\"",
              place, s3->as_of_text);
    return -1;
}

static bool is_for_s3(const struct repository_config *repository, const struct config_seen *seen,
                      const char *place)
{
    static const char *const names[] = {"sse",
                                        "sse_kms_key_id",
                                        "sse_customer_key_file",
                                        "storage_class",
                                        "storage_class_wal",
                                        "tags",
                                        "object_lock",
                                        "object_lock_days",
                                        "legal_hold",
                                        "checksum",
                                        "expected_bucket_owner",
                                        "requester_pays",
                                        "as_of",
                                        NULL};

    for (size_t i = 0; names[i] != NULL; i++)
        if (config_key_was_seen(seen, "repository", names[i])) {
            log_error("%s: %s is for a url that begins with s3://", place, names[i]);
            return false;
        }
    if (repository->s3.extra_count > 0)
        log_error("%s: header.%s is for a url that begins with s3://", place, repository->s3.extra[0].name);
    return repository->s3.extra_count == 0;
}

int config_s3_check(struct repository_config *repository, const struct config_seen *seen, const char *place)
{
    struct s3_settings *s3 = &repository->s3;
    const char *owner = s3->expected_bucket_owner;

    if (repository->kind != REPOSITORY_S3)
        return is_for_s3(repository, seen, place) ? 0 : -1;
    if (owner != NULL && (strlen(owner) != 12 || strspn(owner, "0123456789") != 12)) {
        log_error("%s: expected_bucket_owner must be the 12 digits of an account, not \"%s\"", place, owner);
        return -1;
    }
    return check_encryption(repository, place) != 0 || check_classes(s3, place) != 0 ||
                   check_tags(s3->tags, place) != 0 || check_lock(s3, seen, place) != 0 ||
                   check_as_of(s3, place) != 0
               ? -1
               : 0;
}

/* --- advice
 * -------------------------------------------------------------------------------------------------------- */

struct advice {
    void (*tell)(void *context, const char *text);
    void *context;
};

static void advise(const struct advice *advice, char *text)
{
    if (text != NULL)
        advice->tell(advice->context, text);
    free(text);
}

/* Days that a policy keeps any backup, and WAL; 0: for so long as others are newer, which nobody can tell. */
static unsigned days_kept(const struct retention_policy *policy, bool of_wal)
{
    uint64_t seconds = policy->keep_wal_seconds;

    if (!of_wal && policy->keep_for_seconds > seconds)
        seconds = policy->keep_for_seconds;
    if (!of_wal && (uint64_t)policy->keep_daily * DAY_SECONDS > seconds)
        seconds = (uint64_t)policy->keep_daily * DAY_SECONDS;
    return (unsigned)(seconds / DAY_SECONDS);
}

static void advise_of_class(const struct repository_config *repository, const char *key, const char *name,
                            bool of_wal, const struct advice *advice)
{
    const struct storage_class *class = find_class(name);
    unsigned kept = days_kept(&repository->retention, of_wal);

    if (class == NULL)
        return;
    if (class->is_archive)
        advise(advice, string_printf("%s = %s: a backup cannot be restored, verified or copied before the "
                                     "store has restored each of its objects, which takes hours",
                                     key, name));
    if (retention_policy_is_given(&repository->retention) && kept > 0 && kept < class->days_least)
        advise(advice, string_printf("%s = %s: each object is paid for at least %u days, and the retention "
                                     "policy lets %s go after %u",
                                     key, name, class->days_least, of_wal ? "WAL" : "backups", kept));
}

void config_s3_advise(const struct repository_config *repository,
                      void (*tell)(void *context, const char *text), void *context)
{
    const struct s3_settings *s3 = &repository->s3;
    const struct advice advice = {tell, context};
    unsigned kept = days_kept(&repository->retention, true);

    if (repository->kind != REPOSITORY_S3)
        return;
    advise_of_class(repository, "storage_class", s3->storage_class, false, &advice);
    advise_of_class(repository, "storage_class_wal", s3->storage_class_wal, true, &advice);
    if (s3->object_lock_days > kept && kept > 0)
        advise(&advice,
               string_printf("object_lock_days = %u: the retention policy lets WAL go after %u days, "
                             "but the store keeps it until its lock is over",
                             s3->object_lock_days, kept));
}
