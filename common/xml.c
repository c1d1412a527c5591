#include "xml.h"

#include <expat.h>
#include <limits.h>
#include <string.h>

#define XML_LEVELS_MOST 32
#define XML_TEXT_BYTES_MOST (64 * 1024)

struct reader {
    XML_Parser parser;
    struct buffer path;
    struct buffer text;
    unsigned levels;
    bool (*element)(void *context, const char *path, const char *text);
    void *context;
    bool stopped;        /* by element */
    const char *problem; /* set by a handler that stopped the parser */
};

static void refuse(struct reader *reader, const char *problem)
{
    if (reader->problem == NULL)
        reader->problem = problem;
    XML_StopParser(reader->parser, XML_FALSE);
}

static void element_begins(void *context, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *reader = context;
    const char *colon = strrchr(name, ':');

    (void)attributes;
    buffer_clear(&reader->text);
    if (++reader->levels > XML_LEVELS_MOST) {
        refuse(reader, "too many levels");
        return;
    }
    if ((reader->path.length > 0 && buffer_append_string(&reader->path, "/") != 0) ||
        buffer_append_string(&reader->path, colon != NULL ? colon + 1 : name) != 0)
        refuse(reader, "out of memory");
}

/* Takes the last name off the path. */
static void path_leave(struct buffer *path)
{
    while (path->length > 0 && path->data[path->length - 1] != '/')
        path->length--;
    if (path->length > 0)
        path->length--;
    path->data[path->length] = '\0';
}

static void element_ends(void *context, const XML_Char *name)
{
    struct reader *reader = context;

    (void)name;
    /* expat may deliver a few events after XML_StopParser: they are not passed on */
    if (reader->stopped || reader->problem != NULL)
        return;
    if (!reader->element(reader->context, buffer_string(&reader->path), buffer_string(&reader->text))) {
        reader->stopped = true;
        XML_StopParser(reader->parser, XML_FALSE);
        return;
    }
    buffer_clear(&reader->text);
    path_leave(&reader->path);
    reader->levels--;
}

static void text_comes(void *context, const XML_Char *text, int length)
{
    struct reader *reader = context;

    if (reader->text.length + (size_t)length > XML_TEXT_BYTES_MOST)
        refuse(reader, "text too long");
    else if (buffer_append(&reader->text, text, (size_t)length) != 0)
        refuse(reader, "out of memory");
}

/* No S3 answer has one; without it there are no entities to expand either. */
static void doctype_comes(void *context, const XML_Char *name, const XML_Char *system_id,
                          const XML_Char *public_id, int internal)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)internal;
    refuse(context, "document type declaration");
}

int xml_parse(const void *data, size_t length,
              bool (*element)(void *context, const char *path, const char *text), void *context,
              const char **problem)
{
    struct reader reader = {NULL, BUFFER_EMPTY, BUFFER_EMPTY, 0, element, context, false, NULL};
    const char *text = data;
    int result = -1;

    /* blanks that kept a connection awake may come before the declaration, where XML does not allow them */
    while (length > 0 && strchr(" \t\r\n", *text) != NULL && *text != '\0') {
        text++;
        length--;
    }
    if (length > INT_MAX) {
        *problem = "too long";
        return -1;
    }
    reader.parser = XML_ParserCreate(NULL);
    if (reader.parser == NULL) {
        *problem = "out of memory";
        return -1;
    }
    XML_SetUserData(reader.parser, &reader);
    XML_SetElementHandler(reader.parser, element_begins, element_ends);
    XML_SetCharacterDataHandler(reader.parser, text_comes);
    XML_SetStartDoctypeDeclHandler(reader.parser, doctype_comes);
    if (XML_Parse(reader.parser, text, (int)length, XML_TRUE) == XML_STATUS_OK || reader.stopped)
        result = 0;
    else if (reader.problem != NULL)
        *problem = reader.problem;
    else
        *problem = XML_ErrorString(XML_GetErrorCode(reader.parser));
    XML_ParserFree(reader.parser);
    buffer_free(&reader.path);
    buffer_free(&reader.text);
    return result;
}

int xml_append_text(struct buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        const char *escaped = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : NULL;
        if ((escaped != NULL ? buffer_append_string(out, escaped) : buffer_append(out, text, 1)) != 0)
            return -1;
    }
    return 0;
}
