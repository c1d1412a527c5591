#include "config.h"

#include "buffer.h"
#include "config_check.h"
#include "config_keys.h"
#include "config_s3.h"
#include "file.h"
#include "log.h"

#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_MOST_BYTES (1024 * 1024)
#define LINE_MOST_BYTES 8000
#define ORPHAN_AGE_SECONDS (7u * 86400)
#define SECTION_MOST_BYTES 49 /* inih cuts longer ones silently */

struct loading {
    struct config *config;
    struct config_seen seen;               /* of the sections that are there once */
    struct config_seen *repositories_seen; /* of each repository */
    char *problem;                         /* of the first wrong line; the line's number comes from inih */
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
    struct config_seen *seen = realloc(loading->repositories_seen, (count + 1) * sizeof *seen);
    if (seen == NULL) {
        log_out_of_memory();
        return NULL;
    }
    loading->repositories_seen = seen;
    seen[count] = (struct config_seen){{false}};
    repositories[count] = (struct repository_config){.tls_verify = true,
                                                     .required = true,
                                                     .connect_timeout_seconds = 5,
                                                     .request_timeout_seconds = 60,
                                                     .retention.orphan_age_seconds = ORPHAN_AGE_SECONDS,
                                                     .name = string_copy(name)};
    if (repositories[count].name == NULL)
        return NULL;
    config->repository_count++;
    return &repositories[count];
}

static int add_check(struct loading *loading, const char *name, const char *value)
{
    struct drill_settings *drill = &loading->config->drill;
    struct drill_check *check = &drill->checks[drill->check_count];

    if (*name == '\0' || drill->check_count == DRILL_CHECKS_MOST)
        return problem(loading, *name == '\0' ? string_copy("\"check.\" needs a name")
                                              : string_printf("there may be %d keys check.NAME, not more",
                                                              DRILL_CHECKS_MOST));
    for (size_t i = 0; i < drill->check_count; i++)
        if (strcmp(drill->checks[i].name, name) == 0)
            return problem(loading,
                           string_printf("key \"check.%s\" is given twice in section [drill]", name));
    *check = (struct drill_check){string_copy(name), string_copy(value)};
    drill->check_count++; /* freed with the others */
    return check->name != NULL && check->value != NULL;
}

static int handle_line(void *user, const char *section, const char *name, const char *value)
{
    struct loading *loading = user;
    const char *known_section = section;
    struct config_seen *seen = &loading->seen;
    void *base = loading->config;

    if (strncmp(section, "repository ", 11) == 0) {
        const char *repository_name = section + 11 + strspn(section + 11, " ");
        struct repository_config *repository = find_repository(loading->config, repository_name);
        if (repository == NULL)
            repository = add_repository(loading, repository_name);
        if (repository == NULL)
            return 0;
        seen = &loading->repositories_seen[repository - loading->config->repositories];
        base = repository;
        known_section = "repository";
    }
    if (strcmp(section, "drill") == 0 && strncmp(name, "check.", 6) == 0)
        return add_check(loading, name + 6, value);
    if (base != loading->config && strncmp(name, "header.", 7) == 0)
        return config_s3_add_header(base, name + 7, value, &loading->problem) == 0;
    const struct config_key *key = config_key_find(known_section, name);
    if (key == NULL && *section == '\0')
        return problem(loading, string_printf("\"%s\" stands before the first [section]", name));
    if (key == NULL)
        return problem(loading, string_printf("unknown key \"%s\" in section [%s]", name, section));
    if (!config_key_see(seen, key))
        return problem(loading, string_printf("key \"%s\" is given twice in section [%s]", name, section));
    return config_key_set(key, base, value, &loading->problem) == 0;
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
        if (bracket != NULL && !config_section_is_known(start + 1, (size_t)(bracket - start - 1))) {
            int shown = (int)(bracket - start + 1);
            log_error("configuration file \"%s\", line %u: unknown section %.*s", path, number, shown, start);
            log_hint("Sections are [cluster], [repository NAME], [compression], [wal-push], [wal-fetch], "
                     "[basebackup], [drill], [dump], [status] and [hooks]; see walferry.conf(5).");
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
                              .basebackup_store_timeout_seconds = 300,
                              .drill.timeout_seconds = 86400,
                              .dump_lock_timeout_seconds = 1800,
                              .hook_timeout_seconds = 60,
                              .status = {.backup_age_seconds = 26 * 3600,
                                         .wal_age_seconds = 900,
                                         .verify_age_seconds = 8 * 86400,
                                         .drill_age_seconds = 35 * 86400,
                                         .disk_free_percent = 10,
                                         .timeout_seconds = 30}};
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
    if (read_text(option_path, config, &text) == 0 && check_lines(&text, config->path) == 0 &&
        parse_text(&text, &loading) == 0)
        result = config_check(config, loading.repositories_seen);
    buffer_wipe(&text);
    free(loading.problem);
    free(loading.repositories_seen);
    if (result != 0)
        config_free(config);
    return result;
}

static void repository_free(struct repository_config *repository)
{
    config_keys_free(repository, true);
    for (unsigned i = 0; i < repository->s3.extra_count; i++) {
        free(repository->s3.extra[i].name);
        explicit_bzero(repository->s3.extra[i].value, strlen(repository->s3.extra[i].value));
        free(repository->s3.extra[i].value);
    }
    free(repository->name);
    free(repository->path);
    free(repository->bucket);
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->repository_count; i++)
        repository_free(&config->repositories[i]);
    config_keys_free(config, false);
    for (size_t i = 0; i < config->drill.check_count; i++) {
        free(config->drill.checks[i].name);
        free(config->drill.checks[i].value);
    }
    free(config->repositories);
    free(config->path);
    *config = (struct config){0};
}

bool retention_policy_is_given_for_dumps(const struct retention_policy *policy)
{
    return policy->keep_dumps != 0 || policy->keep_dumps_for_seconds != 0 || policy->keep_dumps_monthly != 0;
}

bool retention_policy_is_given(const struct retention_policy *policy)
{
    return policy->keep_wal_seconds != 0 || policy->keep_for_seconds != 0 || policy->keep_last != 0 ||
           policy->keep_daily != 0 || policy->keep_weekly != 0 || policy->keep_monthly != 0 ||
           policy->keep_yearly != 0;
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

int config_choose(struct config *config, const char *const *names, size_t count)
{
    size_t left = 0;

    for (size_t i = 0; i < count; i++)
        if (config_repository(config, names[i]) == NULL)
            return -1;
    for (size_t i = 0; i < count; i++)
        for (size_t k = left; k < config->repository_count; k++)
            if (strcmp(config->repositories[k].name, names[i]) == 0) {
                struct repository_config chosen = config->repositories[k];
                config->repositories[k] = config->repositories[left];
                config->repositories[left++] = chosen;
                break;
            }
    for (size_t i = left; i < config->repository_count; i++)
        repository_free(&config->repositories[i]);
    config->repository_count = left;
    return 0;
}
