/* basebackup-fetch --delta and --database: what is removed and what is not, which
 * ranges are fetched, which files come without content. */
#include "basebackup/restore_clean.h"
#include "basebackup/restore_compare.h"
#include "basebackup/restore_marker.h"
#include "common/log.h"
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>

/* --database */

static void test_databases(void)
{
    static struct backup_database databases[] = {{1, (char *)"template1"},
                                                 {4, (char *)"template0"},
                                                 {16390, (char *)"postgres"},
                                                 {16400, (char *)"shop"},
                                                 {16500, (char *)"huge"}};
    static const struct {
        const char *path;
        bool is_blank;
    } cases[] = {
        {"base/1/1259", false},
        {"base/4/PG_VERSION", false},
        {"base/16390/1259", false}, /* made again after initdb */
        {"base/16400/1259", false},
        {"base/16500/1259", true},
        {"base/16500/PG_VERSION", true},
        {"base/16600/1259", true}, /* made while the backup ran */
        {"base/16500", false},
        {"base/pgsql_tmp/x", false},
        {"global/1260", false},
        {"pg_xact/0000", false},
        {"pg_tblspc/16384/PG_15_202209061/16400/16401", false},
        {"pg_tblspc/16384/PG_15_202209061/16500/16501", true},
        {"pg_tblspc/16500/PG_15_202209061/16400/16401", false},
        {"PG_VERSION", false},
    };
    struct backup backup = {.databases = databases, .database_count = 5};
    struct database_choice choice;
    char *names[] = {(char *)"shop"}, *wrong[] = {(char *)"shop", (char *)"sho"};

    CHECK(database_choice_make(&backup, names, 1, &choice) == 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        CHECK(database_choice_is_blank(&choice, cases[i].path) == cases[i].is_blank);
    database_choice_free(&choice);
    CHECK(database_choice_make(&backup, NULL, 0, &choice) == 0 && choice.is_all);
    CHECK(!database_choice_is_blank(&choice, "base/16500/1259"));
    database_choice_free(&choice);
    CHECK(database_choice_make(&backup, wrong, 2, &choice) != 0);
    backup.database_count = 0; /* a backup that does not say */
    CHECK(database_choice_make(&backup, names, 1, &choice) != 0);
}

/* Ranges */

static struct backup_part *make_part(size_t files, uint64_t stored)
{
    char name[] = "main-00000001", path[] = "base/1/0";
    struct index_entry line = {.line = INDEX_PART, .path = name, .bytes = 512 + files * stored};
    struct backup_part *part = backup_part_new(&line);

    REQUIRE(part != NULL);
    for (size_t i = 0; i < files; i++) { /* behind a directory member */
        struct index_entry file = {
            .line = INDEX_FILE, .path = path, .offset = 512 + i * stored, .stored = stored};
        CHECK(backup_part_add(part, &file) == 0);
    }
    return part;
}

static void test_ranges(void)
{
    struct backup_part *part = make_part(1000, 8192);
    struct part_range range;

    CHECK(backup_part_range(part, 0, &range)); /* all of it */
    CHECK(range.offset == 0 && range.end == part->bytes && range.first == 0 && range.last == 1000);
    CHECK(!backup_part_range(part, range.last, &range));
    memset(part->left_out, true, 1000 * sizeof *part->left_out);
    CHECK(!backup_part_range(part, 0, &range));

    part->left_out[3] = part->left_out[5] = part->left_out[500] = false; /* near each other, and far away */
    CHECK(backup_part_range(part, 0, &range));
    CHECK(range.offset == 512 + 3 * 8192 && range.end == 512 + 6 * 8192);
    CHECK(range.first == 3 && range.last == 6);
    CHECK(backup_part_range(part, range.last, &range));
    CHECK(range.offset == 512 + 500 * 8192 && range.end == 512 + 501 * 8192 && range.last == 501);
    CHECK(!backup_part_range(part, range.last, &range));

    memset(part->left_out, false, 600 * sizeof *part->left_out); /* a fourth more does not matter then */
    part->left_out[0] = true;
    part->left_out[700] = false;
    CHECK(backup_part_range(part, 0, &range));
    CHECK(range.first == 1 && range.last == 701);
    part->left_out[999] = false;
    CHECK(backup_part_range(part, range.last, &range) && range.first == 999 && range.last == 1000);
    backup_part_free(part);
}

/* What is removed */

static char base[] = "/tmp/walferry-delta-XXXXXX";
static char data_path[64], fast_path[64];
static struct restore_place items[2];
static struct restore_places places = {.items = items, .count = 2, .is_delta = true};

static void make_file(const char *path, size_t bytes)
{
    int fd = open(unit_path("%s/%s", base, path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    REQUIRE(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
    close(fd);
}

static void make_directory(const char *path, mode_t mode)
{
    REQUIRE(mkdir(unit_path("%s/%s", base, path), mode) == 0);
}

static bool is_there(const char *path)
{
    struct stat status;

    return lstat(unit_path("%s/%s", base, path), &status) == 0;
}

static void make_trees(void)
{
    static const char *const directories[] = {
        "data",       "data/base", "data/base/1",    "data/base/2",    "data/pg_tblspc",
        "data/extra", "fast",      "fast/PG_15_1",   "fast/PG_14_9",   "fast/PG_15_1/1",
        "outside",    "former",    "former/PG_15_1", "former/PG_14_9", "data/extra/deep"};

    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++)
        make_directory(directories[i], 0700);
    make_file("data/base/1/1259", 8192);
    make_file("data/base/1/1249", 100);
    make_file("data/base/1/extra", 0);
    make_file("data/base/1/twice", 10);
    make_file("data/base/2/1259", 8192);
    make_file("data/" RESTORE_MARKER, 10);
    make_file("data/extra/deep/file", 0);
    make_file("fast/PG_15_1/1/16385", 0);
    make_file("fast/PG_15_1/1/16386", 0);
    make_file("fast/PG_14_9/16385", 0);
    make_file("outside/1259", 8192);
    make_file("former/PG_15_1/1", 0);
    make_file("former/PG_14_9/1", 0);
    REQUIRE(link(unit_path("%s/data/base/1/twice", base), unit_path("%s/outside/twice", base)) == 0);
    REQUIRE(symlink(unit_path("%s/outside", base), unit_path("%s/data/base/3", base)) == 0);
    REQUIRE(symlink(unit_path("%s/outside/1259", base), unit_path("%s/data/base/1/2600", base)) == 0);
    REQUIRE(symlink(fast_path, unit_path("%s/data/pg_tblspc/16400", base)) == 0);
    REQUIRE(symlink(unit_path("%s/former", base), unit_path("%s/data/pg_tblspc/16500", base)) == 0);
    REQUIRE(chmod(unit_path("%s/data/extra/deep", base), 0) == 0);
    REQUIRE(chmod(unit_path("%s/data/base/1", base), 0500) == 0);
}

static void open_places(void)
{
    snprintf(data_path, sizeof data_path, "%s/data", base);
    snprintf(fast_path, sizeof fast_path, "%s/fast", base);
    items[0] = (struct restore_place){.path = data_path, .fd = -1};
    items[1] = (struct restore_place){.oid = 16400, .path = fast_path, .location = fast_path, .fd = -1};
    make_trees();
    REQUIRE(restore_places_make(&places) == 0);
}

static struct path_set *want(void)
{
    struct path_set *wanted = path_set_new(NULL);

    REQUIRE(wanted != NULL);
    path_set_add(wanted, "base", PATH_SET_DIRECTORY, NULL);
    path_set_add(wanted, "base/1", PATH_SET_DIRECTORY, NULL);
    path_set_add(wanted, "base/3", PATH_SET_DIRECTORY, NULL);
    path_set_add(wanted, "pg_tblspc", PATH_SET_DIRECTORY, NULL);
    path_set_add(wanted, "pg_tblspc/16400/PG_15_1/1", PATH_SET_DIRECTORY, NULL);
    path_set_add(wanted, "base/1/1259", 8192, NULL);
    path_set_add(wanted, "base/1/1249", 8192, NULL);
    path_set_add(wanted, "base/1/2600", 8192, NULL);
    path_set_add(wanted, "base/1/twice", 10, NULL);
    path_set_add(wanted, "pg_tblspc/16400/PG_15_1/1/16385", 0, NULL);
    return wanted;
}

/* The caller, as the programs see it: nobody else's files can be made here. */
static uid_t user;
uid_t geteuid(void)
{
    return user;
}

static void test_cleaning(void)
{
    static const char *const left[] = {
        "data/base/1/1259", ("data/" RESTORE_MARKER), "fast/PG_15_1/1/16385", "fast/PG_14_9/16385",
        "outside/1259",     "outside/twice",          "data/pg_tblspc/16400", "former/PG_14_9/1"};
    static const char *const gone[] = {"data/base/1/1249",    "data/base/1/extra", "data/base/1/twice",
                                       "data/base/2",         "data/base/3",       "data/base/1/2600",
                                       "data/extra",          "former/PG_15_1",    "fast/PG_15_1/1/16386",
                                       "data/pg_tblspc/16500"};
    struct path_set *wanted = want();
    struct clean_settings settings = {&places, wanted, "PG_15_1"};
    uint64_t bytes = 1;

    CHECK(restore_measure(&settings, &items[1], &bytes) == 0 && bytes == 0);
    CHECK(restore_clean(&settings) == 0);
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
        if (!is_there(left[i]))
            CHECK_TEXT("removed", left[i]);
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        if (is_there(gone[i]))
            CHECK_TEXT("left", gone[i]);
    CHECK(restore_clean(&settings) == 0); /* there is nothing more to do */
    CHECK(is_there("data/base/1/1259"));
    user++; /* a server could not write to what belongs to another */
    CHECK(restore_clean(&settings) == 0 && !is_there("data/base/1/1259") && is_there("data/base/1"));
    path_set_free(wanted);
}

int main(int argc, char **argv)
{
    (void)argv;
    log_open("test_delta", argc > 1 ? LOG_DEBUG : LOG_ERROR + 1, false);
    user = getuid();
    test_databases();
    test_ranges();
    REQUIRE(mkdtemp(base) != NULL);
    open_places();
    test_cleaning();
    for (size_t i = 0; i < places.count; i++)
        close(items[i].fd);
    unit_remove_tree(base);
    return unit_done("test_delta");
}
