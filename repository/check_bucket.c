/* What the bucket itself is set to: object lock, lifecycle rules; and whether an upload can be given up. */
#include "check.h"

#include "common/config_s3.h"
#include "common/digest.h"
#include "common/log.h"
#include "common/s3_client.h"
#include "common/s3_options.h"
#include "common/timestamp.h"
#include "common/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bucket {
    struct check *check;
    struct s3_client *client;
};

/* GET of one of the bucket's settings. True: it was answered; *found: there is such a setting. Otherwise it
 * is said that it could not be seen. */
static bool ask(const struct bucket *bucket, const char *setting, const char *what, const char *none_code,
                const char *grant, struct s3_answer *answer, bool *found)
{
    struct s3_request request = {
        .verb = "get a setting of", .object = bucket->check->repository->settings->bucket, .method = "GET"};

    s3_request_query(&request, setting, "");
    *found = s3_perform(bucket->client, &request, answer) == S3_SUCCEEDED;
    if (*found || s3_answer_is(answer, 404, none_code))
        return true;
    if (!answer->response.cut && answer->response.status == 403)
        check_say(bucket->check, FINDING_NOTE,
                  "%s could not be seen: grant %s to whoever looks after the bucket", what, grant);
    else
        check_say(bucket->check, FINDING_NOTE, "%s could not be seen: %s", what, answer->response.cause);
    return false;
}

/* --- object lock
 * --------------------------------------------------------------------------------------------------- */

struct lock {
    bool is_whole, is_enabled;
    char mode[32], period[32];
    bool in_years;
};

static void take_text(char *out, size_t out_bytes, const char *text)
{
    snprintf(out, out_bytes, "%s", text);
}

static bool take_lock(void *context, const char *path, const char *text)
{
    struct lock *lock = context;

    if (strcmp(path, "ObjectLockConfiguration/ObjectLockEnabled") == 0)
        lock->is_enabled = strcmp(text, "Enabled") == 0;
    else if (strcmp(path, "ObjectLockConfiguration/Rule/DefaultRetention/Mode") == 0)
        take_text(lock->mode, sizeof lock->mode, text);
    else if (strcmp(path, "ObjectLockConfiguration/Rule/DefaultRetention/Days") == 0)
        take_text(lock->period, sizeof lock->period, text);
    else if (strcmp(path, "ObjectLockConfiguration/Rule/DefaultRetention/Years") == 0) {
        take_text(lock->period, sizeof lock->period, text);
        lock->in_years = true;
    } else if (strcmp(path, "ObjectLockConfiguration") == 0)
        lock->is_whole = true;
    return true;
}

static void say_lock(struct check *check, const struct lock *lock)
{
    const struct s3_settings *s3 = &check->repository->settings->s3;
    bool has_default = lock->is_enabled && lock->mode[0] != '\0';

    if (!lock->is_enabled && (s3->object_lock != S3_LOCK_NONE || s3->legal_hold))
        check_say(
            check, FINDING_FAILURE,
            "the bucket has no object lock, which object_lock and legal_hold need: nothing can be stored");
    else if (has_default)
        check_say(check, FINDING_OK, "the bucket locks what is stored by itself: %s for %s %s", lock->mode,
                  lock->period, lock->in_years ? "years" : "days");
    else
        check_say(check, FINDING_OK, "the bucket has %s",
                  lock->is_enabled ? "object lock" : "no object lock");
    if (lock->is_enabled && s3->object_lock != S3_LOCK_NONE)
        check_say(
            check, FINDING_OK,
            "what is stored is locked for %u days (%s); whether the key may do so (s3:PutObjectRetention) is "
            "not tried, since it would stay",
            s3->object_lock_days, s3->object_lock == S3_LOCK_COMPLIANCE ? "compliance" : "governance");
    else if (lock->is_enabled && !has_default)
        check_say(check, FINDING_NOTE,
                  "object_lock is not set: whoever may delete can delete WAL and backups for good");
    if (has_default && s3->checksum == 0 && s3->object_lock == S3_LOCK_NONE)
        check_say(check, FINDING_NOTE,
                  "AWS demands a checksum in such a bucket: checksum = sha256 saves each call a request");
}

