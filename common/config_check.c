#include "config_check.h"

#include "buffer.h"
#include "command.h"
#include "config_s3.h"
#include "log.h"
#include "wal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void replace_text(char **target, const char *value)
{
    if (*target == NULL && value != NULL)
        *target = string_copy(value);
}

static bool name_is_plain(const char *name)
{
    if (*name == '\0' || *name == '.' || strlen(name) > 64)
        return false;
    for (; *name != '\0'; name++)
        if (!isalnum((unsigned char)*name) && strchr("._-", *name) == NULL)
            return false;
    return true;
}

/* Cuts slashes at the end; a path keeps its first. */
static void cut_slashes(char *text)
{
    size_t length = strlen(text);

    while (length > 1 && text[length - 1] == '/')
        text[--length] = '\0';
}

static int check_file_url(struct repository_config *repository, const char *place)
{
    const char *path = repository->url + strlen("file://");

    if (*path != '/' || strstr(path, "/../") != NULL) {
        log_error(
            "%s: the url of a directory is file:// and an absolute path, as in file:///var/backups/walferry",
            place);
        return -1;
    }
    repository->kind = REPOSITORY_FILE;
    repository->path = string_copy(path);
    if (repository->path == NULL)
        return -1;
    cut_slashes(repository->path);
    return 0;
}

static bool key_characters_are_safe(const char *text)
{
    for (; *text != '\0'; text++)
        if (!isalnum((unsigned char)*text) && strchr("._-+/=@", *text) == NULL)
            return false;
    return true;
}

static bool is_http_url(const char *text)
{
    return strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0;
}

/* What goes together, of the keys that say where credentials come from, and what can be sent. */
static int check_credentials(struct repository_config *repository, const char *place)
{
    if ((repository->access_key == NULL) != (repository->secret_key == NULL)) {
        log_error("%s: access_key and secret_key go together", place);
        return -1;
    }
    if (repository->credentials == CREDENTIALS_CONFIG && repository->access_key == NULL) {
        log_error("%s: credentials = config needs access_key and secret_key", place);
        return -1;
    }
    if (repository->role_arn == NULL &&
        (repository->external_id != NULL || repository->web_identity_token_file != NULL ||
         repository->role_duration_seconds != 0)) {
        log_error("%s: %s has no effect without role_arn", place,
                  repository->external_id != NULL               ? "external_id"
                  : repository->web_identity_token_file != NULL ? "web_identity_token_file"
                                                                : "role_duration");
        return -1;
    }
    if (repository->web_identity_token_file != NULL && repository->external_id != NULL) {
        log_error("%s: external_id has no effect with web_identity_token_file", place);
        return -1;
    }
    if (repository->web_identity_token_file != NULL && repository->credentials != CREDENTIALS_AUTO &&
        repository->credentials != CREDENTIALS_WEB_IDENTITY) {
        log_error("%s: web_identity_token_file is for credentials = web_identity or auto", place);
        return -1;
    }
    if (repository->sts_endpoint != NULL && !is_http_url(repository->sts_endpoint)) {
        log_error("%s: sts_endpoint must begin with https:// (or http://), not \"%s\"", place,
                  repository->sts_endpoint);
        return -1;
    }
    if (repository->sts_endpoint != NULL)
        cut_slashes(repository->sts_endpoint);
    /* it may hold a password: it is not shown */
    if (repository->proxy != NULL && strcmp(repository->proxy, "none") == 0)
        *repository->proxy = '\0';
    if (repository->proxy != NULL && *repository->proxy != '\0' && !is_http_url(repository->proxy)) {
        log_error("%s: proxy must be none, or begin with http:// or https://", place);
        return -1;
    }
    if (!repository->tls_verify) {
        log_warning("%s: tls_verify = no: whoever is on the way can read and change what is sent, and take "
                    "the keys' place",
                    place);
        log_hint("Name the certificate of the store's authority with ca_file instead.");
    }
    return 0;
}

