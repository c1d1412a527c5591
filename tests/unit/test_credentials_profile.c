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

/* Keys are a whole: half of a pair, or a token of former ones, in the other file does not belong to them. */
static void test_keys_of_one_file(void)
{
    char credentials[] = "[a]\naws_access_key_id = K\naws_secret_access_key = S\n[b]\nregion = r\n";
    char config[] = "[profile a]\naws_session_token = OLD\noutput = text\n"
                    "[profile b]\naws_access_key_id = K\naws_secret_access_key = S\naws_session_token = T\n";
    char copies[2][2][sizeof config];
    struct profile profiles[2] = {{.name = "a"}, {.name = "b"}};

    for (int i = 0; i < 2; i++) {
        memcpy(copies[i][0], credentials, sizeof credentials);
        memcpy(copies[i][1], config, sizeof config);
        profile_parse(copies[i][0], false, &profiles[i]);
        profile_parse(copies[i][1], true, &profiles[i]);
        CHECK(profiles[i].keys_are_in_config == (i == 1));
    }
    CHECK_TEXT(value_of(&profiles[0], PROFILE_SECRET_KEY), "S");
    CHECK_TEXT(value_of(&profiles[0], PROFILE_SESSION_TOKEN), "-");
    CHECK_TEXT(value_of(&profiles[1], PROFILE_SESSION_TOKEN), "T");
}

static void check_region(const char *text, bool is_config, const char *region)
{
    char copy[500];
    struct profile profile = {.name = "default"};

    snprintf(copy, sizeof copy, "%s", text);
    profile_parse(copy, is_config, &profile);
    CHECK_TEXT(value_of(&profile, PROFILE_REGION), region);
}

/* What AWS's own tools take. */
static void test_oddities(void)
{
    check_region("[default]\nREGION = r\nRegion = s\n", true, "s");
    check_region("[profile default]\nregion = r\n[default]\nregion = s\n", true, "r");
    check_region("[default]\nregion = s\n[profile default]\noutput = r\n", true, "-");
    check_region("[default]\nregion = s\n[profile default]\noutput = r\n", false, "s");
    check_region("\xEF\xBB\xBF[default]\r\nregion = r\r\n", true, "r"); /* of a Windows editor */
    check_region("\xEF\xBB\xBF[default]\nregion = r\n", false, "r");
    check_region("[default]# ours\n\tregion\t=\tr\t; ours", true, "r");
    check_region("[default]\nregion = r;s\n", true, "r;s");
    check_region("[ default ]\nregion = r\n", true, "r");
    check_region("[profiledefault]\nregion = r\n", true, "-");
    check_region("region = r\n[default]\n", true, "-");
    check_region("", true, "-");
}

int main(void)
{
    test_config_file();
    test_both_files();
    test_keys_of_one_file();
    test_oddities();
    return unit_done("credentials_profile");
}