/* It takes what asks for a lock, and stores without one. */
static void say_no_locks(struct check *check, const char *why)
{
    const struct s3_settings *s3 = &check->repository->settings->s3;

    if (s3->object_lock != S3_LOCK_NONE || s3->legal_hold)
        check_say(check, FINDING_FAILURE,
                  "the store knows no object lock (%s), which object_lock and legal_hold need: nothing that "
                  "is stored there is locked",
                  why);
    else
        check_say(check, FINDING_OK, "the store knows no object lock (%s)", why);
}

static void check_lock(const struct bucket *bucket)
{
    struct s3_answer answer = {0};
    struct lock lock = {.is_enabled = false};
    const char *problem;
    bool found;

    if (ask(bucket, "object-lock", "object lock", "ObjectLockConfigurationNotFoundError",
            "s3:GetBucketObjectLockConfiguration", &answer, &found)) {
        /* a store that does not know the question answers another one, as Swift does: with a list */
        if (found && (xml_parse(answer.response.body.data, answer.response.body.length, take_lock, &lock,
                                &problem) != 0 ||
                      !lock.is_whole))
            say_no_locks(bucket->check, "its answer is of something else");
        else
            say_lock(bucket->check, &lock);
    } else if (answer.response.status == 501 || answer.response.status == 405) {
        say_no_locks(bucket->check, answer.error.code);
    }
    s3_answer_free(&answer);
}

/* --- lifecycle rules
 * ----------------------------------------------------------------------------------------------- */

struct rule {
    char name[128], prefix[1024], days[32], class[64], archive_days[32], noncurrent_days[32];
    struct { /* that is being read: a rule may have several */
        char class[64], days[32];
    } move;
    bool is_enabled, has_tag, expires, archives, expires_noncurrent, aborts;
};

struct rules {
    struct check *check;
    const char *place; /* whole prefix of this cluster's objects, with a slash */
    struct rule rule;  /* that is being read */
    unsigned harmful;
    bool is_whole, aborts;
};

static bool is_archive(const char *class)
{
    return strcmp(class, "GLACIER") == 0 || strcmp(class, "DEEP_ARCHIVE") == 0;
}

static bool is_date(const char *days)
{
    return strspn(days, "0123456789") != strlen(days);
}

/* One that is for some tags alone may not concern what is here. */
static void say_harm(struct rules *rules, const char *harm)
{
    const struct rule *rule = &rules->rule;

    check_say(rules->check, rule->has_tag ? FINDING_NOTE : FINDING_FAILURE, "lifecycle rule \"%s\"%s %s",
              rule->name, rule->has_tag ? ", which is for objects with a tag," : "", harm);
    rules->harmful++;
}

static void judge(struct rules *rules)
{
    const struct rule *rule = &rules->rule;
    size_t length = strlen(rule->prefix), own = strlen(rules->place);
    char harm[256];

    if (!rule->is_enabled || strncmp(rule->prefix, rules->place, length < own ? length : own) != 0)
        return;
    rules->aborts = rules->aborts || rule->aborts;
    if (rule->expires) {
        snprintf(harm, sizeof harm,
                 "deletes WAL and backups %s%s, whatever the retention policy keeps: take it off, and let "
                 "basebackup-expire delete",
                 rule->days, is_date(rule->days) ? " (its date)" : " days after they were stored");
        say_harm(rules, harm);
    }
    if (rule->archives) {
        snprintf(harm, sizeof harm,
                 "moves objects to %s after %s%s: they cannot be read before the store has restored them",
                 rule->class, rule->archive_days, is_date(rule->archive_days) ? "" : " days");
        say_harm(rules, harm);
    }
    if (rule->expires_noncurrent)
        check_say(
            rules->check, FINDING_OK,
            "lifecycle rule \"%s\" removes deleted and overwritten versions after %s days: so long as_of "
            "can go back",
            rule->name, rule->noncurrent_days);
}