static int check_s3_url(struct repository_config *repository, const char *place)
{
    const char *bucket = repository->url + strlen("s3://");
    size_t bucket_length = strcspn(bucket, "/");
    const char *prefix = bucket + bucket_length + strspn(bucket + bucket_length, "/");

    repository->kind = REPOSITORY_S3;
    if (bucket_length < 3 || bucket_length > 63) {
        log_error("%s: the url needs a bucket's name of 3 to 63 characters, as in s3://my-bucket/prefix",
                  place);
        return -1;
    }
    if (!key_characters_are_safe(repository->url + strlen("s3://")) || strstr(prefix, "//") != NULL) {
        log_error("%s: bucket and prefix may hold letters, digits and ._-+=@/ only, and no empty component",
                  place);
        return -1;
    }
    repository->bucket = string_printf("%.*s", (int)bucket_length, bucket);
    repository->path = string_copy(prefix);
    if (repository->bucket == NULL || repository->path == NULL)
        return -1;
    size_t length = strlen(repository->path);
    while (length > 0 && repository->path[length - 1] == '/')
        repository->path[--length] = '\0';
    if (repository->endpoint != NULL && !is_http_url(repository->endpoint)) {
        log_error("%s: endpoint must begin with https:// (or http://), not \"%s\"", place,
                  repository->endpoint);
        return -1;
    }
    if (repository->endpoint != NULL)
        cut_slashes(repository->endpoint);
    if (check_credentials(repository, place) != 0)
        return -1;
    replace_text(&repository->region, getenv("AWS_REGION"));
    replace_text(&repository->region, getenv("AWS_DEFAULT_REGION"));
    repository->region_is_default = repository->region == NULL;
    replace_text(&repository->region, "us-east-1");
    return repository->region == NULL ? -1 : 0;
}

/* level: 0 if it was not given; then the codec's usual one. The range depends on the codec, which may stand
 * behind it, or elsewhere. 0, or -1 after logging. */
static int check_level(const char *place, struct compression *compression)
{
    struct codec_levels levels = codec_levels(compression->codec);

    if (compression->level == 0)
        compression->level = levels.usual;
    if (compression->level >= levels.least && compression->level <= levels.most)
        return 0;
    if (levels.most == 0)
        log_error("%s: there is no level with codec %s", place, codec_name(compression->codec));
    else
        log_error("%s: level must be %d to %d with codec %s, not %d", place, levels.least, levels.most,
                  codec_name(compression->codec), compression->level);
    return -1;
}

/* What a repository does not say holds as [compression] says it; its level only for the same codec. */
static int check_repository_compression(const struct config *config, struct repository_config *repository,
                                        const struct config_seen *seen, const char *place)
{
    struct compression *compression = &repository->compression;

    if (!config_key_was_seen(seen, "repository", "codec"))
        compression->codec = config->compression.codec;
    if (compression->level == 0 && compression->codec == config->compression.codec)
        compression->level = config->compression.level;
    return check_level(place, compression);
}

static int check_compression(struct config *config)
{
    char *place = string_printf("configuration file \"%s\", section [compression]", config->path);
    int result = place == NULL ? -1 : check_level(place, &config->compression);

    free(place);
    return result;
}

/* Rules of which one could never take effect are a slip of who wrote them. */
static int check_retention(const struct retention_policy *policy, const struct config_seen *seen,
                           const char *place)
{
    if (policy->keep_for_seconds != 0 && policy->keep_for_seconds < policy->keep_wal_seconds) {
        log_error("%s: keep_for is shorter than keep_wal, within which backups are kept anyway", place);
        log_hint("Leave keep_for out, or make it at least as long as keep_wal.");
        return -1;
    }
    if (config_key_was_seen(seen, "repository", "orphan_age") && !retention_policy_is_given(policy) &&
        !retention_policy_is_given_for_dumps(policy)) {
        log_error("%s: orphan_age has no effect without a retention policy", place);
        log_hint(
            "Nothing expires, and nothing is cleaned up, unless keep_wal, keep_for, keep_last, keep_daily, "
            "keep_weekly, keep_monthly or keep_yearly is given; of dumps keep_dumps, keep_dumps_for or "
            "keep_dumps_monthly.");
        return -1;
    }
    return 0;
}

static int check_encryption(const struct repository_config *repository, const char *place)
{
    const char *next = repository->encryption_key_file;

    while (next != NULL) {
        if (*next != '/') {
            log_error("%s: encryption_key_file must be an absolute path, or several, parted by commas",
                      place);
            return -1;
        }
        next = strchr(next, ',');
        next = next == NULL ? NULL : next + 1 + strspn(next + 1, " \t");
    }
    if (repository->key_command != NULL && repository->encryption_key_file == NULL) {
        log_error("%s: key_command needs an encryption_key_file, where repository-key unlock leaves the key",
                  place);
        return -1;
    }
    return 0;
}

