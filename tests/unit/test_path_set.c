/* A set of paths: what is in it and what is not, while it grows, and from several threads. */
#include "basebackup/path_set.h"
#include "common/log.h"
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#define PATHS 20000u

static void test_files_and_directories(void)
{
    struct path_set *set = path_set_new(NULL);
    char path[5000];

    REQUIRE(set != NULL);
    CHECK(!path_set_has(set, "base/1/1259", 8192) && !path_set_has(set, "base", PATH_SET_DIRECTORY));
    CHECK(path_set_add(set, "base", PATH_SET_DIRECTORY, NULL) == 0 &&
          path_set_add(set, "base/1/1259", 8192, NULL) == 0);
    CHECK(path_set_add(set, "base/1/1249", PATH_SET_NAME, NULL) == 0);
    CHECK(path_set_has(set, "base", PATH_SET_DIRECTORY) && !path_set_has(set, "base", 0));
    CHECK(path_set_has(set, "base/1/1259", 8192) && !path_set_has(set, "base/1/1259", 8193));
    CHECK(!path_set_has(set, "base/1/1259", PATH_SET_DIRECTORY));
    CHECK(path_set_has(set, "base/1/1249", PATH_SET_NAME) && !path_set_has(set, "base/1/1249", 0));
    memset(path, 'x', sizeof path - 1); /* longer than any file of a backup can have it */
    path[sizeof path - 1] = '\0';
    CHECK(!path_set_has(set, path, 0) && !path_set_has(set, path, PATH_SET_DIRECTORY));
    path_set_free(set);
    path_set_free(NULL);
}

static void make_path(char path[32], unsigned i)
{
    snprintf(path, 32, "base/1/%u", i);
}

static atomic_uint new_ones;

/* Each adds every path, and sees what it has added. */
static void *add_all(void *argument)
{
    char path[32];
    size_t faults = 0;
    bool is_new;

    for (unsigned i = 0; i < PATHS; i++) {
        make_path(path, i);
        faults += path_set_add(argument, path, i, &is_new) != 0 || !path_set_has(argument, path, i);
        new_ones += is_new;
    }
    return faults == 0 ? argument : NULL;
}

static void test_threads(void)
{
    struct path_set *set = path_set_new("/tmp");
    pthread_t threads[4];
    unsigned missing = 0, false_ones = 0;
    char path[32];

    REQUIRE(set != NULL);
    for (size_t i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, add_all, set) == 0);
    for (size_t i = 0; i < 4; i++) {
        void *result;
        CHECK(pthread_join(threads[i], &result) == 0 && result == set);
    }
    CHECK(new_ones == PATHS);
    for (unsigned i = 0; i < 2 * PATHS; i++) {
        make_path(path, i);
        missing += i < PATHS && !path_set_has(set, path, i);
        false_ones += (i >= PATHS && path_set_has(set, path, i)) || path_set_has(set, path, i + 1);
    }
    CHECK(missing == 0 && false_ones == 0);
    path_set_free(set);
}

static void test_refused(void)
{
    log_set_threshold((enum log_level)(LOG_ERROR + 1));
    CHECK(path_set_new("/nonexistent") == NULL);
    log_set_threshold(LOG_ERROR);
}

int main(void)
{
    log_open("test_path_set", LOG_ERROR, false);
    test_files_and_directories();
    test_threads();
    test_refused();
    return unit_done("test_path_set");
}