static bool take_rule(void *context, const char *path, const char *text)
{
    struct rules *rules = context;
    struct rule *rule = &rules->rule;
    const char *root = "LifecycleConfiguration/Rule";

    if (strcmp(path, "LifecycleConfiguration") == 0)
        rules->is_whole = true;
    if (strncmp(path, root, strlen(root)) != 0)
        return true;
    path += strlen(root);
    if (*path == '\0') {
        judge(rules);
        *rule = (struct rule){.is_enabled = false};
    } else if (strcmp(path, "/ID") == 0) {
        take_text(rule->name, sizeof rule->name, text);
    } else if (strcmp(path, "/Status") == 0) {
        rule->is_enabled = strcmp(text, "Enabled") == 0;
    } else if (strcmp(path, "/Prefix") == 0 || strcmp(path, "/Filter/Prefix") == 0 ||
               strcmp(path, "/Filter/And/Prefix") == 0) {
        take_text(rule->prefix, sizeof rule->prefix, text);
    } else if (strcmp(path, "/Filter/Tag/Key") == 0 || strcmp(path, "/Filter/And/Tag/Key") == 0) {
        rule->has_tag = true;
    } else if (strcmp(path, "/Expiration/Days") == 0 || strcmp(path, "/Expiration/Date") == 0) {
        rule->expires = true;
        take_text(rule->days, sizeof rule->days, text);
    } else if (strcmp(path, "/NoncurrentVersionExpiration/NoncurrentDays") == 0) {
        rule->expires_noncurrent = true;
        take_text(rule->noncurrent_days, sizeof rule->noncurrent_days, text);
    } else if (strcmp(path, "/Transition/Days") == 0 || strcmp(path, "/Transition/Date") == 0) {
        take_text(rule->move.days, sizeof rule->move.days, text);
    } else if (strcmp(path, "/Transition/StorageClass") == 0) {
        take_text(rule->move.class, sizeof rule->move.class, text);
    } else if (strcmp(path, "/Transition") == 0 && is_archive(rule->move.class) && !rule->archives) {
        rule->archives = true;
        take_text(rule->class, sizeof rule->class, rule->move.class);
        take_text(rule->archive_days, sizeof rule->archive_days, rule->move.days);
    } else if (strcmp(path, "/AbortIncompleteMultipartUpload/DaysAfterInitiation") == 0) {
        rule->aborts = true;
    }
    return true;
}

static void check_lifecycle(const struct bucket *bucket, const char *place)
{
    struct s3_answer answer = {0};
    struct rules rules = {.check = bucket->check, .place = place};
    const char *problem = "it is of something else";
    bool found;

    if (ask(bucket, "lifecycle", "whether lifecycle rules delete or archive what is stored",
            "NoSuchLifecycleConfiguration", "s3:GetLifecycleConfiguration", &answer, &found)) {
        if (found && (xml_parse(answer.response.body.data, answer.response.body.length, take_rule, &rules,
                                &problem) != 0 ||
                      !rules.is_whole))
            check_say(bucket->check, FINDING_NOTE,
                      "lifecycle rules: the store's answer cannot be understood: %s", problem);
        else if (rules.harmful == 0)
            check_say(bucket->check, FINDING_OK, "no lifecycle rule deletes or archives what is stored%s",
                      rules.aborts ? ", and one gives up uploads that nobody completes" : "");
    }
    s3_answer_free(&answer);
}

/* --- an upload that is given up
 * ------------------------------------------------------------------------------------ */

static bool take_id(void *context, const char *path, const char *text)
{
    char **id = context;

    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0)
        return true;
    free(*id); /* of a store that says two */
    *id = string_copy(text);
    return *id != NULL;
}

/* s3: a bucket's own default may be more than was asked for. */
static bool fits(enum s3_encryption sse, const char *told)
{
    bool is_kms = strncmp(told, "aws:kms", strlen("aws:kms")) == 0;

    return sse == S3_ENCRYPTION_KMS ? is_kms
                                    : strcmp(told, "AES256") == 0 || (sse == S3_ENCRYPTION_S3 && is_kms);
}

