#include "config_keys.h"

#include "buffer.h"
#include "config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONFIG(member) offsetof(struct config, member)
#define REPOSITORY(member) offsetof(struct repository_config, member)

static const struct config_key keys[] = {
    {"cluster", "name", VALUE_TEXT, CONFIG(cluster_name), 0, 0, NULL, NULL},
    {"cluster", "pgdata", VALUE_TEXT, CONFIG(pgdata), 0, 0, NULL, NULL},
    {"cluster", "conninfo", VALUE_TEXT, CONFIG(conninfo), 0, 0, NULL, NULL},
    {"cluster", "primary_conninfo", VALUE_TEXT, CONFIG(primary_conninfo), 0, 0, NULL, NULL},
    {"cluster", "state_dir", VALUE_TEXT, CONFIG(state_dir), 0, 0, NULL, NULL},
    {"compression", "codec", VALUE_CODEC, CONFIG(compression.codec), 0, 0, NULL, NULL},
    {"compression", "level", VALUE_NUMBER, CONFIG(compression.level), 1, 19, NULL, NULL},
    {"wal-push", "timeout", VALUE_NUMBER, CONFIG(wal_push_timeout_seconds), 1, 3600, NULL, NULL},
    {"wal-push", "ahead", VALUE_NUMBER, CONFIG(wal_push_ahead), 0, 1024, NULL, NULL},
    {"wal-push", "parallel", VALUE_NUMBER, CONFIG(wal_push_parallel), 1, 32, NULL, NULL},
    {"wal-push", "queue_limit", VALUE_BYTES, CONFIG(wal_push_queue_limit_bytes), 0, 0, NULL, NULL},
    {"wal-push", "on_full", VALUE_CHOICE, CONFIG(wal_push_drops), 0, 0, "stop", "drop"},
    {"wal-fetch", "timeout", VALUE_NUMBER, CONFIG(wal_fetch_timeout_seconds), 1, 86400, NULL, NULL},
    {"wal-fetch", "standby_timeout", VALUE_NUMBER, CONFIG(wal_fetch_standby_timeout_seconds), 1, 3600, NULL,
     NULL},
    {"wal-fetch", "history_wait", VALUE_NUMBER, CONFIG(wal_fetch_history_wait_seconds), 0, 86400, NULL, NULL},
    {"wal-fetch", "switch_wait", VALUE_NUMBER, CONFIG(wal_fetch_switch_wait_seconds), 0, 86400, NULL, NULL},
    {"wal-fetch", "hole_wait", VALUE_NUMBER, CONFIG(wal_fetch_hole_wait_seconds), 0, 3600, NULL, NULL},
    {"wal-fetch", "end_at", VALUE_TEXT, CONFIG(wal_fetch_end_at), 0, 0, NULL, NULL},
    {"wal-fetch", "read_ahead", VALUE_BYTES, CONFIG(wal_fetch_read_ahead_bytes), 0, 0, NULL, NULL},
    {"wal-fetch", "parallel", VALUE_NUMBER, CONFIG(wal_fetch_parallel), 1, 16, NULL, NULL},
    {"basebackup", "jobs", VALUE_NUMBER, CONFIG(basebackup_jobs), 1, 256, NULL, NULL},
    {"basebackup", "wal_timeout", VALUE_NUMBER, CONFIG(basebackup_wal_timeout_seconds), 1, 604800, NULL,
     NULL},
    {"basebackup", "resume_age", VALUE_NUMBER, CONFIG(basebackup_resume_age_seconds), 0, 2592000, NULL, NULL},
    {"basebackup", "store_timeout", VALUE_NUMBER, CONFIG(basebackup_store_timeout_seconds), 1, 86400, NULL,
     NULL},
    {"basebackup", "split_size", VALUE_BYTES, CONFIG(basebackup_split_bytes), 1, 0, NULL, NULL},
    {"basebackup", "max_rate", VALUE_BYTES, CONFIG(basebackup_max_rate), 0, 0, NULL, NULL},
    {"basebackup", "priority", VALUE_PRIORITY, CONFIG(basebackup_priority), 0, 0, NULL, NULL},
    {"drill", "scratch", VALUE_TEXT, CONFIG(drill.scratch), 0, 0, NULL, NULL},
    {"drill", "pg_bin", VALUE_TEXT, CONFIG(drill.pg_bin), 0, 0, NULL, NULL},
    {"drill", "user", VALUE_TEXT, CONFIG(drill.user), 0, 0, NULL, NULL},
    {"drill", "backup", VALUE_TEXT, CONFIG(drill.backup), 0, 0, NULL, NULL},
    {"drill", "target_time", VALUE_TEXT, CONFIG(drill.target_time), 0, 0, NULL, NULL},
    {"drill", "preload", VALUE_TEXT, CONFIG(drill.preload), 0, 0, NULL, NULL},
    {"drill", "scan", VALUE_WORD, CONFIG(drill.scan), 0, 0, "relations amcheck none", NULL},
    {"drill", "max_size", VALUE_BYTES, CONFIG(drill.max_bytes), 0, 0, NULL, NULL},
    {"drill", "max_rate", VALUE_BYTES, CONFIG(drill.max_rate), 0, 0, NULL, NULL},
    {"drill", "timeout", VALUE_DURATION, CONFIG(drill.timeout_seconds), 1, 0, NULL, NULL},
    {"drill", "report", VALUE_CHOICE, CONFIG(drill.without_report), 0, 0, "yes", "no"},
    {"status", "backup_age", VALUE_DURATION, CONFIG(status.backup_age_seconds), 0, 0, NULL, NULL},
    {"status", "wal_age", VALUE_DURATION, CONFIG(status.wal_age_seconds), 0, 0, NULL, NULL},
    {"status", "verify_age", VALUE_DURATION, CONFIG(status.verify_age_seconds), 0, 0, NULL, NULL},
    {"status", "drill_age", VALUE_DURATION, CONFIG(status.drill_age_seconds), 0, 0, NULL, NULL},
    {"status", "disk_free", VALUE_NUMBER, CONFIG(status.disk_free_percent), 0, 99, NULL, NULL},
    {"status", "timeout", VALUE_NUMBER, CONFIG(status.timeout_seconds), 1, 3600, NULL, NULL},
    {"hooks", "on_success", VALUE_TEXT, CONFIG(hook_on_success), 0, 0, NULL, NULL},
    {"hooks", "on_failure", VALUE_TEXT, CONFIG(hook_on_failure), 0, 0, NULL, NULL},
    {"hooks", "timeout", VALUE_NUMBER, CONFIG(hook_timeout_seconds), 1, 3600, NULL, NULL},
    {"dump", "pg_bin", VALUE_TEXT, CONFIG(dump_pg_bin), 0, 0, NULL, NULL},
    {"dump", "lock_timeout", VALUE_DURATION, CONFIG(dump_lock_timeout_seconds), 1, 34560, NULL,
     NULL}, /* 24 days: as milliseconds it has to fit an int */
    {"dump", "stall_timeout", VALUE_NUMBER, CONFIG(dump_stall_timeout_seconds), 1, 2592000, NULL, NULL},
    {"repository", "url", VALUE_TEXT, REPOSITORY(url), 0, 0, NULL, NULL},
    {"repository", "region", VALUE_TEXT, REPOSITORY(region), 0, 0, NULL, NULL},
    {"repository", "endpoint", VALUE_TEXT, REPOSITORY(endpoint), 0, 0, NULL, NULL},
    {"repository", "addressing", VALUE_CHOICE, REPOSITORY(path_style), 0, 0, "virtual", "path"},
    {"repository", "ca_file", VALUE_TEXT, REPOSITORY(ca_file), 0, 0, NULL, NULL},
    {"repository", "tls_verify", VALUE_SWITCH, REPOSITORY(tls_verify), 0, 0, NULL, NULL},
    {"repository", "credentials", VALUE_CREDENTIALS, REPOSITORY(credentials), 0, 0, NULL, NULL},
    {"repository", "access_key", VALUE_TEXT, REPOSITORY(access_key), 0, 0, NULL, NULL},
    {"repository", "secret_key", VALUE_TEXT, REPOSITORY(secret_key), 0, 0, NULL, NULL},
    {"repository", "session_token", VALUE_TEXT, REPOSITORY(session_token), 0, 0, NULL, NULL},
    {"repository", "credentials_file", VALUE_TEXT, REPOSITORY(credentials_file), 0, 0, NULL, NULL},
    {"repository", "profile", VALUE_TEXT, REPOSITORY(profile), 0, 0, NULL, NULL},
    {"repository", "credential_process", VALUE_TEXT, REPOSITORY(credential_process), 0, 0, NULL, NULL},
    {"repository", "role_arn", VALUE_TEXT, REPOSITORY(role_arn), 0, 0, NULL, NULL},
    {"repository", "external_id", VALUE_TEXT, REPOSITORY(external_id), 0, 0, NULL, NULL},
    {"repository", "role_session_name", VALUE_TEXT, REPOSITORY(role_session_name), 0, 0, NULL, NULL},
    {"repository", "web_identity_token_file", VALUE_TEXT, REPOSITORY(web_identity_token_file), 0, 0, NULL,
     NULL},
    {"repository", "sts_endpoint", VALUE_TEXT, REPOSITORY(sts_endpoint), 0, 0, NULL, NULL},
    {"repository", "proxy", VALUE_TEXT, REPOSITORY(proxy), 0, 0, NULL, NULL},
    {"repository", "role_duration", VALUE_NUMBER, REPOSITORY(role_duration_seconds), 900, 43200, NULL, NULL},
    {"repository", "connect_timeout", VALUE_NUMBER, REPOSITORY(connect_timeout_seconds), 1, 600, NULL, NULL},
    {"repository", "request_timeout", VALUE_NUMBER, REPOSITORY(request_timeout_seconds), 1, 3600, NULL, NULL},
    {"repository", "sse", VALUE_WORD, REPOSITORY(s3.sse), 0, 0, "none s3 kms customer", NULL},
    {"repository", "sse_kms_key_id", VALUE_TEXT, REPOSITORY(s3.sse_kms_key_id), 0, 0, NULL, NULL},
    {"repository", "sse_customer_key_file", VALUE_TEXT, REPOSITORY(s3.sse_customer_key_file), 0, 0, NULL,
     NULL},
    {"repository", "storage_class", VALUE_TEXT, REPOSITORY(s3.storage_class), 0, 0, NULL, NULL},
    {"repository", "storage_class_wal", VALUE_TEXT, REPOSITORY(s3.storage_class_wal), 0, 0, NULL, NULL},
    {"repository", "tags", VALUE_TEXT, REPOSITORY(s3.tags), 0, 0, NULL, NULL},
    {"repository", "object_lock", VALUE_WORD, REPOSITORY(s3.object_lock), 0, 0, "none governance compliance",
     NULL},
    {"repository", "object_lock_days", VALUE_NUMBER, REPOSITORY(s3.object_lock_days), 1, 36500, NULL, NULL},
    {"repository", "legal_hold", VALUE_SWITCH, REPOSITORY(s3.legal_hold), 0, 0, NULL, NULL},
    {"repository", "checksum", VALUE_WORD, REPOSITORY(s3.checksum), 0, 0, "none sha256", NULL},
    {"repository", "requester_pays", VALUE_SWITCH, REPOSITORY(s3.requester_pays), 0, 0, NULL, NULL},
    {"repository", "expected_bucket_owner", VALUE_TEXT, REPOSITORY(s3.expected_bucket_owner), 0, 0, NULL,
     NULL},
    {"repository", "as_of", VALUE_TEXT, REPOSITORY(s3.as_of_text), 0, 0, NULL, NULL},
    {"repository", "required", VALUE_SWITCH, REPOSITORY(required), 0, 0, NULL, NULL},
    {"repository", "keep_wal", VALUE_DURATION, REPOSITORY(retention.keep_wal_seconds), 60, 0, NULL, NULL},
    {"repository", "keep_for", VALUE_DURATION, REPOSITORY(retention.keep_for_seconds), 60, 0, NULL, NULL},
    {"repository", "keep_last", VALUE_NUMBER, REPOSITORY(retention.keep_last), 1, 100000, NULL, NULL},
    {"repository", "keep_daily", VALUE_NUMBER, REPOSITORY(retention.keep_daily), 1, 100000, NULL, NULL},
    {"repository", "keep_weekly", VALUE_NUMBER, REPOSITORY(retention.keep_weekly), 1, 100000, NULL, NULL},
    {"repository", "keep_monthly", VALUE_NUMBER, REPOSITORY(retention.keep_monthly), 1, 100000, NULL, NULL},
    {"repository", "keep_yearly", VALUE_NUMBER, REPOSITORY(retention.keep_yearly), 1, 100000, NULL, NULL},
    {"repository", "keep_dumps", VALUE_NUMBER, REPOSITORY(retention.keep_dumps), 1, 100000, NULL, NULL},
    {"repository", "keep_dumps_for", VALUE_DURATION, REPOSITORY(retention.keep_dumps_for_seconds), 60, 0,
     NULL, NULL},
    {"repository", "keep_dumps_monthly", VALUE_NUMBER, REPOSITORY(retention.keep_dumps_monthly), 1, 100000,
     NULL, NULL},
    {"repository", "orphan_age", VALUE_DURATION, REPOSITORY(retention.orphan_age_seconds), 60, 0, NULL, NULL},
    {"repository", "encryption_key_file", VALUE_TEXT, REPOSITORY(encryption_key_file), 0, 0, NULL, NULL},
    {"repository", "key_command", VALUE_TEXT, REPOSITORY(key_command), 0, 0, NULL, NULL},
    {"repository", "codec", VALUE_CODEC, REPOSITORY(compression.codec), 0, 0, NULL, NULL},
    {"repository", "level", VALUE_NUMBER, REPOSITORY(compression.level), 1, 19, NULL, NULL},
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])
_Static_assert(KEY_COUNT <= CONFIG_KEYS_MOST, "a configuration can't note all its keys");

