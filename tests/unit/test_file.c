/* Names of files, taken apart. */
#include "unit.h"

#include "common/file.h"

#include <stdlib.h>

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

int main(void)
{
    test_paths();
    return unit_done("file");
}
