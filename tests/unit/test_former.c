/* basebackup-fetch: what is in the places before something is restored into them. */
#include "basebackup/restore_marker.h"
#include "basebackup/restore_place.h"
#include "common/file.h"
#include "common/log.h"
#include "unit.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

static char base[] = "/tmp/walferry-former-XXXXXX";
static char data_path[64], fast_path[64];
static struct restore_place items[2];
static struct restore_places places = {.items = items, .count = 2};
static struct former former = {.kind = FORMER_NOTHING, .path = data_path};

static void put(const char *path)
{
    CHECK(file_replace(unit_path("%s/%s", base, path), "x", 1, 0600) == 0);
}

static void take(const char *path)
{
    CHECK(unlink(unit_path("%s/%s", base, path)) == 0);
}

static void close_places(void)
{
    for (size_t i = 0; i < places.count; i++)
        close(items[i].fd);
}

static void open_places(void)
{
    snprintf(data_path, sizeof data_path, "%s/data", base);
    snprintf(fast_path, sizeof fast_path, "%s/fast", base);
    items[0] = (struct restore_place){.path = data_path, .fd = -1};
    items[1] = (struct restore_place){.oid = 16400, .path = fast_path, .location = fast_path, .fd = -1};
    REQUIRE(restore_places_make(&places) == 0);
}

/* What is found when the lock is held counts, not what was found before. */
static void test_lock(void)
{
    static const char *const in_the_way[] = {"data/file", "fast/file", ("data/" RESTORE_MARKER)};

    for (size_t i = 0; i < places.count; i++) {
        int fd = open(items[i].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
        CHECK(former_lock(&places, &former) != 0);
        close(fd);
    }
    for (size_t i = 0; i < sizeof in_the_way / sizeof in_the_way[0]; i++) {
        put(in_the_way[i]);
        CHECK(former_lock(&places, &former) != 0);
        take(in_the_way[i]);
    }
    CHECK(former_lock(&places, &former) == 0);
}

/* A restore that is interrupted at once: its links are not made yet, or those of the former cluster gone. */
static void test_marker(void)
{
    struct backup backup = {.system_identifier = 4711, .id = "id"};
    struct former now;

    put("fast/file");
    CHECK(former_begin(&places, &backup, NULL) == 0);
    CHECK(former_look(data_path, false, &now) != 0);
    CHECK(former_look(data_path, true, &now) == 0);
    CHECK(now.kind == FORMER_HALF_DONE && now.system_identifier == 4711);
    CHECK(former_has_tablespace(&now, fast_path) && !former_has_tablespace(&now, base));
    CHECK(restore_marker_remove(&places) == 0);
    CHECK(former_look(data_path, false, &now) == 0 && !former_has_tablespace(&now, fast_path));
    take("fast/file");
}

/* Of a cluster whose pg_wal is to be kept. */
static void test_pending(void)
{
    struct backup backup = {.system_identifier = 4711, .id = "id"};
    struct former cluster = {.kind = FORMER_CLUSTER, .path = data_path}, now;

    CHECK(!former_has_written(&cluster));
    CHECK(mkdir(unit_path("%s/data/global", base), 0700) == 0);
    put("data/global/pg_control");
    CHECK(rename(unit_path("%s/global/pg_control", data_path),
                 unit_path("%s/global/pg_control.walferry", data_path)) == 0);
    now = (struct former){.kind = FORMER_HALF_DONE, .path = data_path};
    CHECK(!former_has_written(&now)); /* it had taken pg_control its name, and no more */
    CHECK(rename(unit_path("%s/global/pg_control.walferry", data_path),
                 unit_path("%s/global/pg_control", data_path)) == 0);
    CHECK(former_begin(&places, &backup, unit_path("%s/aside", base)) == 0);
    CHECK(former_look(data_path, true, &now) == 0 && !former_has_written(&now));
    put("aside");
    CHECK(former_has_written(&now));
    CHECK(former_begin(&places, &backup, NULL) == 0 && former_has_written(&now));
    former_give_back(&places, &now); /* it was half done before */
    CHECK(file_exists(unit_path("%s/" RESTORE_MARKER, data_path)));
    former_give_back(&places, &cluster);
    CHECK(!file_exists(unit_path("%s/" RESTORE_MARKER, data_path)));
    take("data/global/pg_control");
    CHECK(rmdir(unit_path("%s/data/global", base)) == 0);
}

/* A marker's writing that was cut short. */
static void test_leftover(void)
{
    struct backup backup = {.system_identifier = 4711, .id = "id"};
    struct former now;
    char found[NAME_MAX + 1];

    put("data/." RESTORE_MARKER ".0123456789abcde.walferry"); /* not of ours */
    CHECK(former_look(data_path, false, &now) != 0);
    take("data/." RESTORE_MARKER ".0123456789abcde.walferry");
    put("data/." RESTORE_MARKER ".0123456789abcdef.walferry");
    CHECK(former_look(data_path, false, &now) == 0 && now.kind == FORMER_NOTHING);
    CHECK(former_look(data_path, true, &now) == 0 && now.kind == FORMER_NOTHING);
    CHECK(former_lock(&places, &now) == 0 && former_begin(&places, &backup, NULL) == 0);
    CHECK(!file_exists(unit_path("%s/." RESTORE_MARKER ".0123456789abcdef.walferry", data_path)));
    CHECK(restore_marker_remove(&places) == 0);
    CHECK(restore_look_into(data_path, found) == 0);
    CHECK_TEXT(found, "");
}

int main(int argc, char **argv)
{
    (void)argv;
    log_open("test_former", argc > 1 ? LOG_DEBUG : LOG_ERROR + 1, false);
    REQUIRE(mkdtemp(base) != NULL);
    open_places();
    test_lock();
    test_marker();
    test_leftover();
    test_pending();
    close_places();
    unit_remove_tree(base);
    return unit_done("test_former");
}