const struct config_key *config_key_find(const char *section, const char *name)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

bool config_key_see(struct config_seen *seen, const struct config_key *key)
{
    bool *was_seen = &seen->keys[key - keys], is_first = !*was_seen;

    *was_seen = true;
    return is_first;
}

bool config_key_was_seen(const struct config_seen *seen, const char *section, const char *name)
{
    return seen->keys[config_key_find(section, name) - keys];
}

bool config_section_is_known(const char *section, size_t length)
{
    if (length > strlen("repository ") && strncmp(section, "repository ", strlen("repository ")) == 0)
        return true;
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (strlen(keys[i].section) == length && strncmp(section, keys[i].section, length) == 0)
            return strcmp(keys[i].section, "repository") != 0;
    return false;
}

static bool parse_switch(const char *text, bool *value)
{
    if (strcasecmp(text, "yes") == 0 || strcasecmp(text, "on") == 0 || strcasecmp(text, "true") == 0)
        *value = true;
    else if (strcasecmp(text, "no") == 0 || strcasecmp(text, "off") == 0 || strcasecmp(text, "false") == 0)
        *value = false;
    else
        return false;
    return true;
}

static bool parse_number(const struct config_key *key, const char *text, unsigned *value)
{
    char *end;

    if (!isdigit((unsigned char)*text))
        return false;
    unsigned long number = strtoul(text, &end, 10);
    if (*end != '\0' || number < key->least || number > key->most)
        return false;
    *value = (unsigned)number;
    return true;
}

