/* What a profile of the shared files leads to: a role, a web identity, keys or a command
 * (credentials_source.h). */
#include "credentials_source.h"

#include "credentials_profile.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DURATION_LEAST 900
#define DURATION_MOST 43200
#define PROFILES_MOST 5 /* source_profile of a source_profile ... */

struct step { /* towards the profile that has keys */
    const struct search *search;
    const char *name; /* NULL: the one to begin with */
    unsigned depth;
    const struct step *back; /* NULL: at the first */
};

static enum found find(const struct step *step, struct credentials *credentials);

static enum found find_source(const struct search *search, void *context, struct credentials *credentials)
{
    struct step step = *(const struct step *)context;

    step.search = search;
    return find(&step, credentials);
}

/* credential_source: these, and no profile. */
static enum found find_named_source(const struct search *search, void *context,
                                    struct credentials *credentials)
{
    const char *kind = context;
    struct search inner = *search;

    inner.insists = true;
    if (strcasecmp(kind, "Environment") == 0)
        return credentials_by_environment(&inner, credentials);
    if (strcasecmp(kind, "Ec2InstanceMetadata") == 0)
        return credentials_by_instance(&inner, credentials);
    if (strcasecmp(kind, "EcsContainer") == 0)
        return credentials_by_container(&inner, credentials);
    log_error("credential_source must be Environment, Ec2InstanceMetadata or EcsContainer, not \"%s\"", kind);
    return FAILED;
}

/* Files and names, and the environment, which may be the source: keys that are changed in a file take effect
 * when the role is assumed the next time. */
static char *describe(const struct profile *profile, const char *source)
{
    char *circumstances = credentials_circumstances();
    char *text = circumstances == NULL
                     ? NULL
                     : string_printf("%s\n%s\n%s\n%s\n%s",
                                     profile->credentials_path != NULL ? profile->credentials_path : "",
                                     profile->config_path != NULL ? profile->config_path : "", profile->name,
                                     source, circumstances);

    free(circumstances);
    return text;
}

/* 0, with *seconds 0 for the role's own, or -1 after logging. */
static int parse_duration(const struct profile *profile, unsigned *seconds)
{
    const char *text = profile->value[PROFILE_DURATION];
    char *end;

    *seconds = 0;
    if (text == NULL)
        return 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || *text == '-' || value < DURATION_LEAST || value > DURATION_MOST) {
        log_error("profile \"%s\": duration_seconds must be %d to %d, not \"%s\"", profile->name,
                  DURATION_LEAST, DURATION_MOST, text);
        return -1;
    }
    *seconds = (unsigned)value;
    return 0;
}

static enum found assume(const struct step *step, const struct profile *profile,
                         struct credentials *credentials)
{
    const char *source_profile = profile->value[PROFILE_SOURCE_PROFILE];
    const char *source = profile->value[PROFILE_CREDENTIAL_SOURCE];
    struct step next = {step->search, source_profile, step->depth + 1, step};
    struct role role = {.arn = profile->value[PROFILE_ROLE_ARN],
                        .external_id = profile->value[PROFILE_EXTERNAL_ID],
                        .session_name = profile->value[PROFILE_SESSION_NAME],
                        .token_file = profile->value[PROFILE_TOKEN_FILE]};
    enum found found = FAILED;
    char *identity;

    if (parse_duration(profile, &role.duration_seconds) != 0)
        return FAILED;
    if (profile->value[PROFILE_MFA_SERIAL] != NULL) {
        log_error("profile \"%s\" wants a one-time password (mfa_serial), which nobody is there to type",
                  profile->name);
        return FAILED;
    }
    if (role.token_file == NULL && (source_profile == NULL) == (source == NULL)) {
        log_error("profile \"%s\" has role_arn, but %s", profile->name,
                  source == NULL ? "neither source_profile nor credential_source nor web_identity_token_file"
                                 : "both source_profile and credential_source");
        return FAILED;
    }
    role.source = source_profile != NULL ? find_source : find_named_source;
    role.context = source_profile != NULL ? (void *)&next : (void *)source;
    identity = describe(profile, source_profile != NULL ? source_profile : source != NULL ? source : "");
    role.identity = identity;
    if (identity != NULL)
        found = credentials_by_role(step->search, &role, credentials);
    free(identity);
    return found;
}

/* A profile may have its own keys to assume its role with. */
static bool is_own_source(const struct step *step, const struct profile *profile)
{
    return step->depth > 0 && profile->value[PROFILE_ACCESS_KEY] != NULL;
}

/* Looked at before the lock of what is remembered for it: this call holds that already. */
static bool is_circle(const struct step *step)
{
    for (const struct step *before = step->back; before != NULL; before = before->back)
        if (strcmp(before->name, step->name) == 0) {
            log_error("source_profile leads in a circle, back to profile \"%s\"", step->name);
            return true;
        }
    return false;
}

