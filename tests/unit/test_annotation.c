/* --annotation KEY=VALUE: what is taken and what is refused. */
#include "unit.h"

#include "basebackup/annotation.h"

static void test_taken(void)
{
    struct annotations annotations = {.count = 0};

    CHECK(annotations_add(&annotations, "ticket=OPS-4711") == 0);
    CHECK(annotations_add(&annotations, "k.e_y-2=a = b") == 0); /* the first sign counts */
    CHECK(annotations_add(&annotations, "empty=") == 0);
    CHECK(annotations_add(&annotations, "tick=another key") == 0);
    CHECK(annotations.count == 4);
    CHECK(annotations.items[0].key_length == 6);
    CHECK_TEXT(annotations.items[0].value, "OPS-4711");
    CHECK_TEXT(annotations.items[1].value, "a = b");
    CHECK_TEXT(annotations.items[2].value, "");
    CHECK(annotations_add(&annotations, "ticket=again") != 0);
    CHECK(annotations.count == 4);
}

static void test_refused(void)
{
    struct annotations annotations = {.count = 0};
    char text[ANNOTATION_KEY_MOST_BYTES + ANNOTATION_VALUE_MOST_BYTES + 3];

    CHECK(annotations_add(&annotations, "") != 0);
    CHECK(annotations_add(&annotations, "key") != 0);
    CHECK(annotations_add(&annotations, "=value") != 0);
    CHECK(annotations_add(&annotations, "a b=value") != 0);
    CHECK(annotations_add(&annotations, "k\xC3\xA4y=value") != 0);
    CHECK(annotations_add(&annotations, "key=\xFF") != 0);
    memset(text, 'x', sizeof text);
    text[ANNOTATION_KEY_MOST_BYTES + 1] = '=';
    text[ANNOTATION_KEY_MOST_BYTES + 2] = '\0';
    CHECK(annotations_add(&annotations, text) != 0);
    CHECK(annotations_add(&annotations, text + 1) == 0);
    memset(text, 'x', sizeof text);
    text[1] = '=';
    text[ANNOTATION_VALUE_MOST_BYTES + 3] = '\0';
    CHECK(annotations_add(&annotations, text) != 0);
    text[ANNOTATION_VALUE_MOST_BYTES + 2] = '\0';
    CHECK(annotations_add(&annotations, text) == 0);
    CHECK(annotations.count == 2);
}

int main(void)
{
    test_taken();
    test_refused();
    return unit_done("annotation");
}
