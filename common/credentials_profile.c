#include "credentials_profile.h"

#include "credentials_source.h"
#include "file.h"
#include "log.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PROFILE_FILE_BYTES_MOST (1024 * 1024)
#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

static const char *const names[PROFILE_VALUES] = {
    [PROFILE_ACCESS_KEY] = "aws_access_key_id",
    [PROFILE_SECRET_KEY] = "aws_secret_access_key",
    [PROFILE_SESSION_TOKEN] = "aws_session_token",
    [PROFILE_PROCESS] = "credential_process",
    [PROFILE_ROLE_ARN] = "role_arn",
    [PROFILE_SOURCE_PROFILE] = "source_profile",
    [PROFILE_CREDENTIAL_SOURCE] = "credential_source",
    [PROFILE_EXTERNAL_ID] = "external_id",
    [PROFILE_SESSION_NAME] = "role_session_name",
    [PROFILE_DURATION] = "duration_seconds",
    [PROFILE_TOKEN_FILE] = "web_identity_token_file",
    [PROFILE_MFA_SERIAL] = "mfa_serial",
    [PROFILE_SSO] = "sso_session",
    [PROFILE_REGION] = "region",
};

/* Cuts blanks at both ends, in place, and a comment behind a blank. */
static char *trim(char *text)
{
    char *end;

    text += strspn(text, " \t\r");
    for (end = text; *end != '\0'; end++) {
        if ((*end == ' ' || *end == '\t') && (end[1] == '#' || end[1] == ';'))
            break;
    }
    while (end > text && strchr(" \t\r", end[-1]) != NULL)
        end--;
    *end = '\0';
    return text;
}

/* The name in "[...", or NULL when it is no profile's: [sso-session x], [services x]. */
static const char *section_name(char *line, bool is_config)
{
    char *end = strchr(line, ']'), *name;

    if (end != NULL)
        *end = '\0';
    name = trim(line + 1);
    if (!is_config)
        return name;
    if (strcmp(name, "default") == 0)
        return name;
    if (strncmp(name, "profile", 7) != 0 || strchr(" \t", name[7]) == NULL || name[7] == '\0')
        return NULL;
    name = trim(name + 8);
    size_t length = strlen(name);
    if (length >= 2 && (*name == '"' || *name == '\'') && name[length - 1] == *name) {
        name[length - 1] = '\0';
        name++;
    }
    return name;
}

/* The last of a name in a file counts, in capitals or not. Returns whether lines that are indented behind it
 * belong to it. */
static bool take_line(char *line, const char *found[PROFILE_VALUES])
{
    char *equals = strchr(line, '=');
    const char *name, *value;

    if (equals == NULL)
        return false;
    *equals = '\0';
    name = trim(line);
    value = trim(equals + 1);
    if (*value == '\0')
        return true;
    if (strcasecmp(name, "sso_start_url") == 0 || strcasecmp(name, "sso_account_id") == 0)
        name = names[PROFILE_SSO];
    for (int i = 0; i < PROFILE_VALUES; i++)
        if (strcasecmp(name, names[i]) == 0)
            found[i] = value;
    return false;
}

/* Keys of two files would be no pair, and a token there that of former ones. */
static void merge(const char *const found[PROFILE_VALUES], bool is_config, struct profile *profile)
{
    bool had_keys = profile->value[PROFILE_ACCESS_KEY] != NULL || profile->value[PROFILE_SECRET_KEY] != NULL;

    for (int i = 0; i < PROFILE_VALUES; i++) {
        bool is_key = i == PROFILE_ACCESS_KEY || i == PROFILE_SECRET_KEY || i == PROFILE_SESSION_TOKEN;

        if (profile->value[i] != NULL || found[i] == NULL || (is_key && had_keys))
            continue;
        profile->value[i] = found[i];
        profile->keys_are_in_config = profile->keys_are_in_config || (is_key && is_config);
    }
}

