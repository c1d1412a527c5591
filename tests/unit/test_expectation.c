/* Checks of a drill: their parts, and what they expect. */
#include "unit.h"

#include "common/log.h"
#include "restore-drill/expectation.h"

#include <string.h>

static bool holds(const char *text, const char *value, const char *last)
{
    struct expectation expectation;

    CHECK(expectation_parse(text, &expectation));
    return expectation_holds(&expectation, value, last);
}

static void test_values(void)
{
    CHECK(holds("t", "t", NULL) && !holds("t", "f", NULL) && !holds("t", NULL, NULL) && holds("", "", NULL));
    CHECK(holds("1 day", "1 day", NULL) && !holds("1", "1.0", NULL));
    CHECK(holds(">= 10", "10", NULL) && holds(">=10", "1e3", NULL) && !holds(">= 10", "9.99", NULL));
    CHECK(!holds(">= 10", "ten", NULL) && !holds(">= 10", NULL, NULL) && !holds(">= 10", "", NULL) &&
          !holds(">= 10", "nan", NULL));
    CHECK(holds("<= -1", "-1", NULL) && !holds("<= -1", "0", NULL));
    CHECK(holds("1..3", "3", NULL) && holds("1 .. 3", "1", NULL) && !holds("1..3", "3.1", NULL));
    CHECK(holds("0.5..0.75", "0.6", NULL) && !holds("0.5..0.75", "0.8", NULL));
    CHECK(holds("a..b", "a..b", NULL)); /* a text */
    CHECK(holds("within 10% of last", "110", "100") && !holds("within 10% of last", "111", "100"));
    CHECK(holds("within 10% of last", "-110", "-100") && !holds("within 10% of last", "89", "100"));
    CHECK(holds("within 0% of last", "5", "5") && holds("within 5% of last", "7", NULL));
    CHECK(!holds("within 5% of last", NULL, NULL) && !holds("within 5% of last", "x", "5"));
}

static void test_malformed(void)
{
    static const char *const texts[] = {">= ",
                                        ">= ten",
                                        "<=1 2",
                                        "within ten% of last",
                                        "within 5 of last",
                                        "within 5% of it",
                                        "within -1% of last"};
    struct expectation expectation;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        CHECK(!expectation_parse(texts[i], &expectation));
}

static bool is_split(const char *value, const char *database, const char *sql, const char *expected)
{
    struct check_parts parts;
    const char *problem;
    bool good = check_parts_split(value, &parts, &problem) == 0 && strcmp(parts.database, database) == 0 &&
                strcmp(parts.sql, sql) == 0 && strcmp(parts.expectation.text, expected) == 0;

    check_parts_free(&parts);
    return good;
}

static bool is_refused(const char *value, const char *why)
{
    struct check_parts parts;
    const char *problem;
    bool refused = check_parts_split(value, &parts, &problem) != 0 && strstr(problem, why) != NULL;

    check_parts_free(&parts);
    return refused;
}

static void test_parts(void)
{
    CHECK(is_split("SELECT 1 => 1", "postgres", "SELECT 1", "1"));
    CHECK(is_split("[my db]SELECT f(a => 1)=>>= 3", "my db", "SELECT f(a => 1)", ">= 3"));
    CHECK(is_split("SELECT '' =>", "postgres", "SELECT ''", ""));
    CHECK(is_refused("SELECT 1", "=> EXPECTATION") && is_refused("", "=> EXPECTATION"));
    CHECK(is_refused("[db SELECT 1 => 1", "\"]\" ends") && is_refused("[]SELECT 1 => 1", "\"]\" ends"));
    CHECK(is_refused("[db] => 1", "no query") && is_refused("SELECT 1 => >= x", "what it expects"));
}

int main(void)
{
    log_set_threshold((enum log_level)(LOG_ERROR + 1));
    test_values();
    test_malformed();
    test_parts();
    return unit_done("expectation");
}