static bool parse_priority(const char *text, enum config_priority *value)
{
    static const char *const names[] = {"normal", "low", "idle"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            *value = (enum config_priority)i;
            return true;
        }
    return false;
}

/* words: separated by blanks; *value: which of them it is. */
static bool parse_word(const char *words, const char *text, unsigned *value)
{
    size_t length;

    for (*value = 0; *words != '\0'; ++*value) {
        length = strcspn(words, " ");
        if (strlen(text) == length && strncmp(words, text, length) == 0)
            return true;
        words += length + (words[length] == ' ');
    }
    return false;
}

bool config_bytes_parse(const char *text, uint64_t *value)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    char *end;

    if (!isdigit((unsigned char)*text) || strlen(text) > 12)
        return false;
    *value = strtoull(text, &end, 10);
    end += strspn(end, " ");
    if (*end == '\0')
        return *value == 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i]) == 0 && *value <= UINT64_MAX >> 10 * i) {
            *value <<= 10 * i;
            return true;
        }
    }
    return false;
}

bool config_duration_parse(const char *text, uint64_t *seconds)
{
    static const struct {
        const char *name;
        unsigned seconds;
    } units[] = {{"min", 60},    {"h", 3600},     {"hour", 3600},   {"hours", 3600},  {"d", 86400},
                 {"day", 86400}, {"days", 86400}, {"week", 604800}, {"weeks", 604800}};
    char *end;

    if (!isdigit((unsigned char)*text) || strlen(text) > 16)
        return false;
    unsigned long number = strtoul(text, &end, 10);
    end += strspn(end, " ");
    if (number > 1000000) /* two thousand years of days */
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].name) == 0) {
            *seconds = (uint64_t)number * units[i].seconds;
            return true;
        }
    return false;
}

