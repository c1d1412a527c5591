#include "timestamp.h"

#include <stddef.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#define FIRST_INSTANT (-62135596800000000) /* 0001-01-01 00:00:00 */
#define LAST_INSTANT 253402300799999999    /* 9999-12-31 23:59:59.999999 */
#define MICROSECONDS_PER_SECOND INT64_C(1000000)
#define SECONDS_PER_DAY INT64_C(86400)
#define MOST_OFFSET_HOURS 15 /* as in PostgreSQL */

struct civil {
    int year;
    int month; /* 1..12 */
    int day;   /* 1..31 */
    int hour;
    int minute;
    int second;
    int microsecond;
};

static int64_t clock_read(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * MICROSECONDS_PER_SECOND + now.tv_nsec / 1000;
}

int64_t timestamp_now(void)
{
    return clock_read(CLOCK_REALTIME);
}

int64_t monotonic_now(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

/* Rounds towards the past, also before 1970. */
static int64_t floor_divide(int64_t value, int64_t divisor)
{
    int64_t quotient = value / divisor;

    return value % divisor < 0 ? quotient - 1 : quotient;
}

static bool is_leap_year(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_month(int year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap_year(year) ? 29 : days[month - 1];
}

/* Days since 1970-01-01 in the Gregorian calendar. Years are counted from March, so that the leap day is the
 * last of a year, in eras of 400 years (146,097 days). */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t march_year = month <= 2 ? year - 1 : year;
    int64_t era = floor_divide(march_year, 400);
    int64_t year_of_era = march_year - era * 400;
    int64_t month_from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void civil_from_days(int64_t days, struct civil *civil)
{
    int64_t shifted = days + 719468;
    int64_t era = floor_divide(shifted, 146097);
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;

    civil->day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    civil->month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    civil->year = (int)(year_of_era + era * 400 + (civil->month <= 2 ? 1 : 0));
}

static void civil_from_timestamp(int64_t value, struct civil *civil)
{
    int64_t seconds = floor_divide(value, MICROSECONDS_PER_SECOND);
    int64_t days = floor_divide(seconds, SECONDS_PER_DAY);
    int second_of_day = (int)(seconds - days * SECONDS_PER_DAY);

    civil_from_days(days, civil);
    civil->hour = second_of_day / 3600;
    civil->minute = second_of_day / 60 % 60;
    civil->second = second_of_day % 60;
    civil->microsecond = (int)(value % MICROSECONDS_PER_SECOND);
    if (civil->microsecond < 0)
        civil->microsecond += (int)MICROSECONDS_PER_SECOND;
}

static int64_t timestamp_from_civil(const struct civil *civil)
{
    int64_t days = days_from_civil(civil->year, civil->month, civil->day);
    int64_t seconds = days * SECONDS_PER_DAY + civil->hour * 3600 + civil->minute * 60 + civil->second;

    return seconds * MICROSECONDS_PER_SECOND + civil->microsecond;
}

/* Exactly this many digits, and a value in range; *text moves behind them. */
static bool read_digits(const char **text, int digits, int least, int most, int *value)
{
    int number = 0;

    for (int i = 0; i < digits; i++) {
        char c = (*text)[i];

        if (c < '0' || c > '9')
            return false;
        number = number * 10 + (c - '0');
    }
    if (number < least || number > most)
        return false;
    *text += digits;
    *value = number;
    return true;
}

static bool read_char(const char **text, char wanted)
{
    if (**text != wanted)
        return false;
    (*text)++;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits after the sixth are cut: PostgreSQL's commit times have microseconds, so that "up to this instant"
 * stays the same. */
static bool read_fraction(const char **text, int *microsecond)
{
    int scale = 100000;
    int value = 0;
    int digits = 0;

    for (; is_digit(**text); (*text)++, digits++) {
        value += (**text - '0') * scale;
        scale /= 10;
    }
    *microsecond = value;
    return digits > 0 && digits <= 9;
}

static bool read_date(const char **text, struct civil *civil)
{
    return read_digits(text, 4, 1, 9999, &civil->year) && read_char(text, '-') &&
           read_digits(text, 2, 1, 12, &civil->month) && read_char(text, '-') &&
           read_digits(text, 2, 1, days_in_month(civil->year, civil->month), &civil->day);
}

static bool read_time(const char **text, struct civil *civil)
{
    if (!read_digits(text, 2, 0, 23, &civil->hour) || !read_char(text, ':') ||
        !read_digits(text, 2, 0, 59, &civil->minute))
        return false;
    if (!read_char(text, ':'))
        return true;
    if (!read_digits(text, 2, 0, 59, &civil->second))
        return false;
    return !read_char(text, '.') || read_fraction(text, &civil->microsecond);
}

/* What stands behind the time, to the end of the text. */
static enum timestamp_result read_offset(const char *text, int64_t *seconds)
{
    int sign;
    int hours = 0;
    int minutes = 0;

    *seconds = 0;
    if (*text == '\0')
        return TIMESTAMP_NO_OFFSET;
    while (*text == ' ')
        text++;
    if (strcasecmp(text, "Z") == 0 || strcasecmp(text, "UTC") == 0)
        return TIMESTAMP_OK;
    if (*text != '+' && *text != '-')
        return TIMESTAMP_MALFORMED;
    sign = *text++ == '-' ? -1 : 1;
    if (!read_digits(&text, 2, 0, MOST_OFFSET_HOURS, &hours))
        return TIMESTAMP_MALFORMED;
    if (*text != '\0') {
        read_char(&text, ':');
        if (!read_digits(&text, 2, 0, 59, &minutes) || *text != '\0')
            return TIMESTAMP_MALFORMED;
    }
    *seconds = sign * (hours * 3600 + minutes * 60);
    return TIMESTAMP_OK;
}

enum timestamp_result timestamp_parse(const char *text, int64_t *value)
{
    struct civil civil = {0};
    int64_t offset_seconds;
    enum timestamp_result result;

    if (!read_date(&text, &civil))
        return TIMESTAMP_MALFORMED;
    if (*text != ' ' && *text != 'T' && *text != 't')
        return TIMESTAMP_MALFORMED;
    text++;
    if (!read_time(&text, &civil))
        return TIMESTAMP_MALFORMED;
    result = read_offset(text, &offset_seconds);
    if (result == TIMESTAMP_MALFORMED)
        return result;
    /* An offset can lead out of the years that can be written. */
    int64_t instant = timestamp_from_civil(&civil) - offset_seconds * MICROSECONDS_PER_SECOND;
    if (instant < FIRST_INSTANT || instant > LAST_INSTANT)
        return TIMESTAMP_MALFORMED;
    *value = instant;
    return result;
}

void timestamp_format(int64_t value, char out[TIMESTAMP_TEXT_BYTES])
{
    struct civil civil;

    civil_from_timestamp(value, &civil);
    snprintf(out, TIMESTAMP_TEXT_BYTES, "%04d-%02d-%02d %02d:%02d:%02d.%06d+00", civil.year, civil.month,
             civil.day, civil.hour, civil.minute, civil.second, civil.microsecond);
}

/* Two digits and what follows them. */
static char *put_two(char *out, int value, char behind)
{
    *out++ = (char)('0' + value / 10 % 10);
    *out++ = (char)('0' + value % 10);
    *out++ = behind;
    return out;
}

/* By hand: it is written for each of a million files. */
void timestamp_format_iso(int64_t value, char out[TIMESTAMP_TEXT_BYTES])
{
    struct civil civil;

    if (value < FIRST_INSTANT || value > LAST_INSTANT) /* a file's time may be anything */
        value = value < FIRST_INSTANT ? FIRST_INSTANT : LAST_INSTANT;
    civil_from_timestamp(value, &civil);
    out = put_two(out, civil.year / 100, '-') - 1;
    out = put_two(out, civil.year % 100, '-');
    out = put_two(out, civil.month, '-');
    out = put_two(out, civil.day, 'T');
    out = put_two(out, civil.hour, ':');
    out = put_two(out, civil.minute, ':');
    out = put_two(out, civil.second, 'Z');
    *out = '\0';
}

void timestamp_format_iso_micros(int64_t value, char out[TIMESTAMP_TEXT_BYTES])
{
    struct civil civil;

    civil_from_timestamp(value, &civil);
    snprintf(out, TIMESTAMP_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", civil.year, civil.month,
             civil.day, civil.hour, civil.minute, civil.second, civil.microsecond);
}

void timestamp_format_compact(int64_t value, char out[TIMESTAMP_TEXT_BYTES])
{
    struct civil civil;

    civil_from_timestamp(value, &civil);
    snprintf(out, TIMESTAMP_TEXT_BYTES, "%04d%02d%02dT%02d%02d%02dZ", civil.year, civil.month, civil.day,
             civil.hour, civil.minute, civil.second);
}
