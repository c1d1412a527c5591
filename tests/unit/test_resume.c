/* What an interrupted backup leaves in state_dir: its note, and its index, which is read as far as it is
 * whole, wherever it was torn. */
#include "basebackup/old_index.h"
#include "basebackup/running.h"
#include "basebackup/unchanged.h"
#include "common/log.h"
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#define ID "20261120T020003Z-00000001-0000000A1F000028"
#define OTHER_ID "20261120T030003Z-00000001-0000000A2F000028"
#define SYSTEM 7301234567890123456u

static char directory[] = "/tmp/walferry-resume-XXXXXX";
static struct state state = {directory};

/* A catalog of two lanes: directories, a part of two files, a file in three pieces, a part. */

static void fill_lines(struct buffer *lines, struct index_entry entry, const char *path, unsigned number)
{
    for (unsigned i = 0; i < number; i++) {
        entry.line = INDEX_FILE;
        entry.path = string_printf("%s%u", path, i);
        CHECK(index_entry_write(&entry, lines) == 0);
        entry.offset += entry.stored;
        free(entry.path);
    }
}

static void add_part(struct catalog *catalog, struct catalog_split *split, unsigned piece, const char *name,
                     const struct buffer *lines, unsigned files)
{
    struct catalog_part parts[2];

    for (size_t i = 0; i < 2; i++)
        parts[i] = (struct catalog_part){.entry = {.line = INDEX_PART,
                                                   .path = (char *)name,
                                                   .bytes = 5000,
                                                   .codec = i == 0 ? CODEC_LZ4 : CODEC_NONE,
                                                   .files = files},
                                         .lines = lines};
    CHECK((split == NULL ? catalog_add_part(catalog, parts, 100)
                         : catalog_add_piece(split, piece, parts, 100)) == 0);
}

static void write_catalog(void)
{
    struct catalog *catalog = catalog_open(directory, true, ID, 2);
    struct index_entry file = {.bytes = 100, .mode = 0600, .stored = 1000, .header = 512};
    struct buffer lines = BUFFER_EMPTY;
    char name[32];

    REQUIRE(catalog != NULL);
    CHECK(catalog_add_directory(catalog, "base", 0700) == 0);
    fill_lines(&lines, file, "base/a", 2);
    add_part(catalog, NULL, 0, "main-00000001", &lines, 2);
    struct catalog_split *split = catalog_split_new(catalog, 3);
    REQUIRE(split != NULL);
    for (unsigned i = 3; i-- > 0;) { /* the last one first */
        struct index_entry piece = file;
        snprintf(name, sizeof name, "main-0000000%u", i + 2);
        piece.at = 100 * i;
        piece.of = 300;
        piece.stored = 5000;
        piece.header = i == 0 ? 512 : 0;
        buffer_clear(&lines);
        fill_lines(&lines, piece, "base/large", 1);
        add_part(catalog, split, i, name, &lines, i == 0);
    }
    catalog_split_free(split);
    CHECK(catalog_add_directory(catalog, "base/2", 0700) == 0);
    buffer_clear(&lines);
    fill_lines(&lines, file, "base/b", 1);
    add_part(catalog, NULL, 0, "main-00000005", &lines, 1);
    CHECK(catalog_totals(catalog, 1).parts == 5 && catalog_totals(catalog, 1).files == 4);
    buffer_free(&lines);
    catalog_close(catalog);
}

static struct target lane_targets[] = {{.is_open = true, .lane = 0}, {.is_open = true, .lane = 1}};
static const struct targets two_lanes = {.items = lane_targets, .count = 2, .lane_count = 2};

/* How many parts come out, as "1,3,1". */
static const char *read_units(void)
{
    static char text[64];
    struct old_index *index = old_index_open(directory, ID, &two_lanes);
    struct old_unit unit;
    int told;

    *text = '\0';
    REQUIRE(index != NULL);
    while ((told = old_index_next(index, &unit)) == 1) {
        const struct old_part *first = old_unit_part(&unit, 0, 0), *second = old_unit_part(&unit, 0, 1);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%zu,", unit.count);
        CHECK(first->part->codec == CODEC_LZ4 && second->part->codec == CODEC_NONE);
        CHECK(first->lines.length == second->lines.length && first->part->count == second->part->count);
        CHECK(strncmp(buffer_string(&first->lines), "{\"file\":", 8) == 0);
        old_unit_free(&unit);
    }
    CHECK(told == 0);
    old_index_close(index);
    return text;
}

