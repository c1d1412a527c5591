#include "credentials.h"

#include "buffer.h"
#include "file.h"
#include "log.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CREDENTIALS_FILE_BYTES_MOST (1024 * 1024)

enum found { FOUND, NOT_HERE, FAILED };

static void wipe_string(char **text)
{
    if (*text != NULL)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

void credentials_wipe(struct credentials *credentials)
{
    if (credentials == NULL)
        return;
    wipe_string(&credentials->access_key);
    wipe_string(&credentials->secret_key);
    wipe_string(&credentials->session_token);
    free(credentials->source);
    credentials->source = NULL;
}

/* A set but empty variable counts as not set. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : NULL;
}

/* A line end that came along with a pasted or mounted secret would break the request's headers. */
static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7f)
            return false;
    return true;
}

/* credentials->source is set already. */
static enum found take(struct credentials *credentials, const char *access_key, const char *secret_key,
                       const char *session_token)
{
    if (credentials->source == NULL)
        return FAILED;
    if (!is_plain(access_key) || !is_plain(secret_key) ||
        (session_token != NULL && !is_plain(session_token))) {
        log_error("a key in %s holds a blank, a line end or another control character", credentials->source);
        return FAILED;
    }
    credentials->access_key = string_copy(access_key);
    credentials->secret_key = string_copy(secret_key);
    credentials->session_token = session_token != NULL ? string_copy(session_token) : NULL;
    if (credentials->access_key == NULL || credentials->secret_key == NULL ||
        (session_token != NULL && credentials->session_token == NULL))
        return FAILED;
    return FOUND;
}

static enum found find_in_configuration(const struct repository_config *config,
                                        struct credentials *credentials)
{
    if (config->access_key == NULL || config->secret_key == NULL)
        return NOT_HERE;
    credentials->source = string_printf("the configuration's section [repository %s]", config->name);
    return take(credentials, config->access_key, config->secret_key, config->session_token);
}

static enum found find_in_environment(const struct repository_config *config, struct credentials *credentials)
{
    const char *access_key = environment("AWS_ACCESS_KEY_ID");
    const char *secret_key = environment("AWS_SECRET_ACCESS_KEY");

    /* what the configuration names for this repository goes before what happens to be set for all */
    if (config->credentials_file != NULL || config->profile != NULL)
        return NOT_HERE;
    if (access_key == NULL && secret_key == NULL)
        return NOT_HERE;
    if (access_key == NULL || secret_key == NULL) {
        log_error("the environment has %s but not %s",
                  access_key != NULL ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                  access_key != NULL ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
        return FAILED;
    }
    credentials->source = string_copy("the environment (AWS_ACCESS_KEY_ID)");
    return take(credentials, access_key, secret_key, environment("AWS_SESSION_TOKEN"));
}

/* Caller frees. NULL without a message when there is no home directory either. */
static char *shared_file_path(const struct repository_config *config)
{
    const char *path = config->credentials_file != NULL ? config->credentials_file
                                                        : environment("AWS_SHARED_CREDENTIALS_FILE");
    const char *home = environment("HOME");
    char memory[4096];
    struct passwd entry, *found = NULL;

    if (path != NULL)
        return string_copy(path);
    /* a service's environment may lack HOME */
    if (home == NULL && getpwuid_r(geteuid(), &entry, memory, sizeof memory, &found) == 0 && found != NULL)
        home = found->pw_dir;
    return home != NULL ? string_printf("%s/.aws/credentials", home) : NULL;
}

/* Cuts blanks at both ends, in place, and a comment behind a blank: no key has blanks in it. */
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

struct profile {
    bool there;
    const char *access_key; /* into the file's text */
    const char *secret_key;
    const char *session_token;
};

static void profile_line(char *line, struct profile *profile)
{
    char *equals = strchr(line, '=');
    const char *name, *value;

    if (equals == NULL)
        return;
    *equals = '\0';
    name = trim(line);
    value = trim(equals + 1);
    if (*value == '\0')
        return;
    if (strcmp(name, "aws_access_key_id") == 0)
        profile->access_key = value;
    else if (strcmp(name, "aws_secret_access_key") == 0)
        profile->secret_key = value;
    else if (strcmp(name, "aws_session_token") == 0)
        profile->session_token = value;
}

/* text is cut into pieces in place. */
static struct profile find_profile(char *text, const char *wanted)
{
    struct profile profile = {false, NULL, NULL, NULL};
    bool inside = false;
    char *rest = text, *line;

