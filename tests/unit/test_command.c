/* A user's command: how its line is cut, what it sees of the environment, and how it is ended. */
#include "common/command.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Words joined with "|", or the problem. */
static const char *split(const char *line)
{
    static char joined[500];
    char *words[COMMAND_WORDS_MOST + 1], *memory;
    const char *problem;

    joined[0] = '\0';
    int count = command_split(line, &memory, words, &problem);
    for (int i = 0, length = 0; i < count; i++)
        length +=
            snprintf(joined + length, sizeof joined - (size_t)length, "%s%s", i > 0 ? "|" : "", words[i]);
    CHECK(count < 0 || words[count] == NULL);
    if (count < 0)
        snprintf(joined, sizeof joined, "%s", problem);
    free(memory);
    return joined;
}

static void test_split(void)
{
    char many[2 * COMMAND_WORDS_MOST + 3] = "";

    CHECK_TEXT(split("/bin/keys"), "/bin/keys");
    CHECK_TEXT(split("  a\tb  c "), "a|b|c");
    CHECK_TEXT(split("\"/opt/my keys/run\" --user \"a b\""), "/opt/my keys/run|--user|a b");
    CHECK_TEXT(split("a 'b \"c\\' d"), "a|b \"c\\|d");
    CHECK_TEXT(split("a \"b \\\"c\\\" \\n\" x\\ y"), "a|b \"c\" \\n|x y");
    CHECK_TEXT(split("a \"\" ''"), "a||");
    CHECK_TEXT(split("a\"b\"'c'd"), "abcd");
    CHECK_TEXT(split("a $HOME ~ `b` $(c) ; | > *"), "a|$HOME|~|`b`|$(c)|;|||>|*"); /* there is no shell */
    CHECK_TEXT(split("a \"b"), "a quote in it is not closed");
    CHECK_TEXT(split("a 'b"), "a quote in it is not closed");
    CHECK_TEXT(split("a b\\"), "a quote in it is not closed");
    CHECK_TEXT(split(" \t"), "it is empty");
    CHECK_TEXT(split("\"\" a"), "it is empty");
    for (size_t i = 0; i <= COMMAND_WORDS_MOST; i++)
        memcpy(many + 2 * i, "a ", sizeof "a ");
    CHECK_TEXT(split(many), "it has too many words");
}

/* What the command prints; "" and a message that holds said (if not NULL) when it fails. */
static void check_run(const char *line, unsigned seconds, int result, const char *printed, const char *said)
{
    struct buffer output = BUFFER_EMPTY;

    unit_listen();
    int got = command_run("the command", line, seconds, 1000, &output);
    if (said != NULL)
        CHECK(unit_heard(said));
    else
        CHECK_TEXT(unit_listened(), "");
    CHECK(got == result);
    if (printed != NULL)
        CHECK_TEXT(buffer_string(&output), printed);
    buffer_free(&output);
}

static void test_run(void)
{
    check_run("printf %s-%s a 'b c'", 10, 0, "a-b c", NULL);
    check_run("cat", 10, 0, "", NULL); /* nothing to read */
    check_run("sh -c 'echo ab; echo no >&2; echo keys are locked >&2; exit 3'", 10, -1, NULL,
              "the command (\"sh\") failed with exit status 3: keys are locked");
    check_run("sh -c 'kill -9 $$'", 10, -1, NULL, "was ended by signal 9");
    check_run("/nonexistent/command secret", 10, -1, NULL, "No such file or directory");
    check_run("head -c 2000 /dev/zero", 10, -1, NULL, "it wrote too much");
    check_run("'a", 10, -1, NULL, "a quote in it is not closed");

    int64_t began = monotonic_now();
    check_run("sh -c 'echo a; sleep 60 & sleep 60'", 1, -1, NULL, "it took too long");
    CHECK(monotonic_now() - began < 10 * 1000000);
    /* what it leaves behind holds the pipe open: its own process group ends with it */
    began = monotonic_now();
    check_run("sh -c 'sleep 60 & exit 0'", 1, -1, NULL, "it took too long");
    CHECK(monotonic_now() - began < 10 * 1000000);
}

