#include "environment.h"

#include "log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "https://user:password@host", as a proxy's also without "https://", or "host=db password=..." */
static bool holds_password(const char *value, bool is_proxy)
{
    const char *authority = strstr(value, "://"), *at, *colon;

    if (strcasestr(value, "password=") != NULL)
        return true;
    if (authority == NULL && !is_proxy)
        return false;
    authority = authority != NULL ? authority + 3 : value;
    at = strchr(authority, '@');
    colon = strchr(authority, ':');
    return at != NULL && colon != NULL && colon < at;
}

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), end_length = strlen(end);

    return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

bool environment_may_be_secret(const char *variable)
{
    static const char *const words[] = {"SECRET",     "TOKEN",      "PASSWORD",
                                        "PASSWD",     "PASSPHRASE", "PRIVATE_KEY",
                                        "ACCESS_KEY", "API_KEY",    "ENCRYPTION_KEY"};
    static const char *const ends[] = {"_KEY", "_PASS", "_PWD"};
    size_t length = strcspn(variable, "=");
    char name[256];

    if (length >= sizeof name)
        return true;
    for (size_t i = 0; i < length; i++)
        name[i] = variable[i] >= 'a' && variable[i] <= 'z' ? (char)(variable[i] - 'a' + 'A') : variable[i];
    name[length] = '\0';
    if (variable[length] == '=' && holds_password(variable + length + 1, ends_with(name, "PROXY")))
        return true;
    if (ends_with(name, "_FILE"))
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (ends_with(name, ends[i]))
            return true;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(name, words[i]) != NULL)
            return true;
    return false;
}

static size_t count_of(char *const *list)
{
    size_t count = 0;

    while (list != NULL && list[count] != NULL)
        count++;
    return count;
}

static bool has_name_of(char *const *list, const char *variable)
{
    size_t length = strcspn(variable, "=");

    for (; list != NULL && *list != NULL; list++)
        if (strncmp(*list, variable, length) == 0 && (*list)[length] == '=')
            return true;
    return false;
}

static bool is_seen(enum environment kind, const char *variable)
{
    return kind == ENVIRONMENT_OURS ||
           (kind == ENVIRONMENT_CLEAN_BUT_S3 && strncmp(variable, "AWS_", 4) == 0) ||
           !environment_may_be_secret(variable);
}

char **environment_for(enum environment kind, char *const *extra)
{
    size_t count = count_of(environ), more = count_of(extra), kept = 0;
    char **list = calloc(count + more + 1, sizeof *list);

    if (list == NULL)
        log_out_of_memory();
    for (size_t i = 0; list != NULL && i < count; i++)
        if (is_seen(kind, environ[i]) && !has_name_of(extra, environ[i]))
            list[kept++] = environ[i];
    for (size_t i = 0; list != NULL && i < more; i++)
        list[kept++] = extra[i];
    return list;
}