static bool parse_credentials(const char *text, enum credentials_choice *value)
{
    static const char *const names[] = {"auto",   "config",  "environment", "web_identity",
                                        "shared", "process", "container",   "instance"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            *value = (enum credentials_choice)i;
            return true;
        }
    return false;
}

static int set_text(char **member, const char *value)
{
    char *copy = string_copy(value);

    if (copy == NULL)
        return -1;
    free(*member);
    *member = copy;
    return 0;
}

static char *explain(const struct config_key *key, const char *value)
{
    switch (key->kind) {
    case VALUE_NUMBER:
        return string_printf("\"%s\" must be a whole number from %u to %u, not \"%s\"", key->name, key->least,
                             key->most, value);
    case VALUE_BYTES:
        if (key->least > 0)
            return string_printf("\"%s\" must be at least %uMB, with its unit (kB, MB, GB), not \"%s\"",
                                 key->name, key->least, value);
        return string_printf("\"%s\" must be 0, or a whole number with a unit (kB, MB, GB), not \"%s\"",
                             key->name, value);
    case VALUE_DURATION:
        if (key->most > 0)
            return string_printf("\"%s\" must be a duration from %u to %u min, as in 2 hours, not \"%s\"",
                                 key->name, key->least, key->most, value);
        return string_printf(
            "\"%s\" must be a duration of at least %u min, as in 36 hours, 7 days or 2 weeks, "
            "not \"%s\"",
            key->name, key->least, value);
    case VALUE_SWITCH:
        return string_printf("\"%s\" must be yes or no, not \"%s\"", key->name, value);
    case VALUE_CODEC:
        return string_printf("\"%s\" must be lz4, zstd or none, not \"%s\"", key->name, value);
    case VALUE_CREDENTIALS:
        return string_printf("\"%s\" must be auto, config, environment, web_identity, shared, process, "
                             "container or instance, not \"%s\"",
                             key->name, value);
    case VALUE_PRIORITY:
        return string_printf("\"%s\" must be normal, low or idle, not \"%s\"", key->name, value);
    case VALUE_CHOICE:
        return string_printf("\"%s\" must be %s or %s, not \"%s\"", key->name, key->no, key->yes, value);
    case VALUE_WORD:
        return string_printf("\"%s\" must be one of: %s; not \"%s\"", key->name, key->no, value);
    case VALUE_TEXT:
        break;
    }
    return NULL;
}

