/* What the log of a drill's server tells of its recovery, read as it grows. */
#include "common/log.h"
#include "restore-drill/server_log.h"
#include "unit.h"

static char path[] = "/tmp/walferry-log-XXXXXX";

static void append(const char *text, size_t length)
{
    FILE *file = fopen(path, "a");

    REQUIRE(file != NULL && fwrite(text, 1, length, file) == length && fclose(file) == 0);
}

static void say(const char *text)
{
    append(text, strlen(text));
}

static void begin(struct server_log *log)
{
    CHECK(truncate(path, 0) == 0 && server_log_open(path, log) == 0);
}

/* As PostgreSQL 13 to 19 say it. */
static void test_recovery(void)
{
    struct server_log log;

    begin(&log);
    server_log_read(&log);
    CHECK(!log.is_recovering && !log.is_consistent && !log.has_stopped);
    say("2026-11-22 09:00:00.000 UTC [1] LOG:  starting PostgreSQL 15.18\n");
    server_log_read(&log);
    CHECK(!log.is_recovering);
    say("2026-11-22 09:00:00.000 UTC [2] LOG:  starting point-in-time rec");
    server_log_read(&log);
    CHECK(!log.is_recovering);
    say("overy to 2026-11-22 08:00:00+00\n");
    server_log_read(&log);
    CHECK(log.is_recovering && !log.is_consistent);
    say("2026-11-22 09:00:01.000 UTC [2] LOG:  consistent recovery state reached at 0/2000138\n"
        "2026-11-22 09:00:02.000 UTC [2] LOG:  recovery stopping before commit of transaction 744, time x\n");
    server_log_read(&log);
    CHECK(log.is_consistent && log.has_stopped && *log.fatal == '\0');
    CHECK_TEXT(log.stop, "before commit of transaction 744, time x");
    server_log_close(&log);
}

static void test_end(void)
{
    struct server_log log;

    begin(&log);
    say("2026-11-22 09:00:00.000 UTC [2] LOG:  starting archive recovery\n"
        "2026-11-22 09:00:00.000 UTC [2] PANIC:  the first\n2026-11-22 09:00:00.000 UTC [3] FATAL:  the "
        "second\n");
    server_log_read(&log);
    CHECK(log.is_recovering);
    CHECK_TEXT(log.fatal, "the first");
    server_log_close(&log);
}

/* Neither a zero nor a line without an end hides what comes behind it. */
static void test_odd_bytes(void)
{
    static char line[40000];
    struct server_log log;

    begin(&log);
    append("a\0b\n", 4);
    memset(line, 'x', sizeof line);
    append(line, sizeof line);
    server_log_read(&log);
    say(" LOG:  consistent recovery state reached at the end of a long line\nLOG:  starting archive "
        "recovery\n");
    server_log_read(&log);
    CHECK(log.is_recovering && !log.is_consistent);
    server_log_close(&log);
}

static void test_telling(void)
{
    struct server_log log;

    begin(&log);
    for (int i = 0; i < 25; i++)
        say("wal-fetch: warning: repository \"here\" has no good copy\n");
    say("2026-11-22 09:00:00.000 UTC [2] FATAL:  it ends\n2026-11-22 09:00:00.000 UTC [2] HINT:  what to "
        "do\n");
    unit_listen();
    server_log_warn(&log);
    const char *said = unit_listened();
    CHECK(strstr(said, "warning: server: wal-fetch: warning: repository") != NULL);
    CHECK(strstr(said, "and 5 more of these") != NULL && strstr(said, "FATAL") == NULL);
    unit_listen();
    server_log_tell(&log);
    said = unit_listened();
    CHECK(strstr(said, "FATAL:  it ends") != NULL && strstr(said, "HINT:  what to do") != NULL);
    CHECK(strstr(said, "good copy") == NULL);
    server_log_close(&log);
}

int main(void)
{
    int fd = mkstemp(path);

    REQUIRE(fd >= 0);
    close(fd);
    log_open("test", LOG_INFO, false);
    test_recovery();
    test_end();
    test_odd_bytes();
    test_telling();
    unlink(path);
    return unit_done("test_server_log");
}
