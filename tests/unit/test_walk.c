/* What belongs into a backup and what does not: names first, then a directory made for the purpose. */
#include "unit.h"

#include "basebackup/exclude.h"
#include "basebackup/walk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_names(void)
{
    static const struct {
        const char *directory, *name;
        bool excluded;
    } table[] = {
        {"", "postmaster.pid", true},         {"", "postmaster.opts", true},
        {"", "postmaster.pid2", false},       {"", "backup_label", true},
        {"", "backup_label.old", false},      {"", "tablespace_map", true},
        {"", "backup_manifest", true},        {"", "postgresql.auto.conf.tmp", true},
        {"", "postgresql.auto.conf", false},  {"", "current_logfiles", false},
        {"", "current_logfiles.tmp", true},   {"", "standby.signal", true},
        {"", "recovery.signal", true},        {"base/5", "standby.signal", false},
        {"global", "pg_internal.init", true}, {"base/5", "pg_internal.init.12345", true},
        {"base", "pgsql_tmp", true},          {"base/pgsql_tmp", "pgsql_tmp123.0", true},
        {"global", "pg_filenode.map", false}, {"", "PG_VERSION", false},
        {"log", "postgresql.log", false},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        CHECK(exclude_name(table[i].directory, table[i].name) == table[i].excluded);
    CHECK(exclude_contents("pg_notify") && exclude_contents("pg_replslot") &&
          exclude_contents("pg_stat_tmp"));
    CHECK(!exclude_contents("pg_stat") && !exclude_contents("pg_xact") && !exclude_contents("pg_wal"));
}

static void test_relation_names(void)
{
    static const struct {
        const char *name;
        bool relation, temporary;
        uint32_t number, segment;
        enum relation_fork fork;
    } table[] = {
        {"16384", true, false, 16384, 0, FORK_MAIN},
        {"16384.1", true, false, 16384, 1, FORK_MAIN},
        {"16384_fsm", true, false, 16384, 0, FORK_FREE_SPACE_MAP},
        {"16384_vm.12", true, false, 16384, 12, FORK_VISIBILITY_MAP},
        {"16384_init", true, false, 16384, 0, FORK_INIT},
        {"4294967295", true, false, 4294967295u, 0, FORK_MAIN},
        {"4294967296", false, false, 0, 0, FORK_MAIN},
        {"016384", false, false, 0, 0, FORK_MAIN},
        {"0", false, false, 0, 0, FORK_MAIN},
        {"16384.", false, false, 0, 0, FORK_MAIN},
        {"16384.0", false, false, 0, 0, FORK_MAIN},
        {"16384_foo", false, false, 0, 0, FORK_MAIN},
        {"16384_fsm_vm", false, false, 0, 0, FORK_MAIN},
        {"16384 ", false, false, 0, 0, FORK_MAIN},
        {"PG_VERSION", false, false, 0, 0, FORK_MAIN},
        {"t3_16384", false, true, 0, 0, FORK_MAIN},
        {"t3_16384_fsm", false, true, 0, 0, FORK_MAIN},
        {"t3_16384.2", false, true, 0, 0, FORK_MAIN},
        {"t3_16384_vm.2", false, true, 0, 0, FORK_MAIN},
        {"t3", false, false, 0, 0, FORK_MAIN},
        {"t_16384", false, false, 0, 0, FORK_MAIN},
        {"t3_", false, false, 0, 0, FORK_MAIN},
        {"t3_16384x", false, false, 0, 0, FORK_MAIN},
        {"", false, false, 0, 0, FORK_MAIN},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct relation_name relation = {0, FORK_MAIN, 0};
        CHECK(relation_name_parse(table[i].name, &relation) == table[i].relation);
        CHECK(relation.number == table[i].number && relation.segment == table[i].segment &&
              relation.fork == table[i].fork);
        CHECK(relation_name_is_temporary(table[i].name) == table[i].temporary);
    }
}

static char root[] = "/tmp/walferry-test-walk.XXXXXX";

/* A path that ends with a slash is a directory; one with "->" a link. */
static void make(const char *path)
{
    char full[256], *arrow;

    snprintf(full, sizeof full, "%s/%s", root, path);
    if ((arrow = strstr(full, "->")) != NULL) {
        *arrow = '\0';
        CHECK(symlink(arrow + 2, full) == 0);
    } else if (full[strlen(full) - 1] == '/') {
        full[strlen(full) - 1] = '\0';
        CHECK(mkdir(full, 0750) == 0);
    } else {
        FILE *file = fopen(full, "w");
        CHECK(file != NULL && fputs("12345", file) >= 0);
        if (file != NULL)
            fclose(file);
    }
}

/* What is made, and how it has to be told: d directory, f file, p file with pages, - not at all. */
static const struct {
    const char *path;
    char told;
} cluster[] = {
    {"PG_VERSION", 'f'},
    {"postmaster.pid", '-'},
    {"standby.signal", '-'},
    {"backup_label", '-'},
    {"postgresql.conf->/etc/hostname", '-'},
    {"global/", 'd'},
    {"global/pg_control", '-'},
    {"global/pg_filenode.map", 'f'},
    {"global/pg_internal.init", '-'},
    {"global/1260", 'p'},
    {"global/1260_vm", 'p'},
    {"base/", 'd'},
    {"base/pgsql_tmp/", '-'},
    {"base/pgsql_tmp/pgsql_tmp1.0", '-'},
    {"base/5/", 'd'},
    {"base/5/PG_VERSION", 'f'},
    {"base/5/1259", 'p'},
    {"base/5/1259.1", 'p'},
    {"base/5/16384", '-'}, /* unlogged: only its init fork */
    {"base/5/16384.1", '-'},
    {"base/5/16384_fsm", '-'},
    {"base/5/16384_init", 'p'},
    {"base/5/t3_16390", '-'},
    {"base/5/t3_16390_fsm", '-'},
    {"base/5/foreign", 'f'},
    {"base/5/sub/", 'd'},
    {"base/5/sub/1259", 'f'}, /* no relation lies there */
    {"base/foreign/", 'd'},
    {"base/foreign/1259", 'f'},
    {"base/foreign/t3_16390", 'f'},
    {"pg_wal/", 'd'},
    {"pg_wal/000000010000000000000001", '-'},
    {"pg_wal/archive_status/", 'd'},
    {"pg_wal/archive_status/000000010000000000000001.done", '-'},
    {"pg_wal/summaries/", '-'}, /* told for 17 and later */
    {"pg_replslot/", 'd'},
    {"pg_replslot/slot/", '-'},
    {"pg_notify->/tmp", 'd'}, /* a link to elsewhere; kept empty, as a directory */
    {"stats/", 'd'},
    {"stats/global.stat", '-'},
    {"inside/", 'd'}, /* a tablespace made in the data directory */
    {"inside/PG_15_202209061/", '-'},
    {"pg_tblspc/", 'd'},
    {"pg_tblspc/16400->/tmp", '-'},
    {"pg_tblspc/16401/", 'd'}, /* made in place */
    {"pg_tblspc/16401/PG_15_202209061/", 'd'},
    {"pg_tblspc/16401/PG_15_202209061/5/", 'd'},
    {"pg_tblspc/16401/PG_15_202209061/5/16402", 'p'},
    {"log/", 'd'},
    {"log/postgresql.log", 'f'},
    {"pg_xact/", 'd'},
    {"pg_xact/0000", 'f'},
};
#define CLUSTER_COUNT (sizeof cluster / sizeof *cluster)

static bool is_same_path(const char *made, const char *told)
{
    size_t length = strcspn(made, "-");

    if (strstr(made, "->") == NULL)
        length = strlen(made);
    if (length > 0 && made[length - 1] == '/')
        length--;
    return strlen(told) == length && strncmp(made, told, length) == 0;
}

static void test_cluster(unsigned version)
{
    char seen[CLUSTER_COUNT] = {0}, path[256];
    struct walk_settings settings = {
        .root = root,
        .version_directory = "PG_15_202209061",
        .postgresql_version = version,
        .stats_directory = "stats",
        .wants_sizes = true,
        .is_silent = true,
    };
    struct walk_place place;
    struct walk_entry entry;
    struct stat status;
    uint64_t bytes = 0, files = 0;
    int told;

    snprintf(path, sizeof path, "%s/inside", root);
    CHECK(stat(path, &status) == 0);
    place = (struct walk_place){status.st_dev, status.st_ino};
    settings.kept_empty = &place;
    settings.kept_empty_count = 1;
    struct walk *walk = walk_open(&settings);
    CHECK(walk != NULL);
    while ((told = walk != NULL ? walk_next(walk, &entry) : -1) == 1) {
        size_t i = 0;
        while (i < CLUSTER_COUNT && !is_same_path(cluster[i].path, entry.path))
            i++;
        if (i == CLUSTER_COUNT || seen[i] != 0) {
            fprintf(stderr, "%s was not expected\n", entry.path);
            CHECK(false);
            continue;
        }
        seen[i] = entry.is_directory ? 'd' : entry.has_pages ? 'p' : 'f';
        if (strcmp(entry.path, "base/5/1259.1") == 0)
            CHECK(entry.segment == 1);
        if (entry.is_directory && strcmp(entry.path, "pg_notify") != 0)
            CHECK(entry.mode == 0750);
        bytes += entry.bytes;
        files += !entry.is_directory;
    }
    CHECK(told == 0);
    CHECK(bytes == 5 * files);
    walk_close(walk);
    for (size_t i = 0; i < CLUSTER_COUNT; i++) {
        char expected = cluster[i].told == '-' ? 0 : cluster[i].told;
        if (version >= 17 && strcmp(cluster[i].path, "pg_wal/summaries/") == 0)
            expected = 'd';
        if (seen[i] != expected)
            fprintf(stderr, "%s: told as '%c', expected '%c'\n", cluster[i].path, seen[i], expected);
        CHECK(seen[i] == expected);
    }
}

static void test_tablespace(void)
{
    static const char *const expected[] = {"PG_15_202209061", "PG_15_202209061/5", "PG_15_202209061/5/16402"};
    char location[256];
    struct walk_settings settings = {.root = location,
                                     .is_tablespace = true,
                                     .version_directory = "PG_15_202209061",
                                     .postgresql_version = 15};
    struct walk_entry entry;

    snprintf(location, sizeof location, "%s/pg_tblspc/16401", root);
    make("pg_tblspc/16401/PG_14_202107181/"); /* another server's */
    struct walk *walk = walk_open(&settings);
    CHECK(walk != NULL);
    for (size_t i = 0; walk != NULL && i < 3; i++) {
        CHECK(walk_next(walk, &entry) == 1);
        CHECK_TEXT(entry.path, expected[i]);
        CHECK(entry.is_directory == (i < 2) && entry.has_pages == (i == 2));
    }
    CHECK(walk != NULL && walk_next(walk, &entry) == 0);
    walk_close(walk);

    snprintf(location, sizeof location, "%s/pg_tblspc/99999", root); /* dropped */
    walk = walk_open(&settings);
    CHECK(walk != NULL && walk_next(walk, &entry) == 0);
    walk_close(walk);
}

int main(void)
{
    test_names();
    test_relation_names();
    CHECK(mkdtemp(root) != NULL);
    for (size_t i = 0; i < CLUSTER_COUNT; i++)
        make(cluster[i].path);
    test_cluster(15);
    test_cluster(17);
    test_tablespace();
    unit_remove_tree(root);
    return unit_done("test_walk");
}
