#include "config.h"

#include "buffer.h"
#include "file.h"
#include "log.h"
#include "wal.h"

#include <ctype.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define CONFIG_MOST_BYTES (1024 * 1024)
#define LINE_MOST_BYTES 8000
#define SECTION_MOST_BYTES 49 /* inih cuts longer ones silently */

enum value_kind {
    VALUE_TEXT,
    VALUE_NUMBER,
    VALUE_BYTES,
    VALUE_SWITCH,
    VALUE_CHOICE,
    VALUE_CODEC,
    VALUE_PRIORITY
};

struct key {
    const char *section; /* "repository" stands for every [repository NAME] */
    const char *name;
    enum value_kind kind;
    size_t offset;        /* in struct config, or struct repository_config */
    unsigned least, most; /* of a number; in bytes the least is in MiB */
    const char *no, *yes; /* the two words of a choice */
};

#define CONFIG(member) offsetof(struct config, member)
#define REPOSITORY(member) offsetof(struct repository_config, member)

static const struct key keys[] = {
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
    {"repository", "url", VALUE_TEXT, REPOSITORY(url), 0, 0, NULL, NULL},
    {"repository", "region", VALUE_TEXT, REPOSITORY(region), 0, 0, NULL, NULL},
    {"repository", "endpoint", VALUE_TEXT, REPOSITORY(endpoint), 0, 0, NULL, NULL},
    {"repository", "addressing", VALUE_CHOICE, REPOSITORY(path_style), 0, 0, "virtual", "path"},
    {"repository", "ca_file", VALUE_TEXT, REPOSITORY(ca_file), 0, 0, NULL, NULL},
    {"repository", "tls_verify", VALUE_SWITCH, REPOSITORY(tls_verify), 0, 0, NULL, NULL},
    {"repository", "access_key", VALUE_TEXT, REPOSITORY(access_key), 0, 0, NULL, NULL},
    {"repository", "secret_key", VALUE_TEXT, REPOSITORY(secret_key), 0, 0, NULL, NULL},
    {"repository", "session_token", VALUE_TEXT, REPOSITORY(session_token), 0, 0, NULL, NULL},
    {"repository", "credentials_file", VALUE_TEXT, REPOSITORY(credentials_file), 0, 0, NULL, NULL},
    {"repository", "profile", VALUE_TEXT, REPOSITORY(profile), 0, 0, NULL, NULL},
    {"repository", "connect_timeout", VALUE_NUMBER, REPOSITORY(connect_timeout_seconds), 1, 600, NULL, NULL},
    {"repository", "request_timeout", VALUE_NUMBER, REPOSITORY(request_timeout_seconds), 1, 3600, NULL, NULL},
    {"repository", "required", VALUE_SWITCH, REPOSITORY(required), 0, 0, NULL, NULL},
    {"repository", "codec", VALUE_CODEC, REPOSITORY(compression.codec), 0, 0, NULL, NULL},
    {"repository", "level", VALUE_NUMBER, REPOSITORY(compression.level), 1, 19, NULL, NULL},
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

struct loading {
    struct config *config;
    bool seen[KEY_COUNT];               /* of the sections that are there once */
    bool (*repository_seen)[KEY_COUNT]; /* of each repository */
    char *problem;                      /* of the first wrong line; the line's number comes from inih */
};

static int problem(struct loading *loading, char *text)
{
    loading->problem = text; /* inih stops at the first */
    return 0;
}

static struct repository_config *find_repository(struct config *config, const char *name)
{
    for (size_t i = 0; i < config->repository_count; i++)
        if (strcmp(config->repositories[i].name, name) == 0)
            return &config->repositories[i];
    return NULL;
}

static struct repository_config *add_repository(struct loading *loading, const char *name)
{
    struct config *config = loading->config;
    size_t count = config->repository_count;
    struct repository_config *repositories =
        realloc(config->repositories, (count + 1) * sizeof *repositories);

    if (repositories == NULL) {
        log_out_of_memory();
        return NULL;
    }
    config->repositories = repositories;
    bool(*seen)[KEY_COUNT] = realloc(loading->repository_seen, (count + 1) * sizeof *seen);
    if (seen == NULL) {
        log_out_of_memory();
        return NULL;
    }
    loading->repository_seen = seen;
    memset(seen[count], 0, sizeof seen[count]);
    repositories[count] = (struct repository_config){.tls_verify = true,
                                                     .required = true,
                                                     .connect_timeout_seconds = 5,
                                                     .request_timeout_seconds = 60,
                                                     .name = string_copy(name)};
    if (repositories[count].name == NULL)
        return NULL;
    config->repository_count++;
    return &repositories[count];
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

static bool parse_number(const struct key *key, const char *text, unsigned *value)
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

/* 1, or 0 with the problem told: inih's convention for a handler. */
static int set_value(struct loading *loading, const struct key *key, void *base, const char *value)
{
    void *member = (char *)base + key->offset;

    switch (key->kind) {
    case VALUE_TEXT: {
        char *copy = string_copy(value);
        if (copy == NULL)
            return 0;
        free(*(char **)member);
        *(char **)member = copy;
        return 1;
    }
    case VALUE_NUMBER:
        if (parse_number(key, value, member))
            return 1;
        return problem(loading, string_printf("\"%s\" must be a whole number from %u to %u, not \"%s\"",
                                              key->name, key->least, key->most, value));
    case VALUE_BYTES:
        if (config_bytes_parse(value, member) && *(uint64_t *)member >= (uint64_t)key->least << 20)
            return 1;
        if (key->least > 0)
            return problem(
                loading, string_printf("\"%s\" must be at least %uMB, with its unit (kB, MB, GB), not \"%s\"",
                                       key->name, key->least, value));
        return problem(loading, string_printf("\"%s\" must be 0, or a whole number with a unit (kB, MB, GB), "
                                              "not \"%s\"",
                                              key->name, value));
    case VALUE_SWITCH:
        if (parse_switch(value, member))
            return 1;
        return problem(loading, string_printf("\"%s\" must be yes or no, not \"%s\"", key->name, value));
    case VALUE_CODEC:
        if (codec_by_name(value, member))
            return 1;
        return problem(loading,
                       string_printf("\"%s\" must be lz4, zstd or none, not \"%s\"", key->name, value));
    case VALUE_PRIORITY:
        if (parse_priority(value, member))
            return 1;
        return problem(loading,
                       string_printf("\"%s\" must be normal, low or idle, not \"%s\"", key->name, value));
    case VALUE_CHOICE:
        break;
    }
    *(bool *)member = strcmp(value, key->yes) == 0;
    if (*(bool *)member || strcmp(value, key->no) == 0)
        return 1;
    return problem(loading,
                   string_printf("\"%s\" must be %s or %s, not \"%s\"", key->name, key->yes, key->no, value));
}

static const struct key *find_key(const char *section, const char *name)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

static bool section_is_known(const char *section, size_t length)
{
    if (length > strlen("repository ") && strncmp(section, "repository ", strlen("repository ")) == 0)
        return true;
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (strlen(keys[i].section) == length && strncmp(section, keys[i].section, length) == 0)
            return strcmp(keys[i].section, "repository") != 0;
    return false;
}

static int handle_line(void *user, const char *section, const char *name, const char *value)
{
    struct loading *loading = user;
    struct repository_config *repository = NULL;
    const char *known_section = section;
    bool *seen = loading->seen;

    if (strncmp(section, "repository ", 11) == 0) {
        const char *repository_name = section + 11 + strspn(section + 11, " ");
        repository = find_repository(loading->config, repository_name);
        if (repository == NULL)
            repository = add_repository(loading, repository_name);
        if (repository == NULL)
            return 0;
        seen = loading->repository_seen[repository - loading->config->repositories];
        known_section = "repository";
    }
    const struct key *key = find_key(known_section, name);
    if (key == NULL && *section == '\0')
        return problem(loading, string_printf("\"%s\" stands before the first [section]", name));
    if (key == NULL)
        return problem(loading, string_printf("unknown key \"%s\" in section [%s]", name, section));
    if (seen[key - keys])
        return problem(loading, string_printf("key \"%s\" is given twice in section [%s]", name, section));
    seen[key - keys] = true;
    return set_value(loading, key, repository == NULL ? (void *)loading->config : (void *)repository, value);
}

/* What inih would swallow silently: long lines and section names, zero bytes, unknown sections without a key.
 */
static int check_lines(const struct buffer *text, const char *path)
{
    const char *line = buffer_string(text);
    unsigned number = 1;

    if (strlen(line) != text->length) {
        log_error("configuration file \"%s\" holds a zero byte", path);
        return -1;
    }
    while (*line != '\0') {
        size_t length = strcspn(line, "\n");
        const char *start = line + strspn(line, " \t");
        const char *bracket = *start == '[' ? memchr(start, ']', length - (size_t)(start - line)) : NULL;
        if (length > LINE_MOST_BYTES || (bracket != NULL && bracket - start - 1 > SECTION_MOST_BYTES)) {
            log_error("configuration file \"%s\", line %u is too long", path, number);
            return -1;
        }
        if (bracket != NULL && !section_is_known(start + 1, (size_t)(bracket - start - 1))) {
            int shown = (int)(bracket - start + 1);
            log_error("configuration file \"%s\", line %u: unknown section %.*s", path, number, shown, start);
            log_hint("Sections are [cluster], [repository NAME], [compression], [wal-push], [wal-fetch] and "
                     "[basebackup]; see walferry.conf(5).");
            return -1;
        }
        line += length + (line[length] == '\n');
        number++;
    }
    return 0;
}

static int parse_text(const struct buffer *text, struct loading *loading)
{
    ini_use_stack = false;
    ini_max_line = LINE_MOST_BYTES + 8;
    ini_initial_alloc = LINE_MOST_BYTES + 8;
    ini_allow_multiline = false;
    ini_stop_on_first_error = true;
    int line = ini_parse_string(buffer_string(text), handle_line, loading);

    if (line == 0)
        return 0;
    if (line < 0)
        return log_out_of_memory();
    log_error("configuration file \"%s\", line %d: %s", loading->config->path, line,
              loading->problem != NULL ? loading->problem : "not of the form key = value or [section]");
    log_hint("The keys and their meaning are in walferry.conf(5).");
    return -1;
}

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
    if (repository->endpoint != NULL && strncmp(repository->endpoint, "https://", 8) != 0 &&
        strncmp(repository->endpoint, "http://", 7) != 0) {
        log_error("%s: endpoint must begin with https:// (or http://), not \"%s\"", place,
                  repository->endpoint);
        return -1;
    }
    if (repository->endpoint != NULL)
        cut_slashes(repository->endpoint);
    if ((repository->access_key == NULL) != (repository->secret_key == NULL)) {
        log_error("%s: access_key and secret_key go together", place);
        return -1;
    }
    replace_text(&repository->region, getenv("AWS_REGION"));
    replace_text(&repository->region, getenv("AWS_DEFAULT_REGION"));
    replace_text(&repository->region, "us-east-1");
    return repository->region == NULL ? -1 : 0;
}

static bool was_seen(const bool *seen, const char *section, const char *name)
{
    return seen[find_key(section, name) - keys];
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
                                        const bool *seen, const char *place)
{
    struct compression *compression = &repository->compression;

    if (!was_seen(seen, "repository", "codec"))
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

static int check_repository(const struct loading *loading, struct repository_config *repository,
                            const bool *seen)
{
    char *place = string_printf("configuration file \"%s\", section [repository %s]", loading->config->path,
                                repository->name);
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
    if (!was_seen(seen, "repository", "addressing"))
        repository->path_style = repository->endpoint != NULL;
    if (result == 0)
        result = check_repository_compression(loading->config, repository, seen, place);
    free(place);
    return result;
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
    size_t length = config->pgdata == NULL ? 0 : strlen(config->pgdata);
    if (*config->state_dir != '/' ||
        (length > 0 && strncmp(config->state_dir, config->pgdata, length) == 0 &&
         (config->state_dir[length] == '/' || config->state_dir[length] == '\0'))) {
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

static void set_defaults(struct config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    *config = (struct config){.wal_push_timeout_seconds = 15,
                              .wal_push_ahead = 128,
                              .wal_push_parallel = 4,
                              .wal_fetch_timeout_seconds = 60,
                              .wal_fetch_standby_timeout_seconds = 5,
                              .wal_fetch_history_wait_seconds = 60,
                              .wal_fetch_switch_wait_seconds = 300,
                              .wal_fetch_hole_wait_seconds = 10,
                              .wal_fetch_read_ahead_bytes = 256u * 1024 * 1024,
                              .wal_fetch_parallel = 4,
                              .basebackup_split_bytes = 128u * 1024 * 1024,
                              .basebackup_jobs = cores < 2   ? 2
                                                 : cores > 8 ? 8
                                                             : (unsigned)cores,
                              .basebackup_wal_timeout_seconds = 300,
                              .basebackup_resume_age_seconds = 86400,
                              .basebackup_store_timeout_seconds = 300};
}

static int read_text(const char *option_path, struct config *config, struct buffer *text)
{
    const char *path = option_path;

    if (path == NULL)
        path = getenv("WALFERRY_CONFIG");
    if (path == NULL || *path == '\0')
        path = CONFIG_DEFAULT_PATH;
    /* Absolute, but links are not resolved: a Kubernetes Secret is links into a dated folder that rotation
     * removes. */
    char *directory = *path == '/' ? string_copy("/") : getcwd(NULL, 0);
    config->path = directory == NULL ? NULL : path_join(directory, path);
    free(directory);
    if (config->path == NULL)
        return -1;
    enum file_result result = file_read_private(path, CONFIG_MOST_BYTES, text);
    if (result == FILE_ABSENT) {
        log_error("there is no configuration file \"%s\"", path);
        log_hint(
            "Name it with --config FILE or in the environment variable WALFERRY_CONFIG; the default is %s.",
            CONFIG_DEFAULT_PATH);
    }
    return result == FILE_OK ? 0 : -1;
}

int config_load(const char *option_path, struct config *config)
{
    struct loading loading = {.config = config};
    struct buffer text = BUFFER_EMPTY;
    int result = -1;

    set_defaults(config);
    if (read_text(option_path, config, &text) != 0 || check_lines(&text, config->path) != 0 ||
        parse_text(&text, &loading) != 0 || check_cluster(config) != 0 || check_compression(config) != 0)
        goto done;
    if (config->repository_count == 0) {
        log_error("configuration file \"%s\" has no section [repository NAME]", config->path);
        goto done;
    }
    for (size_t i = 0; i < config->repository_count; i++)
        if (check_repository(&loading, &config->repositories[i], loading.repository_seen[i]) != 0)
            goto done;
    result = 0;
done:
    buffer_wipe(&text);
    free(loading.problem);
    free(loading.repository_seen);
    if (result != 0)
        config_free(config);
    return result;
}

static void wipe_text(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->repository_count; i++) {
        struct repository_config *repository = &config->repositories[i];
        free(repository->name);
        free(repository->url);
        free(repository->path);
        free(repository->bucket);
        free(repository->region);
        free(repository->endpoint);
        free(repository->ca_file);
        free(repository->credentials_file);
        free(repository->profile);
        wipe_text(repository->access_key);
        wipe_text(repository->secret_key);
        wipe_text(repository->session_token);
    }
    free(config->repositories);
    free(config->path);
    free(config->cluster_name);
    free(config->pgdata);
    free(config->conninfo);
    free(config->primary_conninfo);
    free(config->state_dir);
    free(config->wal_fetch_end_at);
    *config = (struct config){0};
}

const struct repository_config *config_repository(const struct config *config, const char *name)
{
    struct buffer names = BUFFER_EMPTY;

    for (size_t i = 0; i < config->repository_count; i++)
        if (strcmp(config->repositories[i].name, name) == 0)
            return &config->repositories[i];
    for (size_t i = 0; i < config->repository_count; i++)
        buffer_printf(&names, "%s%s", i == 0 ? "" : ", ", config->repositories[i].name);
    log_error("there is no repository \"%s\" in configuration file \"%s\"", name, config->path);
    log_hint("There is: %s.", buffer_string(&names));
    buffer_free(&names);
    return NULL;
}
