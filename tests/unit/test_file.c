/* Names of files, taken apart. */
#include "unit.h"

#include "common/file.h"

#include <stdlib.h>
#include <unistd.h>

static void test_paths(void)
{
    static const char *const cases[][2] = {{"/a/b", "/a"}, {"/a/b/", "/a"}, {"/a//b//", "/a"},
                                           {"/a", "/"},    {"//", "/"},     {"a/b", "a"},
                                           {"a/", "."},    {"a", "."},      {"", "."}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *directory = path_directory(cases[i][0]);
        CHECK_TEXT(directory, cases[i][1]);
        free(directory);
    }
}

/* Two for one name: each writes to its own, and who is later does not get it. */
static void test_new(void)
{
    char directory[] = "/tmp/test_file.XXXXXX";
    struct file_new first, second;
    struct buffer text = BUFFER_EMPTY;
    struct stat status;

    CHECK(mkdtemp(directory) != NULL);
    char *path = path_join(directory, "new");
    CHECK(file_new_open(path, &first) == 0 && file_new_open(path, &second) == 0);
    CHECK(write(first.fd, "first", 5) == 5 && write(second.fd, "second", 6) == 6);
    CHECK(!file_exists(path));
    CHECK(file_new_link(&first) == 0);
    CHECK(file_new_link(&second) == -1);
    file_new_free(&first);
    file_new_free(&second);
    CHECK(file_read_all(path, 100, &text) == FILE_OK);
    CHECK_TEXT(buffer_string(&text), "first");
    CHECK(stat(path, &status) == 0 && (status.st_mode & 07777) == 0600);
    CHECK(unlink(path) == 0 && rmdir(directory) == 0); /* nothing else is left */
    buffer_free(&text);
    free(path);
}

int main(void)
{
    test_new();
    test_paths();
    return unit_done("file");
}
