/* Whether a backup_label is that of the backup at hand, and whose file a path of the index is. */
#include "unit.h"

#include "basebackup/backup_label.h"
#include "basebackup/backup_sizes.h"

static void test_label(void)
{
    static const char label[] = "START WAL LOCATION: A/1F000028 (file 000000020000000A0000001F)\n"
                                "CHECKPOINT LOCATION: A/1F000060\nBACKUP METHOD: streamed\n"
                                "BACKUP FROM: standby\nSTART TIME: 2026-11-20 02:00:03 UTC\n"
                                "LABEL: walferry\nSTART TIMELINE: 2\n";
    static const char padded[] = "START WAL LOCATION: A/0001F028 (file x)\nSTART TIMELINE: 2\n";

    CHECK(backup_label_check(label, 0xA1F000028ULL, 2) == 0);
    CHECK(backup_label_check(label, 0xA1F000028ULL, 1) != 0);
    CHECK(backup_label_check(label, 0xA1F000029ULL, 2) != 0);
    CHECK(backup_label_check(padded, 0xA0001F028ULL, 2) == 0);
    CHECK(backup_label_check("", 0, 1) != 0);
    CHECK(backup_label_check("START TIMELINE: 2\n", 0, 2) != 0);
    CHECK(backup_label_check("START WAL LOCATION: A/1F000028", 0xA1F000028ULL, 2) != 0);
    CHECK(backup_label_check("START WAL LOCATION: 123456789012345678901234567890\nSTART TIMELINE: 2\n", 0x12,
                             2) != 0);
}

static void expect_owner(const char *path, uint32_t tablespace, uint32_t database)
{
    uint32_t found_tablespace, found_database;

    backup_path_owner(path, &found_tablespace, &found_database);
    CHECK(found_tablespace == tablespace && found_database == database);
}

static void test_owners(void)
{
    expect_owner("base/16384/1259", 0, 16384);
    expect_owner("base/4294967295/1259.1", 0, 4294967295u);
    expect_owner("base/4294967296/1259", 0, 0);
    expect_owner("base/99999999999999999999999999/1259", 0, 0);
    expect_owner("base/pgsql_tmp/1", 0, 0);
    expect_owner("base/16384", 0, 0); /* no file of a database */
    expect_owner("global/1262", 0, 0);
    expect_owner("database/1/1", 0, 0);
    expect_owner("pg_tblspc/16400/PG_15_202209061/16384/1259", 16400, 16384);
    expect_owner("pg_tblspc/16400/PG_15_202209061/note", 16400, 0);
    expect_owner("pg_tblspc/16400/note", 16400, 0);
    expect_owner("pg_tblspc/x/PG_15_202209061/16384/1259", 0, 0);
    expect_owner("", 0, 0);
}

int main(void)
{
    test_label();
    test_owners();
    return unit_done("backup_label");
}
