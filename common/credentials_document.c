#include "credentials_document.h"

#include "buffer.h"
#include "json.h"
#include "timestamp.h"
#include "xml.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void wipe_text(char **text)
{
    if (*text != NULL)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

void credentials_document_wipe(struct credentials_document *document)
{
    wipe_text(&document->access_key);
    wipe_text(&document->secret_key);
    wipe_text(&document->session_token);
    *document = (struct credentials_document){.access_key = NULL};
}

static void set_text(char **member, const char *value)
{
    if (value == NULL || *value == '\0')
        return;
    wipe_text(member);
    *member = string_copy(value);
}

static void copy_text(char *out, size_t out_bytes, const char *text)
{
    size_t length = 0;

    for (; text != NULL && *text != '\0' && length + 1 < out_bytes; text++)
        out[length++] = iscntrl((unsigned char)*text) ? ' ' : *text;
    out[length] = '\0';
}

/* "2026-11-22T10:00:00Z", also with more digits of a second than are kept, and without the Z. */
static bool parse_time(const char *text, int64_t *value)
{
    char kept[64];
    size_t length = 0, digits = 0;
    bool in_fraction = false;

    for (; *text != '\0' && length + 1 < sizeof kept; text++) {
        if (in_fraction && isdigit((unsigned char)*text) && ++digits > 6)
            continue;
        in_fraction = *text == '.' || (in_fraction && isdigit((unsigned char)*text));
        kept[length++] = *text;
    }
    kept[length] = '\0';
    return *text == '\0' && timestamp_parse(kept, value) != TIMESTAMP_MALFORMED && *value > 0;
}

/* What there must be. */
static bool judge(const struct credentials_document *document, bool times_are_good, const char **problem)
{
    if (document->code[0] != '\0')
        return true;
    *problem = document->access_key == NULL   ? "it has no AccessKeyId"
               : document->secret_key == NULL ? "it has no SecretAccessKey"
               : !times_are_good              ? "its Expiration is no time"
                                              : NULL;
    return *problem == NULL;
}

static const char *either(const struct json *json, const char *first, const char *second)
{
    const char *text = json_text(json, first);

    return text != NULL ? text : json_text(json, second);
}

bool credentials_document_json(const void *data, size_t length, struct credentials_document *document,
                               const char **problem)
{
    struct json *json = json_parse(data, length, NULL, 0);
    const char *code, *expires;
    bool times_are_good = true, result;

    *document = (struct credentials_document){.access_key = NULL};
    *problem = "it is no JSON";
    if (json == NULL)
        return false;
    set_text(&document->access_key, json_text(json, "AccessKeyId"));
    set_text(&document->secret_key, json_text(json, "SecretAccessKey"));
    set_text(&document->session_token, either(json, "SessionToken", "Token"));
    json_uint(json, "Version", &document->version);
    expires = json_text(json, "Expiration");
    if (expires != NULL && *expires != '\0')
        times_are_good = parse_time(expires, &document->expires);
    code = either(json, "Code", "code");
    if (code != NULL && strcmp(code, "Success") != 0)
        copy_text(document->code, sizeof document->code, code);
    copy_text(document->message, sizeof document->message, either(json, "Message", "message"));
    result = judge(document, times_are_good, problem);
    json_free(json);
    return result;
}

struct xml_reading {
    struct credentials_document *document;
    bool times_are_good;
};

static bool ends_with(const char *path, const char *end)
{
    size_t length = strlen(path), end_length = strlen(end);

    return length >= end_length && strcmp(path + length - end_length, end) == 0;
}

static bool take_element(void *context, const char *path, const char *text)
{
    struct xml_reading *reading = context;
    struct credentials_document *document = reading->document;

    if (ends_with(path, "Result/Credentials/AccessKeyId"))
        set_text(&document->access_key, text);
    else if (ends_with(path, "Result/Credentials/SecretAccessKey"))
        set_text(&document->secret_key, text);
    else if (ends_with(path, "Result/Credentials/SessionToken"))
        set_text(&document->session_token, text);
    else if (ends_with(path, "Result/Credentials/Expiration"))
        reading->times_are_good = parse_time(text, &document->expires);
    else if (strcmp(path, "ErrorResponse/Error/Code") == 0 || strcmp(path, "Error/Code") == 0)
        copy_text(document->code, sizeof document->code, text);
    else if (strcmp(path, "ErrorResponse/Error/Message") == 0 || strcmp(path, "Error/Message") == 0)
        copy_text(document->message, sizeof document->message, text);
    return true;
}

bool credentials_document_xml(const void *data, size_t length, struct credentials_document *document,
                              const char **problem)
{
    *document = (struct credentials_document){.access_key = NULL};

    struct xml_reading reading = {document, true};
    if (xml_parse(data, length, take_element, &reading, problem) != 0) {
        credentials_document_wipe(document); /* half a document */
        return false;
    }
    return judge(document, reading.times_are_good, problem);
}
