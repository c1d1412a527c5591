/* Where keys are looked for, and what is refused. */
#include "common/buffer.h"
#include "common/credentials.h"
#include "common/log.h"
#include "unit.h"

#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/walferry-credentials-XXXXXX";
static char path[256];
static bool has_home = true;

/* In place of the C library's. */
int getpwuid_r(uid_t user, struct passwd *entry, char *memory, size_t bytes, struct passwd **found)
{
    (void)memory;
    (void)bytes;
    *entry = (struct passwd){.pw_uid = user, .pw_dir = directory};
    *found = has_home ? entry : NULL;
    return 0;
}

static void write_file(const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    CHECK(file != NULL);
    if (file == NULL)
        return;
    fputs(text, file);
    fclose(file);
    CHECK(chmod(path, mode) == 0);
}

static void forget_environment(void)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID",
                                        "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",
                                        "AWS_SHARED_CREDENTIALS_FILE",
                                        "AWS_PROFILE",
                                        "AWS_CONFIG_FILE",
                                        "AWS_WEB_IDENTITY_TOKEN_FILE",
                                        "AWS_ROLE_ARN",
                                        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    setenv("HOME", directory, 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
}

static void check_found(const struct repository_config *config, const char *access, const char *secret,
                        const char *token)
{
    struct credentials credentials = CREDENTIALS_EMPTY;

    CHECK(credentials_find(config, &credentials) == 0);
    CHECK_TEXT(credentials.access_key, access);
    CHECK_TEXT(credentials.secret_key, secret);
    if (token == NULL)
        CHECK(credentials.session_token == NULL);
    else
        CHECK_TEXT(credentials.session_token, token);
    CHECK(credentials.source != NULL && strstr(credentials.source, secret) == NULL);
    credentials_wipe(&credentials);
    CHECK(credentials.secret_key == NULL);
}

static void check_refused(const struct repository_config *config)
{
    struct credentials credentials = CREDENTIALS_EMPTY;

    CHECK(credentials_find(config, &credentials) == -1);
    CHECK(credentials.access_key == NULL && credentials.source == NULL);
}

static void test_order(void)
{
    struct repository_config config = {.name = (char *)"r"};
    const char *file =
        "# keys\n[default]\naws_access_key_id = FILEKEY\naws_secret_access_key=file/secret+x= \n\n"
        "[other]\r\naws_access_key_id=OTHERKEY\r\naws_secret_access_key = othersecret ; ours\r\n"
        "aws_session_token = othertoken\r\nregion = x\r\n"
        "[half]\naws_access_key_id = HALF\n[blank]\naws_access_key_id = A B\naws_secret_access_key = 9q7\n";

    forget_environment();
    check_refused(&config); /* nothing anywhere */
    write_file(file, 0600);
    check_found(&config, "FILEKEY", "file/secret+x=", NULL);
    setenv("AWS_PROFILE", "other", 1);
    check_found(&config, "OTHERKEY", "othersecret", "othertoken");
    setenv("AWS_PROFILE", "absent", 1);
    check_refused(&config);
    setenv("AWS_PROFILE", "half", 1);
    check_refused(&config);
    setenv("AWS_PROFILE", "blank", 1);
    check_refused(&config);
    setenv("AWS_ACCESS_KEY_ID", "ENVKEY", 1);
    check_refused(&config); /* half of a pair */
    setenv("AWS_SECRET_ACCESS_KEY", "envsecret", 1);
    check_found(&config, "ENVKEY", "envsecret", NULL);
    setenv("AWS_SESSION_TOKEN", "envtoken", 1);
    check_found(&config, "ENVKEY", "envsecret", "envtoken");
    config.profile = (char *)"other"; /* named for this repository: before the environment */
    check_found(&config, "OTHERKEY", "othersecret", "othertoken");
    config.access_key = (char *)"INIKEY";
    config.secret_key = (char *)"inisecret";
    check_found(&config, "INIKEY", "inisecret", NULL);
}

static void test_files(void)
{
    struct repository_config config = {.name = (char *)"r"};
    char link[280];

    forget_environment();
    write_file("[default]\naws_access_key_id = K\naws_secret_access_key = 9q7\n", 0604);
    check_refused(&config);
    CHECK(chmod(path, 0620) == 0);
    check_refused(&config);
    CHECK(chmod(path, 0640) == 0);
    check_found(&config, "K", "9q7", NULL);
    snprintf(link, sizeof link, "%s/link", directory); /* as Kubernetes mounts them */
    CHECK(symlink(path, link) == 0);
    setenv("AWS_SHARED_CREDENTIALS_FILE", link, 1);
    check_found(&config, "K", "9q7", NULL);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    check_refused(&config);
    config.credentials_file = path;
    check_found(&config, "K", "9q7", NULL);
    unlink(link);
}

/* A service's environment may lack HOME. */
static void test_home(void)
{
    struct repository_config config = {.name = (char *)"r"};

    forget_environment();
    unsetenv("HOME");
    write_file("[default]\naws_access_key_id = K\naws_secret_access_key = 9q7\n", 0600);
    check_found(&config, "K", "9q7", NULL);
    has_home = false;
    unit_listen();
    check_refused(&config);
    CHECK(unit_heard("found no credentials for repository"));
    has_home = true;
    setenv("HOME", "/dev/null", 1); /* as service users have it */
    unit_listen();
    check_refused(&config);
    CHECK(unit_heard("found no credentials for repository"));
    setenv("HOME", directory, 1);
    write_file("[other]\naws_access_key_id = K\naws_secret_access_key = 9q7\n", 0600);
    unit_listen();
    check_refused(
        &config); /* "default" was not asked for by name: that it is not there is no error of its own */
    CHECK(unit_heard("found no credentials for repository"));
    setenv("AWS_PROFILE", "default", 1);
    unit_listen();
    check_refused(&config);
    CHECK(unit_heard("has no profile \"default\""));
}

/* Fresh credentials replace those that were there; a failure leaves them. */
static void test_again(void)
{
    struct repository_config config = {.name = (char *)"r"};
    struct credentials credentials = CREDENTIALS_EMPTY;

    forget_environment();
    setenv("AWS_ACCESS_KEY_ID", "FIRST", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "one\n", 1);
    CHECK(credentials_find(&config, &credentials) == -1); /* a line end that came with the secret */
    setenv("AWS_SECRET_ACCESS_KEY", "one", 1);
    CHECK(credentials_find(&config, &credentials) == 0);
    setenv("AWS_ACCESS_KEY_ID", "SECOND", 1);
    CHECK(credentials_find(&config, &credentials) == 0);
    CHECK_TEXT(credentials.access_key, "SECOND");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    CHECK(credentials_find(&config, &credentials) == -1);
    CHECK_TEXT(credentials.access_key, "SECOND");
    credentials_wipe(&credentials);
}

int main(void)
{
    if (mkdtemp(directory) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/.aws", directory);
    CHECK(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/.aws/credentials", directory);
    log_set_threshold(LOG_ERROR + 1);
    test_order();
    test_files();
    test_again();
    log_set_threshold(LOG_ERROR);
    test_home();
    unit_remove_tree(directory);
    return unit_done("credentials");
}
