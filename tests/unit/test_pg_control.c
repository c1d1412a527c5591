/* pg_control of real clusters (PostgreSQL 13, 15, 17, 18, 19), whole and damaged. */
#include "unit.h"

#include "common/buffer.h"
#include "common/file.h"
#include "common/log.h"
#include "common/pg_control.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    unsigned major;
    uint64_t system_identifier;
    uint32_t control_version, catalog_version;
    uint64_t redo_lsn;
} clusters[] = {
    {13, 7710414884595211730u, 1300, 202007201, 0x181DF98},
    {15, 7710414889884614319u, 1300, 202209061, 0x17529B0},
    {17, 7710414895997374371u, 1700, 202406281, 0x1737848},
    {18, 7710414900422254644u, 1800, 202506291, 0x1765D28},
    {19, 7710414905779679464u, 1905, 202610061, 0x174FF18},
};

static void read_data(unsigned major, struct buffer *out)
{
    const char *directory = getenv("WALFERRY_TEST_DATA");
    char *path = string_printf("%s/pg_control-%u", directory == NULL ? "tests/data" : directory, major);

    CHECK(file_read_all(path, 8192, out) == FILE_OK);
    free(path);
}

static void test_versions(void)
{
    for (size_t i = 0; i < sizeof clusters / sizeof clusters[0]; i++) {
        struct buffer data = BUFFER_EMPTY;
        struct pg_control control;
        read_data(clusters[i].major, &data);
        CHECK(pg_control_parse(data.data, data.length, &control) == NULL);
        CHECK(control.system_identifier == clusters[i].system_identifier);
        CHECK(control.control_version == clusters[i].control_version &&
              control.catalog_version == clusters[i].catalog_version);
        CHECK(control.redo_lsn == clusters[i].redo_lsn && control.timeline == 1 &&
              control.segment_bytes == 16 << 20);
        CHECK(control.block_bytes == 8192 && control.wal_block_bytes == 8192 &&
              control.relation_segment_blocks == 131072 && control.data_checksum_version == 1);
        CHECK(control.minimum_recovery_lsn == 0 && control.minimum_recovery_timeline == 0);
        CHECK(control.max_connections == 100 && control.max_worker_processes == 8 &&
              control.max_wal_senders == 10 && control.max_prepared_transactions == 0 &&
              control.max_locks_per_transaction == (clusters[i].major == 19 ? 128 : 64));
        for (size_t byte = 0; byte < 288; byte++) {
            data.data[byte] ^= 4;
            CHECK(pg_control_parse(data.data, data.length, &control) != NULL);
            data.data[byte] ^= 4;
        }
        CHECK(pg_control_parse(data.data, 300, &control) != NULL);
        buffer_free(&data);
    }
}

static void write_text(const char *directory, const char *name, const void *text, size_t length)
{
    char *path = path_join(directory, name);
    FILE *file = fopen(path, "w");

    fwrite(text, 1, length, file);
    fclose(file);
    free(path);
}

static void test_directory(void)
{
    char directory[] = "/tmp/walferry-test-control.XXXXXX", path[128];
    struct buffer data = BUFFER_EMPTY;
    struct pg_control control;
    enum server_mode mode;
    int64_t pid, started;
    uint32_t key;
    int segment;

    CHECK(mkdtemp(directory) != NULL);
    CHECK(pg_control_read(directory, &control, NULL) == 1);
    char *global = path_join(directory, "global");
    mkdir(global, 0700);
    read_data(15, &data);
    write_text(global, "pg_control", data.data, data.length);
    CHECK(pg_control_read(directory, &control, NULL) == 0 &&
          control.system_identifier == clusters[1].system_identifier);
    data.data[5] ^= 1;
    write_text(global, "pg_control", data.data, data.length);
    CHECK(pg_control_read(directory, &control, NULL) == -1);

    CHECK(pg_version_read(directory) == 0);
    write_text(directory, "PG_VERSION", "15\n", 3);
    CHECK(pg_version_read(directory) == 15);
    write_text(directory, "PG_VERSION", "9.6\n", 4);
    CHECK(pg_version_read(directory) == 0);
    CHECK(server_mode_read(directory, &mode) == 0 && mode == SERVER_NORMAL);
    write_text(directory, "recovery.signal", "", 0);
    CHECK(server_mode_read(directory, &mode) == 0 && mode == SERVER_RECOVERY);
    write_text(directory, "standby.signal", "", 0);
    CHECK(server_mode_read(directory, &mode) == 0 && mode == SERVER_STANDBY); /* wins, as in PostgreSQL */
    CHECK(!postmaster_read(directory, &pid, &started));
    write_text(directory, "postmaster.pid", "4711\n/data\n1790000000\n5432\n", 27);
    CHECK(postmaster_read(directory, &pid, &started) && pid == 4711 && started == 1790000000);
    CHECK(!postmaster_read_memory(directory, &key, &segment));
    write_text(directory, "postmaster.pid",
               "-1\n/data\n1790000000\n5432\n/tmp\n\n 4000000001        65\nready\n", 59);
    CHECK(postmaster_read(directory, &pid, &started) && pid == -1);
    CHECK(postmaster_read_memory(directory, &key, &segment) && key == 4000000001 && segment == 65);
    CHECK(postmaster_is_ready(directory));
    write_text(directory, "postmaster.pid",
               "-1\n/data\n1790000000\n5432\n/tmp\n\n 4000000001        65\nstarting\n", 62);
    CHECK(!postmaster_is_ready(directory));
    write_text(directory, "postmaster.pid", "4711\n", 5);
    CHECK(!postmaster_is_ready(directory));
    CHECK(!postmaster_read(directory, &pid, &started));

    static const char *const files[] = {"global/pg_control", "PG_VERSION", "recovery.signal",
                                        "standby.signal", "postmaster.pid"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        unlink(path);
    }
    rmdir(global);
    rmdir(directory);
    free(global);
    buffer_free(&data);
}

int main(void)
{
    log_set_threshold((enum log_level)(LOG_ERROR + 1));
    test_versions();
    test_directory();
    return unit_done("pg_control");
}