static int check_repository(const struct config *config, struct repository_config *repository,
                            const struct config_seen *seen)
{
    char *place =
        string_printf("configuration file \"%s\", section [repository %s]", config->path, repository->name);
    int result = -1;

    if (place == NULL)
        return -1;
    if (!name_is_plain(repository->name))
        log_error("%s: the name may hold letters, digits and ._- only", place);
    else if (repository->url == NULL)
        log_error("%s: the key \"url\" is missing", place);
    else if (strncmp(repository->url, "file://", 7) == 0)
        result = check_file_url(repository, place);
    else if (strncmp(repository->url, "s3://", 5) == 0)
        result = check_s3_url(repository, place);
    else
        log_error("%s: url must begin with file:// or s3://, not \"%s\"", place, repository->url);
    if (!config_key_was_seen(seen, "repository", "addressing"))
        repository->path_style = repository->endpoint != NULL;
    if (result == 0)
        result = check_repository_compression(config, repository, seen, place);
    if (result == 0)
        result = config_s3_check(repository, seen, place);
    if (result == 0)
        result = check_retention(&repository->retention, seen, place);
    if (result == 0)
        result = check_encryption(repository, place);
    free(place);
    return result;
}

static bool is_inside(const char *path, const char *directory)
{
    size_t length = directory == NULL ? 0 : strlen(directory);

    return length > 0 && strncmp(path, directory, length) == 0 &&
           (path[length] == '/' || path[length] == '\0');
}

static int check_cluster(struct config *config)
{
    if (config->cluster_name == NULL || !name_is_plain(config->cluster_name)) {
        log_error("configuration file \"%s\": [cluster] name is %s", config->path,
                  config->cluster_name == NULL ? "missing" : "to hold letters, digits and ._- only");
        return -1;
    }
    if (config->pgdata != NULL) {
        if (*config->pgdata != '/') {
            log_error("configuration file \"%s\": [cluster] pgdata must be an absolute path", config->path);
            return -1;
        }
        cut_slashes(config->pgdata);
    }
    if (config->state_dir == NULL)
        config->state_dir = string_printf("/var/lib/walferry/%s", config->cluster_name);
    replace_text(&config->conninfo, "");
    if (config->state_dir == NULL || config->conninfo == NULL)
        return -1;
    cut_slashes(config->state_dir);
    if (*config->state_dir != '/' || is_inside(config->state_dir, config->pgdata)) {
        log_error("configuration file \"%s\": [cluster] state_dir must be an absolute path outside pgdata",
                  config->path);
        return -1;
    }
    if (config->wal_fetch_end_at != NULL && wal_name_parse(config->wal_fetch_end_at).kind != WAL_SEGMENT) {
        log_error(
            "configuration file \"%s\": [wal-fetch] end_at must be the name of a WAL segment (24 hex digits)",
            config->path);
        return -1;
    }
    return 0;
}

/* What a drill leaves is removed with all that is in it. */
static int check_drill(struct config *config)
{
    char *paths[] = {config->drill.scratch, config->drill.pg_bin};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (paths[i] == NULL)
            continue;
        cut_slashes(paths[i]);
        if (*paths[i] != '/' || (i == 0 && is_inside(paths[i], config->pgdata))) {
            log_error("configuration file \"%s\": [drill] %s must be an absolute path%s", config->path,
                      i == 0 ? "scratch" : "pg_bin", i == 0 ? " outside pgdata" : "");
            return -1;
        }
    }
    return 0;
}

/* Else programs of whatever directory somebody stands in are run. */
static int check_dump(struct config *config)
{
    if (config->dump_pg_bin == NULL)
        return 0;
    cut_slashes(config->dump_pg_bin);
    if (*config->dump_pg_bin == '/')
        return 0;
    log_error("configuration file \"%s\": [dump] pg_bin must be an absolute path", config->path);
    return -1;
}

/* Not at the end of a night's backup. */
static int check_hook(const struct config *config, const char *name, const char *line)
{
    char *words[COMMAND_WORDS_MOST + 1], *memory = NULL;
    const char *problem;
    int result = 0;

    if (line != NULL && command_split(line, &memory, words, &problem) < 0) {
        log_error("configuration file \"%s\": [hooks] %s is no command: %s", config->path, name, problem);
        log_hint("It is run without a shell: a program and its arguments.");
        result = -1;
    }
    free(memory);
    return result;
}

int config_check(struct config *config, const struct config_seen *repositories_seen)
{
    if (check_cluster(config) != 0 || check_compression(config) != 0 || check_drill(config) != 0 ||
        check_dump(config) != 0 || check_hook(config, "on_success", config->hook_on_success) != 0 ||
        check_hook(config, "on_failure", config->hook_on_failure) != 0)
        return -1;
    if (config->repository_count == 0) {
        log_error("configuration file \"%s\" has no section [repository NAME]", config->path);
        return -1;
    }
    for (size_t i = 0; i < config->repository_count; i++)
        config->repositories[i].state_dir = config->state_dir;
    for (size_t i = 0; i < config->repository_count; i++)
        if (check_repository(config, &config->repositories[i], &repositories_seen[i]) != 0)
            return -1;
    return 0;
}
