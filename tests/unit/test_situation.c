/* Who asks wal-fetch, and whether that server still runs when the file has come. */
#include "unit.h"
#include "wal-fetch/situation.h"

#include "common/buffer.h"
#include "common/file.h"
#include "common/log.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT "000000010000000000000005"

static char directory[] = "/tmp/walferry-situation-XXXXXX";

static char *below(const char *name)
{
    return unit_path("%s/%s", directory, name);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(below(name), "we");

    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static int make_data_directory(void)
{
    const char *data = getenv("WALFERRY_TEST_DATA");
    struct buffer control = BUFFER_EMPTY;
    char *from = string_printf("%s/pg_control-15", data == NULL ? "tests/data" : data);
    int result = -1;

    if (mkdtemp(directory) != NULL && mkdir(below("global"), 0700) == 0 &&
        mkdir(below("pg_wal"), 0700) == 0 && file_read_all(from, 8192, &control) == FILE_OK)
        result = file_replace(below("global/pg_control"), control.data, control.length, 0600);
    write_file("PG_VERSION", "15\n");
    buffer_free(&control);
    free(from);
    return result;
}

static void test_callers(void)
{
    static const struct {
        const char *standby, *recovery, *path;
        enum caller caller;
    } table[] = {
        {"standby.signal", NULL, "pg_wal/RECOVERYXLOG", CALLER_STANDBY},
        {"standby.signal", "recovery.signal", "pg_wal/RECOVERYXLOG", CALLER_STANDBY},
        {NULL, "recovery.signal", "pg_wal/RECOVERYXLOG", CALLER_RECOVERY},
        {NULL, "recovery.signal", "pg_wal/" SEGMENT, CALLER_RECOVERY},
        {NULL, NULL, "pg_wal/RECOVERYXLOG", CALLER_SWITCH},
        {NULL, NULL, "pg_wal/RECOVERYHISTORY", CALLER_SWITCH},
        {NULL, NULL, "pg_wal/" SEGMENT, CALLER_OTHER},
    };
    const struct config config = {.pgdata = NULL};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct situation situation;

        if (table[i].standby != NULL)
            write_file(table[i].standby, "");
        if (table[i].recovery != NULL)
            write_file(table[i].recovery, "");
        CHECK(situation_open(&config, SEGMENT, below(table[i].path), &situation) == 0);
        CHECK(situation.caller == table[i].caller);
        situation_close(&situation);
        unlink(below("standby.signal"));
        unlink(below("recovery.signal"));
    }
}

/* A container gives the next server the same process id. */
static void test_current(void)
{
    static const char running[] = "1\n/data\n1795240000\n5432\n";
    const struct config config = {.pgdata = NULL};
    struct situation situation;

    CHECK(situation_open(&config, SEGMENT, below("pg_wal/RECOVERYXLOG"), &situation) == 0);
    CHECK(situation_is_current(&situation)); /* nobody's: by hand, or pg_rewind */
    situation_close(&situation);
    write_file("postmaster.pid", running);
    CHECK(situation_open(&config, SEGMENT, below("pg_wal/RECOVERYXLOG"), &situation) == 0);
    CHECK(situation_is_current(&situation));
    write_file("postmaster.pid", "1\n/data\n1795240007\n5432\n");
    CHECK(!situation_is_current(&situation));
    write_file("postmaster.pid", "7\n/data\n1795240000\n5432\n");
    CHECK(!situation_is_current(&situation));
    write_file("postmaster.pid", "");
    CHECK(!situation_is_current(&situation));
    unlink(below("postmaster.pid"));
    CHECK(!situation_is_current(&situation));
    write_file("postmaster.pid", running);
    CHECK(situation_is_current(&situation));
    situation_close(&situation);
}

/* Where no cluster can be told, and where the configuration tells it. */
static void test_no_data_directory(void)
{
    const struct config config = {.pgdata = directory}, none = {.pgdata = NULL};
    const struct {
        const struct config *config;
        const char *name, *path, *why; /* NULL: it can */
    } table[] = {
        {&config, SEGMENT, "elsewhere/pg_wal/" SEGMENT, NULL},
        {&none, SEGMENT, "elsewhere/pg_wal/" SEGMENT, "lies in no data directory: there is no \""},
        {&config, SEGMENT, NULL,
         "lies in no data directory: there is no \""}, /* a relative path is the server's */
        {&config, "RECOVERYXLOG", "pg_wal/RECOVERYXLOG", "\"RECOVERYXLOG\" is not the name of a WAL segment"},
        {&config, SEGMENT, "torn/pg_wal/RECOVERYXLOG", "torn/global/pg_control\""},
    };

    CHECK(mkdir(below("torn"), 0700) == 0 && mkdir(below("torn/global"), 0700) == 0);
    write_file("torn/global/pg_control", "half of it");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct situation situation;

        unit_listen();
        int result = situation_open(table[i].config, table[i].name,
                                    table[i].path == NULL ? "elsewhere/RECOVERYXLOG" : below(table[i].path),
                                    &situation);
        const char *said = unit_listened();
        if (strstr(said, table[i].why == NULL ? "" : table[i].why) == NULL)
            fprintf(stderr, "situation %zu: said \"%s\"\n", i, said);
        CHECK(strstr(said, table[i].why == NULL ? "" : table[i].why) != NULL);
        CHECK(result == (table[i].why == NULL ? 0 : -1) && (result != 0 || *said == '\0'));
        situation_close(&situation);
    }
}

int main(void)
{
    log_open("test_situation", LOG_INFO, false);
    if (make_data_directory() != 0)
        return 1;
    test_callers();
    test_current();
    test_no_data_directory();
    unit_remove_tree(directory);
    return unit_done("situation");
}
