#include "expectation.h"

#include "common/buffer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t"

/* A whole text as a number. */
static bool number(const char *text, double *value)
{
    char *end;

    if (text == NULL || text[strspn(text, BLANKS)] == '\0')
        return false;
    *value = strtod(text, &end);
    return end[strspn(end, BLANKS)] == '\0' && isfinite(*value);
}

static bool parse_within(const char *text, struct expectation *expectation)
{
    char *end;

    expectation->kind = EXPECT_NEAR_LAST;
    expectation->percent = strtod(text, &end);
    if (end == text || !(expectation->percent >= 0) || *end != '%')
        return false;
    end += 1 + strspn(end + 1, BLANKS);
    return strcmp(end, "of last") == 0;
}

/* "N..M"; strtod would take the first point for a decimal one. */
static bool parse_between(const char *text, const char *points, struct expectation *expectation)
{
    char low[64];
    size_t length = (size_t)(points - text);

    if (length >= sizeof low)
        return false;
    memcpy(low, text, length);
    low[length] = '\0';
    expectation->kind = EXPECT_BETWEEN;
    return number(low, &expectation->least) && number(points + 2, &expectation->most) &&
           expectation->least <= expectation->most;
}

bool expectation_parse(const char *text, struct expectation *expectation)
{
    const char *points = strstr(text, "..");

    *expectation = (struct expectation){.kind = EXPECT_TEXT, .text = text};
    if (strncmp(text, ">=", 2) == 0) {
        expectation->kind = EXPECT_LEAST;
        return number(text + 2, &expectation->least);
    }
    if (strncmp(text, "<=", 2) == 0) {
        expectation->kind = EXPECT_MOST;
        return number(text + 2, &expectation->most);
    }
    if (strncmp(text, "within ", 7) == 0)
        return parse_within(text + 7, expectation);
    if (points != NULL && parse_between(text, points, expectation))
        return true;
    expectation->kind = EXPECT_TEXT;
    return true;
}

bool expectation_holds(const struct expectation *expectation, const char *value, const char *last)
{
    double found, before;

    if (expectation->kind == EXPECT_TEXT)
        return value != NULL && strcmp(value, expectation->text) == 0;
    if (!number(value, &found))
        return false;
    switch (expectation->kind) {
    case EXPECT_LEAST:
        return found >= expectation->least;
    case EXPECT_MOST:
        return found <= expectation->most;
    case EXPECT_BETWEEN:
        return found >= expectation->least && found <= expectation->most;
    default:
        return !number(last, &before) || fabs(found - before) <= fabs(before) * expectation->percent / 100;
    }
}

static void cut_blanks(char *text)
{
    size_t length = strlen(text);

    while (length > 0 && strchr(BLANKS, text[length - 1]) != NULL)
        text[--length] = '\0';
}

/* Where the last "=>" is: those before it are the query's. */
static char *find_arrow(char *text)
{
    char *arrow = NULL;

    for (char *next = text; (next = strstr(next, "=>")) != NULL; next += 2)
        arrow = next;
    return arrow;
}

int check_parts_split(const char *value, struct check_parts *parts, const char **problem)
{
    *parts = (struct check_parts){.memory = string_copy(value), .database = "postgres"};
    *problem = NULL;
    if (parts->memory == NULL)
        return -1;
    char *sql = parts->memory, *arrow = find_arrow(sql), *end;
    *problem = "it has no \"=> EXPECTATION\" at its end";
    if (arrow == NULL)
        return -1;
    *arrow = '\0';
    if (*sql == '[') {
        *problem = "\"[\" begins the name of a database, which \"]\" ends";
        end = strchr(sql, ']');
        if (end == NULL || end == sql + 1)
            return -1;
        *end = '\0';
        parts->database = sql + 1;
        sql = end + 1;
    }
    sql += strspn(sql, BLANKS);
    cut_blanks(sql);
    parts->sql = sql;
    *problem = "it has no query";
    if (*sql == '\0')
        return -1;
    *problem = "what it expects is to be a value, \">= N\", \"<= N\", \"N..M\" or \"within P% of last\"";
    return expectation_parse(arrow + 2 + strspn(arrow + 2, BLANKS), &parts->expectation) ? 0 : -1;
}

void check_parts_free(struct check_parts *parts)
{
    free(parts->memory);
    *parts = (struct check_parts){.memory = NULL};
}
