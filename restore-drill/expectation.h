/* What a check of the user expects, and whether a value is that. Pure. */
#ifndef WALFERRY_EXPECTATION_H
#define WALFERRY_EXPECTATION_H

#include <stdbool.h>
#include <stddef.h>

enum expectation_kind { EXPECT_TEXT, EXPECT_LEAST, EXPECT_MOST, EXPECT_BETWEEN, EXPECT_NEAR_LAST };

struct expectation {
    enum expectation_kind kind;
    const char *text; /* as it was given; borrowed */
    double least, most;
    double percent; /* EXPECT_NEAR_LAST */
};

/* "VALUE", ">= N", "<= N", "N..M" or "within P% of last". False if it begins as one of these and is none. */
bool expectation_parse(const char *text, struct expectation *expectation);

/* value: what the query gave, NULL for no row or an SQL null; last: what it gave at the last drill, NULL: not
 * known, then EXPECT_NEAR_LAST holds for any number. */
bool expectation_holds(const struct expectation *expectation, const char *value, const char *last);

/* "[DATABASE] QUERY => EXPECTATION", in parts: all of it in memory that the caller frees with
 * check_parts_free. */
struct check_parts {
    char *memory;
    const char *database; /* postgres where none is given */
    const char *sql;
    struct expectation expectation;
};
/* 0, or -1 with *problem in words (static), or NULL without memory, logged. To be freed in both cases. */
int check_parts_split(const char *value, struct check_parts *parts, const char **problem);
void check_parts_free(struct check_parts *parts);

#endif