static bool parse(const struct config_key *key, const char *value, void *member)
{
    switch (key->kind) {
    case VALUE_TEXT:
        return set_text(member, value) == 0;
    case VALUE_NUMBER:
        return parse_number(key, value, member);
    case VALUE_BYTES:
        return config_bytes_parse(value, member) && *(uint64_t *)member >= (uint64_t)key->least << 20;
    case VALUE_DURATION:
        return config_duration_parse(value, member) && *(uint64_t *)member >= (uint64_t)key->least * 60 &&
               (key->most == 0 || *(uint64_t *)member <= (uint64_t)key->most * 60);
    case VALUE_SWITCH:
        return parse_switch(value, member);
    case VALUE_CODEC:
        return codec_by_name(value, member);
    case VALUE_CREDENTIALS:
        return parse_credentials(value, member);
    case VALUE_PRIORITY:
        return parse_priority(value, member);
    case VALUE_WORD:
        return parse_word(key->no, value, member);
    case VALUE_CHOICE:
        *(bool *)member = strcmp(value, key->yes) == 0;
        return *(bool *)member || strcmp(value, key->no) == 0;
    }
    return false;
}

int config_key_set(const struct config_key *key, void *base, const char *value, char **problem)
{
    if (parse(key, value, (char *)base + key->offset))
        return 0;
    *problem = explain(key, value);
    return -1;
}

void config_keys_free(void *base, bool of_repository)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        char **member = (void *)((char *)base + keys[i].offset);
        if (keys[i].kind != VALUE_TEXT || (strcmp(keys[i].section, "repository") == 0) != of_repository ||
            *member == NULL)
            continue;
        explicit_bzero(*member, strlen(*member));
        free(*member);
        *member = NULL;
    }
}
