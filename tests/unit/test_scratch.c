/* The place of a drill: made, locked, and removed with all that is in it, whoever has left it. */
#include "common/file.h"
#include "common/log.h"
#include "restore-drill/scratch.h"
#include "unit.h"

#include <sys/stat.h>

static char base[] = "/tmp/walferry-scratch-XXXXXX";

static const char *in(const char *name)
{
    return unit_path("%s/%s", base, name);
}

static bool is_refused(const char *parent, const char *reason)
{
    struct scratch scratch;

    unit_listen();
    int result = scratch_open(parent, &scratch);
    bool is_heard = unit_heard(reason);
    scratch_close(&scratch, false);
    return result != 0 && is_heard;
}

static void fill(const char *parent)
{
    char data[128];

    snprintf(data, sizeof data, "%s/restore-drill/data/pg_tblspc", parent);
    CHECK(file_make_directories(data, 0700) == 0);
    CHECK(symlink(base, unit_path("%s/16384", data)) == 0); /* not followed */
    CHECK(chmod(data, 0500) == 0);
    unit_write(unit_path("%s/restore-drill/data/PG_VERSION", parent), "15\n", 3);
}

static void test_life(void)
{
    char parent[64];
    struct scratch scratch;
    struct stat status;
    uint64_t bytes;

    snprintf(parent, sizeof parent, "%s/new/parent", base);
    CHECK(scratch_open(parent, &scratch) == 0);
    CHECK(stat(scratch.path, &status) == 0 && (status.st_mode & 0777) == 0700);
    CHECK(is_refused(parent, "another drill is at work"));
    fill(parent);
    CHECK(scratch_bytes(&scratch, &bytes) == 0 && bytes > 0);
    char *log = path_join(scratch.path, "server.log");
    unit_write(log, "x", 1);
    char *kept = scratch_save(&scratch, log, 1795254000000000);
    CHECK(kept != NULL && file_exists(kept) && !file_exists(log));
    CHECK(scratch_save(&scratch, log, 1795254000000000) == NULL); /* there is none, and nothing is said */
    CHECK(scratch_close(&scratch, false) == 0);
    CHECK(!file_exists(in("new/parent/restore-drill")) && file_exists(kept) && file_exists(base));
    free(log);
    free(kept);
}

static void test_leftovers(void)
{
    char parent[64];
    struct scratch scratch;

    snprintf(parent, sizeof parent, "%s/killed", base);
    CHECK(file_make_directories(in("killed/restore-drill"), 0700) == 0);
    fill(parent);
    CHECK(scratch_open(parent, &scratch) == 0);
    CHECK(!file_exists(in("killed/restore-drill/data")));
    CHECK(scratch_close(&scratch, true) == 0); /* kept */
    CHECK(is_refused(parent, "an earlier drill with --keep has left"));
    CHECK(unlink(in("killed/restore-drill/KEPT")) == 0 && rmdir(in("killed/restore-drill")) == 0);
    CHECK(symlink(base, in("killed/restore-drill")) == 0);
    CHECK(is_refused(parent, "is not a directory of ours"));
    CHECK(unlink(in("killed/restore-drill")) == 0);
}

static void test_places(void)
{
    CHECK(file_make_directories(in("data/base"), 0700) == 0);
    unit_write(in("data/PG_VERSION"), "15\n", 3);
    CHECK(is_refused(in("data/base/drill"), "lies in a data directory"));
    CHECK(is_refused(in("data"), "lies in a data directory"));
    CHECK(!file_exists(in("data/base/drill")) && !file_exists(in("data/restore-drill")));
    CHECK(file_make_directories(in("locked"), 0700) == 0 && chmod(in("locked"), 0500) == 0);
    if (geteuid() != 0)
        CHECK(is_refused(in("locked"), "could not create directory"));
}

int main(void)
{
    REQUIRE(mkdtemp(base) != NULL);
    log_open("test", LOG_INFO, false);
    test_life();
    test_leftovers();
    test_places();
    unit_remove_tree(base);
    return unit_done("test_scratch");
}
