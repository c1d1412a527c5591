#include "report.h"

#include "document.h"
#include "log.h"
#include "timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "<20261121T200001.123456Z>-verified-<unit>[+<last>][.damaged]" */
#define VERIFIED "-verified-"
#define DAMAGED ".damaged"
#define NAME_TRIES 60 /* somebody else's report of the same instant and unit */

void verified_take(struct verified_state *state, const struct verified *verified, int64_t now)
{
    bool is_ahead = verified->time > now + REPORT_AHEAD_MICROSECONDS;
    int64_t *damaged = is_ahead ? &state->ahead_damaged : &state->damaged;

    if (verified->is_damaged)
        *damaged = verified->time;
    else if (*verified->last == '\0') /* the rest of one that was cut short may hold what was damaged */
        *damaged = 0;
    if (is_ahead) {
        state->ahead = verified->time;
        snprintf(state->ahead_last, sizeof state->ahead_last, "%s",
                 verified->is_damaged ? "" : verified->last);
        return;
    }
    state->time = verified->time;
    state->has_damage = verified->is_damaged;
    memcpy(state->last, verified->last, sizeof state->last);
}

int64_t verified_damaged(const struct verified_state *state)
{
    return state->damaged != 0 ? state->damaged : state->ahead_damaged;
}

/* Somebody who begins anew needs none of them. */
static bool goes_on(const struct verified_state *state, const char *from)
{
    return *from == '\0' || strcmp(state->ahead_last, from) == 0;
}

bool verified_takes_back(const struct verified_state *state, const char *from)
{
    return (*from == '\0' || !state->has_damage) && (state->ahead_damaged == 0 || goes_on(state, from));
}

int64_t verified_again_at(const struct verified_state *state, const struct verified *verified,
                          const char *from)
{
    return state->ahead != 0 && (verified->is_damaged || goes_on(state, from)) ? state->ahead + 1 : 0;
}

void report_time_format(int64_t time, char out[REPORT_TIME_LENGTH + 1])
{
    char text[TIMESTAMP_TEXT_BYTES];

    timestamp_format_compact(time, text);
    snprintf(out, REPORT_TIME_LENGTH + 1, "%.15s.%06uZ", text, (unsigned)(time % 1000000) % 1000000);
}

static int verified_name(const struct verified *verified, char *out, size_t out_bytes)
{
    char time[REPORT_TIME_LENGTH + 1];

    report_time_format(verified->time, time);
    int length =
        snprintf(out, out_bytes, "reports/%s" VERIFIED "%s%s%s%s", time, verified->unit,
                 *verified->last != '\0' ? "+" : "", verified->last, verified->is_damaged ? DAMAGED : "");
    return length > 0 && (size_t)length < out_bytes ? 0 : -1;
}

bool report_time_parse(const char *text, int64_t *time)
{
    char iso[TIMESTAMP_TEXT_BYTES];

    if (strlen(text) < REPORT_TIME_LENGTH)
        return false;
    snprintf(iso, sizeof iso, "%.4s-%.2s-%.2sT%.2s:%.2s:%.10s", text, text + 4, text + 6, text + 9, text + 11,
             text + 13);
    return timestamp_parse(iso, time) == TIMESTAMP_OK;
}

/* "[+<last>][.damaged]". The names of objects may have dots. */
static bool parse_end(const char *text, struct verified *verified)
{
    size_t length = strlen(text);

    verified->is_damaged = length >= strlen(DAMAGED) && strcmp(text + length - strlen(DAMAGED), DAMAGED) == 0;
    length -= verified->is_damaged ? strlen(DAMAGED) : 0;
    if (length == 0)
        return true;
    if (*text != '+' || length == 1 || length > sizeof verified->last)
        return false;
    memcpy(verified->last, text + 1, length - 1);
    return true;
}