    while ((line = strsep(&rest, "\n")) != NULL) {
        line = trim(line);
        if (*line == '[') {
            char *end = strchr(line, ']');

            if (end != NULL)
                *end = '\0';
            inside = strcmp(trim(line + 1), wanted) == 0;
            profile.there = profile.there || inside;
        } else if (inside && *line != '#' && *line != ';') {
            profile_line(line, &profile);
        }
    }
    return profile;
}

static enum found take_profile(const struct profile *profile, const char *name, const char *path, bool named,
                               struct credentials *credentials)
{
    if (!profile->there) {
        /* nobody asked for the profile "default" by name: there is simply nothing here */
        if (!named)
            return NOT_HERE;
        log_error("credentials file \"%s\" has no profile \"%s\"", path, name);
        return FAILED;
    }
    if (profile->access_key == NULL || profile->secret_key == NULL) {
        log_error("profile \"%s\" in credentials file \"%s\" has no %s", name, path,
                  profile->access_key == NULL ? "aws_access_key_id" : "aws_secret_access_key");
        return FAILED;
    }
    credentials->source = string_printf("profile \"%s\" of file \"%s\"", name, path);
    return take(credentials, profile->access_key, profile->secret_key, profile->session_token);
}

static enum found find_in_shared_file(const struct repository_config *config, struct credentials *credentials)
{
    bool file_named = config->credentials_file != NULL || environment("AWS_SHARED_CREDENTIALS_FILE") != NULL;
    const char *wanted = config->profile != NULL ? config->profile : environment("AWS_PROFILE");
    const char *name = wanted != NULL ? wanted : "default";
    char *path = shared_file_path(config);
    struct buffer text = BUFFER_EMPTY;
    enum found found = NOT_HERE;

    if (path == NULL)
        return NOT_HERE;
    switch (file_read_private(path, CREDENTIALS_FILE_BYTES_MOST, &text)) {
    case FILE_OK:
        if (text.length > 0) {
            struct profile profile = find_profile((char *)text.data, name);

            found = take_profile(&profile, name, path, wanted != NULL || file_named, credentials);
        }
        break;
    case FILE_ABSENT:
        if (file_named || wanted != NULL) {
            log_error("there is no credentials file \"%s\"", path);
            found = FAILED;
        }
        break;
    case FILE_FAILED:
        found = FAILED;
        break;
    }
    buffer_wipe(&text);
    free(path);
    return found;
}

/* In the order in which they are asked. More kinds (web identity, container, instance metadata) are to be
 * added here. */
static enum found (*const sources[])(const struct repository_config *config,
                                     struct credentials *credentials) = {
    find_in_configuration,
    find_in_environment,
    find_in_shared_file,
};

int credentials_find(const struct repository_config *config, struct credentials *credentials)
{
    struct credentials fresh = CREDENTIALS_EMPTY;

    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        switch (sources[i](config, &fresh)) {
        case FOUND:
            credentials_wipe(credentials);
            *credentials = fresh;
            return 0;
        case NOT_HERE:
            break;
        case FAILED:
            credentials_wipe(&fresh);
            return -1;
        }
    }
    log_error("found no credentials for repository \"%s\"", config->name);
    log_hint("Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or make ~/.aws/credentials, for the user that "
             "runs this program; "
             "or set credentials_file, or access_key and secret_key, in section [repository %s].",
             config->name);
    return -1;
}