static enum found take_keys(const struct profile *profile, struct credentials *credentials)
{
    const char *path = profile->keys_are_in_config ? profile->config_path : profile->credentials_path;

    if (profile->value[PROFILE_ACCESS_KEY] == NULL || profile->value[PROFILE_SECRET_KEY] == NULL) {
        log_error("profile \"%s\" in file \"%s\" has no %s", profile->name, path,
                  profile->value[PROFILE_ACCESS_KEY] == NULL ? "aws_access_key_id" : "aws_secret_access_key");
        return FAILED;
    }
    return credentials_take(credentials, string_printf("profile \"%s\" of file \"%s\"", profile->name, path),
                            profile->value[PROFILE_ACCESS_KEY], profile->value[PROFILE_SECRET_KEY],
                            profile->value[PROFILE_SESSION_TOKEN]);
}

static enum found run(const struct step *step, const struct profile *profile, struct credentials *credentials)
{
    char *identity = describe(profile, "");
    enum found found = identity == NULL ? FAILED
                                        : credentials_run(step->search, profile->value[PROFILE_PROCESS],
                                                          identity, credentials);

    free(identity);
    return found;
}

static enum found nothing(const struct step *step, const struct profile *profile)
{
    bool is_missed = profile->was_named || step->depth > 0 || step->search->insists;

    if (profile->is_there && profile->value[PROFILE_SSO] != NULL) {
        log_error("profile \"%s\" uses IAM Identity Center (sso_...), which walferry does not know",
                  profile->name);
        log_hint("A role for machines does not need a login. Else let a command hand the credentials out: "
                 "credential_process = aws configure export-credentials --profile %s --format process",
                 profile->name);
        return FAILED;
    }
    if (!is_missed) /* nobody asked for the profile "default" by name: there is simply nothing here */
        return NOT_HERE;
    if (!profile->is_there)
        log_error("credentials file \"%s\" has no profile \"%s\", and neither has \"%s\"",
                  profile->credentials_path != NULL ? profile->credentials_path : "~/.aws/credentials",
                  profile->name, profile->config_path != NULL ? profile->config_path : "~/.aws/config");
    else
        log_error(
            "profile \"%s\" has neither keys (aws_access_key_id and aws_secret_access_key) nor role_arn "
            "nor credential_process",
            profile->name);
    return FAILED;
}

static enum found find(const struct step *step, struct credentials *credentials)
{
    struct step here = *step; /* with the name that it turns out to have */
    struct profile profile;
    enum found found = FAILED;

    if (step->depth == PROFILES_MOST) {
        log_error("source_profile leads through more than %d profiles", PROFILES_MOST);
        return FAILED;
    }
    if (profile_load(step->search->config, step->name, &profile) != 0)
        goto done;
    here.name = profile.name;
    bool wants_process = step->search->config->credentials == CREDENTIALS_PROCESS && step->depth == 0;
    if (wants_process && profile.value[PROFILE_PROCESS] == NULL)
        log_error("there is no credential_process, neither in section [repository %s] nor in profile \"%s\"",
                  step->search->config->name, profile.name);
    else if (wants_process)
        found = run(step, &profile, credentials);
    else if (profile.value[PROFILE_ROLE_ARN] != NULL && !is_own_source(step, &profile))
        found = is_circle(&here) ? FAILED : assume(&here, &profile, credentials);
    else if (profile.value[PROFILE_ACCESS_KEY] != NULL || profile.value[PROFILE_SECRET_KEY] != NULL)
        found = take_keys(&profile, credentials);
    else if (profile.value[PROFILE_PROCESS] != NULL)
        found = run(step, &profile, credentials);
    else
        found = nothing(step, &profile);
done:
    profile_free(&profile);
    return found;
}

enum found credentials_by_profile(const struct search *search, struct credentials *credentials)
{
    const struct step step = {search, NULL, 0, NULL};

    return find(&step, credentials);
}

char *credentials_region(const struct repository_config *config)
{
    struct profile profile;
    char *region = NULL;

    if (config->region_is_default) {
        bool was_muted = log_mute_thread(true); /* whoever needs the profile will say what is wrong */

        if (profile_load(config, NULL, &profile) == 0 && profile.value[PROFILE_REGION] != NULL &&
            strspn(profile.value[PROFILE_REGION], "abcdefghijklmnopqrstuvwxyz0123456789-") ==
                strlen(profile.value[PROFILE_REGION])) /* it becomes part of a host name */
            region = string_copy(profile.value[PROFILE_REGION]);
        profile_free(&profile);
        log_mute_thread(was_muted);
    }
    return region != NULL ? region : string_copy(config->region != NULL ? config->region : "us-east-1");
}