/* A lane of which no repository lives does not keep the other from being read, whatever it has. */
static void check_dead_lane(size_t dead)
{
    struct old_index *index;
    struct old_unit unit;
    size_t count = 0;

    lane_targets[dead].is_given_up = true;
    index = old_index_open(directory, ID, &two_lanes);
    REQUIRE(index != NULL);
    while (old_index_next(index, &unit) == 1) {
        count += unit.count;
        CHECK(old_unit_part(&unit, 0, dead)->part == NULL);
        CHECK(old_unit_any(&unit, 0) == old_unit_part(&unit, 0, 1 - dead)->part);
        CHECK(old_unit_any(&unit, 0)->count > 0);
        old_unit_free(&unit);
    }
    CHECK(count == 5);
    old_index_close(index);
    lane_targets[dead].is_given_up = false;
}

static void test_old_index(void)
{
    char *path = running_index_path(directory, ID, 1);
    struct stat status;
    int whole = 0;

    write_catalog();
    CHECK_TEXT(read_units(), "1,3,1,");
    check_dead_lane(0);
    REQUIRE(stat(path, &status) == 0);
    unit_listen();
    for (off_t length = status.st_size - 1; length >= 0; length--) { /* torn in one lane, wherever */
        CHECK(truncate(path, length) == 0);
        const char *units = read_units();
        CHECK(strcmp(units, "1,3,") == 0 || strcmp(units, "1,") == 0 || *units == '\0');
        whole += strcmp(units, "1,3,") == 0;
        CHECK(truncate(path, status.st_size) == 0); /* zeros at its end */
        CHECK_TEXT(read_units(), units);
    }
    CHECK_TEXT(unit_listened(), ""); /* it is usual */
    CHECK(whole > 100);
    CHECK(truncate(path, 100) == 0);
    check_dead_lane(1);
    CHECK(unlink(path) == 0);
    check_dead_lane(1);
    unit_listen();
    CHECK(old_index_open(directory, ID, &two_lanes) == NULL);
    CHECK_TEXT(unit_listened(), ""); /* killed at its beginning: no error */
    free(path);
    path = running_index_path(directory, ID, 0);
    CHECK(unlink(path) == 0);
    free(path);
}

/* Notes */

static struct config config = {.cluster_name = (char *)"main"};
static struct repository_config here = {.name = (char *)"here", .url = (char *)"file:///a"};
static struct repository_config there = {.name = (char *)"there", .url = (char *)"file:///b"};

static const char *unwanted = "";

static bool is_wanted(const void *context, const char *id)
{
    CHECK(context == &config);
    return strcmp(id, unwanted) != 0;
}

static const char *found(const struct targets *targets, uint32_t timeline)
{
    static struct interrupted interrupted;
    struct running_wish wish = {targets, timeline, is_wanted, &config};

    running_find(&state, &wish, &interrupted);
    if (interrupted.fd < 0)
        return "";
    close(interrupted.fd);
    return interrupted.id;
}

