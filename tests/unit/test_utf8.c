/* UTF-8: what is valid, and what only looks so. */
#include "common/log.h"
#include "common/utf8.h"
#include "unit.h"

static void test_utf8(void)
{
    static const char *good[] = {
        "", "plain", "na\xC3\xAFve", "\xE2\x82\xAC", "\xF0\x9F\x90\x98", "\xF4\x8F\xBF\xBF"};
    static const char *bad[] = {
        "\x80", "\xC3", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK(utf8_is_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!utf8_is_valid(bad[i], strlen(bad[i])));
}

int main(void)
{
    log_open("test_utf8", LOG_ERROR, false);
    test_utf8();
    return unit_done("test_utf8");
}