/* A store that knows no encryption takes the request, and stores what is sent as it is. */
static void say_encryption(struct check *check, const struct http_response *response)
{
    static const char *const names[] = {"none", "s3", "kms", "customer"};
    enum s3_encryption sse = check->repository->settings->s3.sse;
    const char *told = http_header(response, sse == S3_ENCRYPTION_CUSTOMER
                                                 ? "x-amz-server-side-encryption-customer-algorithm"
                                                 : "x-amz-server-side-encryption");

    if (sse == S3_ENCRYPTION_NONE)
        return;
    if (told != NULL && fits(sse, told))
        check_say(check, FINDING_OK, "the store says that it encrypts, as sse = %s asks (%.40s)", names[sse],
                  told);
    else
        check_say(
            check, FINDING_FAILURE,
            "sse = %s is set, but the store does not say that it encrypts%s%.40s%s: what is stored may lie "
            "there %s",
            names[sse], told != NULL ? " so (\"" : "", told != NULL ? told : "", told != NULL ? "\")" : "",
            told != NULL ? "otherwise" : "as it was sent");
}

/* What cannot be begun is told where a large object is stored. */
static void check_abort(const struct bucket *bucket, const char *place)
{
    struct body nothing = {.data = "", .fd = -1};
    unsigned char random[8] = {0};
    char hex[17], *id = NULL, *key = NULL;
    struct s3_answer answer = {0};
    struct s3_options options;
    const char *problem;

    if (random_bytes(random, sizeof random) != 0 || sha256_of("", 0, nothing.sha256) != 0 ||
        s3_options_open(&options, bucket->check->repository->settings) != 0)
        return; /* open leaves no key behind when it fails */
    hex_encode(random, sizeof random, hex);
    key = string_printf("%sprobe-%s", place, hex);
    struct s3_request begin = {
        .verb = "begin the upload of", .object = key, .method = "POST", .key = key, .body = &nothing};
    s3_request_query(&begin, "uploads", "");
    s3_options_add(&options, &begin, S3_USE_CREATE, "probe"); /* the bucket may demand encryption */
    if (key == NULL || s3_perform(bucket->client, &begin, &answer) != S3_SUCCEEDED ||
        xml_parse(answer.response.body.data, answer.response.body.length, take_id, &id, &problem) != 0 ||
        id == NULL)
        goto done;
    say_encryption(bucket->check, &answer.response);
    struct s3_request end = {.verb = "abort the upload of", .object = key, .method = "DELETE", .key = key};
    s3_request_query(&end, "uploadId", id);
    if (s3_perform(bucket->client, &end, &answer) == S3_SUCCEEDED)
        check_say(bucket->check, FINDING_OK, "an upload that is not completed can be given up");
    else
        check_say(bucket->check, FINDING_NOTE,
                  "an upload cannot be given up (s3:AbortMultipartUpload): what failed is paid for until a "
                  "lifecycle rule removes it. Left behind: upload \"%s\" of \"%s\"",
                  id, key);
done:
    s3_options_wipe(&options);
    s3_answer_free(&answer);
    free(id);
    free(key);
}

/* --- all of it
 * ----------------------------------------------------------------------------------------------------- */

static void tell(void *context, const char *text)
{
    check_say(context, FINDING_NOTE, "%s", text);
}

void check_bucket(struct check *check)
{
    const struct repository_config *settings = check->repository->settings;
    struct bucket bucket = {check, NULL};
    char *place = string_printf("%s%s%s/", settings->path, settings->path[0] != '\0' ? "/" : "",
                                check->repository->config->cluster_name);

    config_s3_advise(settings, tell, check);
    if (place != NULL && (bucket.client = s3_client_open(settings)) != NULL) {
        s3_client_set_limits(bucket.client, CHECK_REQUEST_SECONDS, check->deadline);
        check_lock(&bucket);
        check_lifecycle(&bucket, place);
        if (!check->reads_only)
            check_abort(&bucket, place);
    }
    s3_client_close(bucket.client);
    free(place);
}