void profile_parse(char *text, bool is_config, struct profile *profile)
{
    const char *found[PROFILE_VALUES] = {NULL};
    bool is_inside = false, is_nested = false, had_prefix = false;
    char *rest =
        strncmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0 ? text + strlen(BYTE_ORDER_MARK) : text;
    char *line;

    while ((line = strsep(&rest, "\n")) != NULL) {
        bool is_indented = *line == ' ' || *line == '\t';

        line = trim(line);
        if (*line == '[') {
            bool has_prefix = is_config && strncmp(trim(line + 1), "default", 7) != 0;
            const char *name = section_name(line, is_config);

            is_inside = name != NULL && strcmp(name, profile->name) == 0 && (has_prefix || !had_prefix);
            if (is_inside && has_prefix &&
                !had_prefix) /* [default] does not count beside [profile default] */
                memset(found, 0, sizeof found);
            had_prefix = had_prefix || (is_inside && has_prefix);
            profile->is_there = profile->is_there || is_inside;
            is_nested = false;
        } else if (is_inside && *line != '#' && *line != ';' && *line != '\0' &&
                   !(is_nested && is_indented)) {
            is_nested = take_line(line, found);
        }
    }
    merge(found, is_config, profile);
}

/* "HOME/.aws/NAME"; caller frees. NULL without a message when there is no home directory. */
static char *path_at_home(const char *name)
{
    const char *home = credentials_variable("HOME");
    char memory[4096];
    struct passwd entry, *found = NULL;
    struct stat status;

    /* a service's environment may lack HOME */
    if (home == NULL && getpwuid_r(geteuid(), &entry, memory, sizeof memory, &found) == 0 && found != NULL)
        home = found->pw_dir;
    if (home != NULL && stat(home, &status) == 0 && !S_ISDIR(status.st_mode)) /* /dev/null */
        home = NULL;
    return home != NULL ? string_printf("%s/.aws/%s", home, name) : NULL;
}

/* 0, or -1 after logging. */
static int judge_file(enum file_result result, const char *kind, const char *path, bool was_named)
{
    if (result == FILE_ABSENT && was_named)
        log_error("there is no %s file \"%s\"", kind, path);
    return result == FILE_FAILED || (result == FILE_ABSENT && was_named) ? -1 : 0;
}

static int load_config(struct profile *profile, bool was_named)
{
    bool had_secret = profile->value[PROFILE_SECRET_KEY] != NULL;
    struct buffer again = BUFFER_EMPTY;
    enum file_result result =
        file_read_owned(profile->config_path, PROFILE_FILE_BYTES_MOST, &profile->config_text);

    if (result != FILE_OK)
        return judge_file(result, "configuration", profile->config_path, was_named);
    if (profile->config_text.length > 0)
        profile_parse((char *)profile->config_text.data, true, profile);
    if (had_secret || profile->value[PROFILE_SECRET_KEY] == NULL)
        return 0;
    /* usually it holds none, and all may read it */
    result = file_read_private(profile->config_path, PROFILE_FILE_BYTES_MOST, &again);
    buffer_wipe(&again);
    return result == FILE_OK ? 0 : -1;
}

int profile_load(const struct repository_config *config, const char *name, struct profile *profile)
{
    const char *credentials_path = config->credentials_file != NULL
                                       ? config->credentials_file
                                       : credentials_variable("AWS_SHARED_CREDENTIALS_FILE");
    const char *config_path = credentials_variable("AWS_CONFIG_FILE");
    const char *wanted = name != NULL              ? name
                         : config->profile != NULL ? config->profile
                                                   : credentials_variable("AWS_PROFILE");
    enum file_result result;

    *profile = (struct profile){.name = wanted != NULL ? wanted : "default"};
    profile->was_named = wanted != NULL || credentials_path != NULL;
    profile->credentials_path =
        credentials_path != NULL ? string_copy(credentials_path) : path_at_home("credentials");
    profile->config_path = config_path != NULL ? string_copy(config_path) : path_at_home("config");
    if (profile->credentials_path != NULL) {
        result =
            file_read_private(profile->credentials_path, PROFILE_FILE_BYTES_MOST, &profile->credentials_text);
        if (judge_file(result, "credentials", profile->credentials_path, credentials_path != NULL) != 0)
            return -1;
        if (profile->credentials_text.length > 0)
            profile_parse((char *)profile->credentials_text.data, false, profile);
    }
    return profile->config_path != NULL ? load_config(profile, config_path != NULL) : 0;
}

void profile_free(struct profile *profile)
{
    buffer_wipe(&profile->credentials_text);
    buffer_wipe(&profile->config_text);
    free(profile->credentials_path);
    free(profile->config_path);
}