static void test_running(void)
{
    struct target target = {.repository = {.config = &config, .settings = &here}};
    struct compression lz4 = {CODEC_LZ4, 1}, zstd = {CODEC_ZSTD, 1};
    struct targets targets = {.items = &target,
                              .count = 1,
                              .lanes = &lz4,
                              .lane_count = 1,
                              .system_identifier = SYSTEM,
                              .id = ID};
    struct running running, second;
    struct catalog *catalog = catalog_open(directory, true, ID, 1);

    CHECK_TEXT(found(&targets, 1), "");
    running_begin(&state, &targets, 1, &running);
    CHECK(running.fd >= 0);
    CHECK_TEXT(found(&targets, 1), ""); /* it runs */
    running_close(&running);
    CHECK_TEXT(found(&targets, 1), ID);
    CHECK_TEXT(found(&targets, 2), "");
    targets.system_identifier++;
    CHECK_TEXT(found(&targets, 1), "");
    targets.system_identifier--;
    target.repository.settings = &there;
    CHECK_TEXT(found(&targets, 1), "");
    target.repository.settings = &here;
    targets.lanes = &zstd;
    CHECK_TEXT(found(&targets, 1), "");
    targets.lanes = &lz4;
    /* of two the one with more in its index, whichever comes first */
    memcpy(targets.id, OTHER_ID, sizeof OTHER_ID);
    running_begin(&state, &targets, 1, &running);
    running_close(&running);
    CHECK_TEXT(found(&targets, 1), ID);
    struct catalog *other = catalog_open(directory, true, OTHER_ID, 1);
    CHECK(catalog_add_directory(other, "base", 0700) == 0);
    CHECK_TEXT(found(&targets, 1), OTHER_ID);
    unwanted = OTHER_ID; /* it is too old: then the other */
    CHECK_TEXT(found(&targets, 1), ID);
    unwanted = "";
    /* what runs is not forgotten, all else is */
    memcpy(targets.id, "20261120T040003Z-00000001-0000000A3F000028", sizeof ID);
    running_begin(&state, &targets, 1, &second);
    int fd = open(unit_path("%s/backup-%s.json", directory, ID), O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    running_forget(&second);
    CHECK_TEXT(found(&targets, 1), "");
    CHECK(access(unit_path("%s/backup-%s.index-0", directory, ID), F_OK) != 0);
    CHECK(access(unit_path("%s/backup-%s.json", directory, OTHER_ID), F_OK) != 0);
    close(fd);
    catalog_close(catalog);
    catalog_close(other);
    /* without a state directory nothing is noted */
    struct state none = {NULL};
    running_begin(&none, &targets, 1, &running);
    CHECK(running.fd < 0);
    running_forget(&running);
}

/* A file of one page that looks wrong, and whose content is as it was: not taken over where it is a relation.
 */
static void check_bad_page(const struct tree *tree, const char *path, bool has_pages)
{
    struct page_check pages = {.block_bytes = 8192, .segment_blocks = 131072};
    struct index_entry entry = {
        .line = INDEX_FILE, .path = (char *)path, .bytes = 8192, .mode = 0600, .header = 512};
    unsigned char content[8192];
    struct rate rate;

    memset(content, 'x', sizeof content);
    unit_write(unit_path("%s/data/%s", directory, path), content, sizeof content);
    CHECK(chmod(unit_path("%s/data/%s", directory, path), 0600) == 0);
    CHECK(sha256_of(content, sizeof content, entry.sha256) == 0);
    rate_init(&rate, 0);
    for (int i = 0; i < 2; i++) {
        struct unchanged *unchanged = unchanged_new(tree, i == 0 ? NULL : &pages, &rate);
        REQUIRE(unchanged != NULL);
        CHECK(unchanged_next(unchanged, &tree->roots[0], &entry) == (i == 0 || !has_pages));
        unchanged_free(unchanged);
    }
    rate_destroy(&rate);
}

static void test_pages(void)
{
    static const char *const directories[] = {"",
                                              "/global",
                                              "/base",
                                              "/base/5",
                                              "/pg_tblspc",
                                              "/pg_tblspc/16401", /* made in place */
                                              "/pg_tblspc/16401/PG_15_202209061",
                                              "/pg_tblspc/16401/PG_15_202209061/5"};
    struct pg_control control = {.catalog_version = 202209061};
    struct tree tree;

    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++)
        CHECK(mkdir(unit_path("%s/data%s", directory, directories[i]), 0700) == 0);
    REQUIRE(tree_open(unit_path("%s/data", directory), &control, 15, NULL, &tree) == 0);
    REQUIRE(tree_scan(&tree, false) == 0);
    check_bad_page(&tree, "base/5/PG_VERSION", false);
    check_bad_page(&tree, "base/16402", false);
    check_bad_page(&tree, "base/5/16402", true);
    check_bad_page(&tree, "global/1262", true);
    check_bad_page(&tree, "pg_tblspc/16401/PG_15_202209061/16402", false);
    check_bad_page(&tree, "pg_tblspc/16401/PG_15_202209061/5/16402.1", true);
    tree_close(&tree);
}

int main(void)
{
    log_open("test_resume", LOG_ERROR, false);
    REQUIRE(mkdtemp(directory) != NULL);
    test_old_index();
    test_running();
    test_pages();
    unit_remove_tree(directory);
    return unit_done("resume");
}
