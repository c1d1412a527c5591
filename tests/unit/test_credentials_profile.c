/* Profiles of the shared files: sections, comments, nested settings, and which file goes before. */
#include "common/credentials_profile.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static const char *value_of(struct profile *profile, enum profile_value value)
{
    return profile->value[value] != NULL ? profile->value[value] : "-";
}

static void test_config_file(void)
{
    char text[] =
        "# all\r\nregion = before\n"
        "[default]\nregion = eu-central-1\ns3 =\n  region = nested\n\tmax_concurrent_requests = 20\n"
        "output=json\naws_access_key_id = D\n"
        "[profile  role ] ; ours\nrole_arn = arn:aws:iam::1:role/walferry # the one\n"
        "source_profile = base\nexternal_id=a=b;c\nduration_seconds = 900\n"
        "[profile \"with blank\"]\ncredential_process = \"/opt/my keys\" --for 'a b'\n"
        "[role]\naws_access_key_id = WRONG\n[profilex]\nregion = WRONG\n"
        "[sso-session role]\nregion = WRONG\n[profile sso]\nsso_start_url = https://x\n"
        "[profile role]\nrole_session_name = me\n";
    char copies[5][sizeof text];
    struct profile profiles[5] = {
        {.name = "default"}, {.name = "role"}, {.name = "with blank"}, {.name = "sso"}, {.name = "base"}};

    for (int i = 0; i < 5; i++) {
        memcpy(copies[i], text, sizeof text);
        profile_parse(copies[i], true, &profiles[i]);
        CHECK(profiles[i].is_there == (i < 4));
    }
    CHECK_TEXT(value_of(&profiles[0], PROFILE_REGION), "eu-central-1");
    CHECK_TEXT(value_of(&profiles[0], PROFILE_ACCESS_KEY), "D");
    CHECK_TEXT(value_of(&profiles[1], PROFILE_ROLE_ARN), "arn:aws:iam::1:role/walferry");
    CHECK_TEXT(value_of(&profiles[1], PROFILE_SOURCE_PROFILE), "base");
    CHECK_TEXT(value_of(&profiles[1], PROFILE_EXTERNAL_ID), "a=b;c");
    CHECK_TEXT(value_of(&profiles[1], PROFILE_DURATION), "900");
    CHECK_TEXT(value_of(&profiles[1], PROFILE_SESSION_NAME), "me"); /* a section may go on */
    CHECK_TEXT(value_of(&profiles[1], PROFILE_ACCESS_KEY), "-");
    CHECK_TEXT(value_of(&profiles[1], PROFILE_REGION), "-");
    CHECK_TEXT(value_of(&profiles[2], PROFILE_PROCESS), "\"/opt/my keys\" --for 'a b'");
    CHECK_TEXT(value_of(&profiles[3], PROFILE_SSO), "https://x");
}

static void test_both_files(void)
{
    char credentials[] =
        "[a]\naws_access_key_id = FIRST\naws_access_key_id = LAST\n  aws_secret_access_key = S\n";
    char config[] = "[profile a]\naws_access_key_id = OTHER\nregion = r\n";
    struct profile profile = {.name = "a"};

    profile_parse(credentials, false, &profile);
    profile_parse(config, true, &profile);
    CHECK_TEXT(value_of(&profile, PROFILE_ACCESS_KEY), "LAST");
    CHECK_TEXT(value_of(&profile, PROFILE_SECRET_KEY), "S");
    CHECK_TEXT(value_of(&profile, PROFILE_REGION), "r");
}

int main(void)
{
    test_config_file();
    test_both_files();
    return unit_done("credentials_profile");
}
