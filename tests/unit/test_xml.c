/* The XML that stores send, and what nobody should send. */
#include "common/buffer.h"
#include "common/xml.h"
#include "unit.h"

#include <limits.h>
#include <stdlib.h>

struct seen {
    struct buffer text; /* "path=text;" each */
    unsigned most;      /* elements to take */
};

static bool note(void *context, const char *path, const char *text)
{
    struct seen *seen = context;

    buffer_printf(&seen->text, "%s=%s;", path, text);
    return --seen->most > 0;
}

static int parse(const char *text, struct seen *seen, const char **problem)
{
    *problem = NULL;
    return xml_parse(text, strlen(text), note, seen, problem);
}

static void test_good(void)
{
    static const struct {
        const char *text, *seen;
    } cases[] = {
        {"<Error><Code>NoSuchKey</Code></Error>", "Error/Code=NoSuchKey;Error=;"},
        {"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a xmlns=\"http://x/\"><b>1</b><b>2</b></a>",
         "a/b=1;a/b=2;a=;"},
        {" \r\n\t<?xml version=\"1.0\"?> \n <a/>", "a=;"}, /* blanks to keep a connection awake */
        {"<s:a xmlns:s=\"u\"><s:b>x</s:b></s:a>", "a/b=x;a=;"},
        {"<a>&lt;&amp;&gt;&quot;&#65;<![CDATA[<b>]]></a>", "a=<&>\"A<b>;"},
        {"<a><b><c>1</c></b><b/></a>", "a/b/c=1;a/b=;a/b=;a=;"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen = {BUFFER_EMPTY, 1000};
        const char *problem;

        CHECK(parse(cases[i].text, &seen, &problem) == 0);
        CHECK_TEXT(buffer_string(&seen.text), cases[i].seen);
        buffer_free(&seen.text);
    }
}

static void test_bad(void)
{
    static const struct {
        const char *text, *problem; /* problem NULL: expat's own words */
    } cases[] = {
        {"", NULL},
        {"   ", NULL},
        {"not xml", NULL},
        {"<html><body>", NULL},
        {"<a><b></a></b>", NULL},
        {"<a/><b/>", NULL},
        {"<!DOCTYPE a><a/>", "document type declaration"},
        {"<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>", "document type declaration"},
        {"<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>", "document type declaration"},
        {"<a>&unknown;</a>", NULL},
        {"<a>\x01</a>", NULL},
        {"<a>\xff</a>", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen = {BUFFER_EMPTY, 1000};
        const char *problem;

        CHECK(parse(cases[i].text, &seen, &problem) == -1);
        CHECK(problem != NULL);
        if (cases[i].problem != NULL)
            CHECK_TEXT(problem, cases[i].problem);
        buffer_free(&seen.text);
    }
}

static void test_bounds(void)
{
    struct buffer text = BUFFER_EMPTY;
    struct seen seen = {BUFFER_EMPTY, 1000};
    const char *problem;

    for (int i = 0; i < 33; i++)
        buffer_append_string(&text, "<a>");
    for (int i = 0; i < 33; i++)
        buffer_append_string(&text, "</a>");
    CHECK(parse(buffer_string(&text), &seen, &problem) == -1);
    CHECK_TEXT(problem, "too many levels");
    buffer_clear(&text);
    for (int i = 0; i < 32; i++)
        buffer_append_string(&text, "<a>");
    buffer_append_string(&text, "<a/>"); /* expat tells of its end, too, after it was told to stop */
    CHECK(parse(buffer_string(&text), &seen, &problem) == -1 && seen.text.length == 0);
    CHECK_TEXT(problem, "too many levels");
    CHECK(xml_parse("<a/>", (size_t)INT_MAX + 1, note, &seen, &problem) == -1);
    CHECK_TEXT(problem, "too long");
    buffer_clear(&text);
    buffer_append_string(&text, "<a>");
    for (int i = 0; i < 70000; i++)
        buffer_append_string(&text, "x");
    buffer_append_string(&text, "</a>");
    CHECK(parse(buffer_string(&text), &seen, &problem) == -1);
    CHECK_TEXT(problem, "text too long");
    buffer_free(&text);
    buffer_free(&seen.text);
}

static void test_stop(void)
{
    struct seen seen = {BUFFER_EMPTY, 2};
    const char *problem;

    CHECK(parse("<a><b>1</b><b>2</b><b>3</b><broken", &seen, &problem) == 0);
    CHECK_TEXT(buffer_string(&seen.text), "a/b=1;a/b=2;");
    buffer_free(&seen.text);
}

static void test_text(void)
{
    struct buffer out = BUFFER_EMPTY;

    CHECK(xml_append_text(&out, "\"a&b\"<c>&amp;") == 0);
    CHECK_TEXT(buffer_string(&out), "\"a&amp;b\"&lt;c&gt;&amp;amp;");
    buffer_free(&out);
}

int main(void)
{
    test_text();
    test_good();
    test_bad();
    test_bounds();
    test_stop();
    return unit_done("xml");
}