/* False for reports of other kinds. */
static bool parse_name(const char *name, struct verified *verified)
{
    const char *unit = name + REPORT_TIME_LENGTH + strlen(VERIFIED);

    *verified = (struct verified){.time = 0};
    if (strlen(name) <= REPORT_TIME_LENGTH + strlen(VERIFIED) || !report_time_parse(name, &verified->time) ||
        strncmp(name + REPORT_TIME_LENGTH, VERIFIED, strlen(VERIFIED)) != 0)
        return false;
    size_t length = strcspn(unit, "+.");
    if (length == 0 || length >= sizeof verified->unit)
        return false;
    memcpy(verified->unit, unit, length);
    return parse_end(unit + length, verified);
}

static int verified_seal(const struct verified *verified, uint64_t system_identifier, struct buffer *out)
{
    struct json *document = document_new("verified");
    char system[24], time[TIMESTAMP_TEXT_BYTES];

    snprintf(system, sizeof system, "%" PRIu64, system_identifier);
    timestamp_format_iso_micros(verified->time, time);
    json_set_string(document, "system_identifier", system);
    json_set_string(document, "unit", verified->unit);
    json_set_string(document, "time", time);
    json_set_text(document, "last", *verified->last == '\0' ? NULL : verified->last);
    json_set_bool(document, "damaged", verified->is_damaged);
    json_set_uint(document, "objects", verified->objects);
    json_set_uint(document, "bytes", verified->bytes);
    json_set_text(document, "host", verified->host);
    return document_seal(document, out);
}

static enum repository_result put_once(struct repository *repository, uint64_t system_identifier,
                                       const struct verified *verified)
{
    struct buffer text = BUFFER_EMPTY;
    enum repository_result result = REPOSITORY_FAILED;
    char name[3 * OBJECT_NAME_BYTES];
    char *key = verified_name(verified, name, sizeof name) == 0
                    ? repository_system_key(repository, system_identifier, name)
                    : NULL;

    if (key != NULL && verified_seal(verified, system_identifier, &text) == 0)
        result = repository_put_small(repository, key, &text);
    free(key);
    buffer_free(&text);
    return result;
}

int verified_put(struct repository *repository, uint64_t system_identifier, const struct verified *verified)
{
    struct verified report = *verified;
    enum repository_result result = REPOSITORY_COLLISION;

    if (repository->settings->s3.as_of != 0) /* it is of a bucket as it was, and nothing is written there */
        return 0;
    for (unsigned i = 0; i < NAME_TRIES && result == REPOSITORY_COLLISION; i++) {
        result = put_once(repository, system_identifier, &report);
        report.time++;
    }
    if (result == REPOSITORY_COLLISION)
        log_error("could not store a report in repository \"%s\": its names are taken",
                  repository->settings->name);
    return result == REPOSITORY_OK || result == REPOSITORY_IDENTICAL ? 0 : -1;
}

struct names {
    bool (*each)(void *context, const char *name);
    void *context;
};

static bool tell_name(void *context, const char *key, uint64_t bytes)
{
    const struct names *names = context;

    (void)bytes;
    return names->each(names->context, strrchr(key, '/') + 1);
}

enum repository_result report_names(struct repository *repository, uint64_t system_identifier,
                                    bool (*each)(void *context, const char *name), void *context)
{
    struct names names = {each, context};
    char *prefix = repository_system_key(repository, system_identifier, "reports/");
    struct store_listing wanted = {prefix, NULL, 0, tell_name, &names};
    enum repository_result result = prefix != NULL && store_list(repository->store, &wanted) == STORE_OK
                                        ? REPOSITORY_OK
                                        : REPOSITORY_FAILED;

    free(prefix);
    return result;
}

struct listing {
    bool (*each)(void *context, const struct verified *verified);
    void *context;
};

static bool tell(void *context, const char *name)
{
    const struct listing *listing = context;
    struct verified verified;

    return !parse_name(name, &verified) || listing->each(listing->context, &verified);
}

enum repository_result verified_list(struct repository *repository, uint64_t system_identifier,
                                     bool (*each)(void *context, const struct verified *verified),
                                     void *context)
{
    struct listing listing = {each, context};

    return report_names(repository, system_identifier, tell, &listing);
}