static void test_environment(void)
{
    static const char *const secret[] = {"AWS_SECRET_ACCESS_KEY",
                                         "AWS_SESSION_TOKEN",
                                         "AWS_ACCESS_KEY_ID",
                                         "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                         "PGPASSWORD",
                                         "my_password",
                                         "VAULT_TOKEN",
                                         "X_PASSPHRASE",
                                         "AZURE_STORAGE_KEY",
                                         "DB_PASS",
                                         "db_pwd"};
    static const char *const plain[] = {"AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "WALFERRY_TEST",
                                        "VAULT_ADDR"};
    struct buffer output = BUFFER_EMPTY;

    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
        setenv(secret[i], "s3cr3t", 1);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        setenv(plain[i], "http://plain@host:80/", 1);
    setenv("HTTPS_PROXY", "http://user:s3cr3t@proxy:3128", 1);
    setenv("http_proxy", "user:s3cr3t@proxy:3128", 1); /* curl takes it for http:// */
    setenv("DSN", "host=db user=u Password=s3cr3t", 1);
    setenv("KEYBOARD", "user@host", 1);
    int kept = open("/dev/full", O_RDONLY); /* without O_CLOEXEC */
    CHECK(command_run("the command", "sh -c 'env; ls -l /proc/self/fd'", 10, 100000, &output) == 0);
    close(kept);
    CHECK(strstr(buffer_string(&output), "s3cr3t") == NULL);
    CHECK(strstr(buffer_string(&output), "/dev/full") == NULL);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        CHECK(strstr(buffer_string(&output), plain[i]) != NULL);
    CHECK(strstr(buffer_string(&output), "PATH=") != NULL);
    CHECK(strstr(buffer_string(&output), "KEYBOARD=user@host") != NULL);
    buffer_free(&output);
}

/* What command_tell logs holds all of these, or is empty. */
static void check_tell(const char *line, unsigned seconds, int result, const char *said, const char *also)
{
    char *const extra[] = {"WALFERRY_MESSAGE=it's \"so\"", "KEYBOARD=ours", NULL};

    unit_listen();
    CHECK(command_tell("the hook", line, seconds, extra) == result);
    const char *heard = unit_listened();
    CHECK(said != NULL ? strstr(heard, said) != NULL : *heard == '\0');
    CHECK(also == NULL || strstr(heard, also) != NULL);
}

static void test_tell(void)
{
    setenv("KEYBOARD", "user@host", 1);
    setenv("PGPASSWORD", "s3cr3t", 1);
    check_tell("true", 10, 0, NULL, NULL);
    check_tell("sh -c 'echo \"$WALFERRY_MESSAGE\"'", 10, 0, "info: the hook: it's \"so\"", NULL);
    check_tell("sh -c 'echo a >&2; echo; echo \"b\tc\"'", 10, 0, "the hook: a",
               "the hook: b?c"); /* nothing that it writes forges a message */
    check_tell("sh -c 'env | grep -c KEYBOARD; env | grep KEYBOARD'", 10, 0, "the hook: 1",
               "the hook: KEYBOARD=ours");
    check_tell("sh -c 'env | grep -c s3cr3t || true'", 10, 0, "the hook: 0", NULL);
    check_tell("/nonexistent/hook", 10, -1, "warning: could not run the hook (\"/nonexistent/hook\")", NULL);
    check_tell("'a", 10, -1, "warning: could not run the hook: a quote in it is not closed", NULL);
    check_tell("sh -c 'echo a; exit 3'", 10, -1, "warning: the hook (\"sh\") failed with exit status 3",
               "the hook: a");
    /* the rest is dropped, and it ends by itself */
    check_tell("head -c 200000 /dev/zero", 10, 0, NULL, NULL);

    int64_t began = monotonic_now();
    check_tell("sh -c 'trap \"echo asked; exit\" TERM; sleep 60 & wait'", 1, -1,
               "warning: gave the hook (\"sh\") up: it took too long", NULL);
    CHECK(monotonic_now() - began < 4 * 1000000);
    began = monotonic_now();
    check_tell("sh -c 'trap \"\" TERM; sleep 60; sleep 60'", 1, -1, "up: it took too long", NULL);
    CHECK(monotonic_now() - began > 5 * 1000000 && monotonic_now() - began < 20 * 1000000);
}

int main(void)
{
    test_split();
    test_run();
    test_environment();
    test_tell();
    return unit_done("command");
}
