#include "findings.h"

#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES 1024

static const char *const kind_names[] = {"missing", "damaged", "unreadable", "hole", "incomplete", "orphan"};

void findings_init(struct findings *findings)
{
    *findings = (struct findings){.list = json_new_array()};
    pthread_mutex_init(&findings->lock, NULL);
}

void findings_free(struct findings *findings)
{
    for (size_t i = 0; i < findings->object_count; i++)
        free(findings->objects[i]);
    free(findings->objects);
    json_free(findings->list);
    pthread_mutex_destroy(&findings->lock);
}

void findings_begin(struct findings *findings, const char *repository)
{
    findings->repository = repository;
    for (size_t i = 0; i < findings->object_count; i++)
        free(findings->objects[i]);
    findings->object_count = 0;
    findings->errors = findings->orphans = 0;
}

/* Under the lock, as all below. */
static bool is_known(const struct findings *findings, const char *object)
{
    for (size_t i = 0; i < findings->object_count; i++)
        if (strcmp(findings->objects[i], object) == 0)
            return true;
    return false;
}

/* Without memory it may be told twice. */
static void remember(struct findings *findings, const char *object)
{
    char **grown = realloc(findings->objects, (findings->object_count + 1) * sizeof *grown);

    if (grown == NULL)
        return;
    findings->objects = grown;
    grown[findings->object_count] = string_copy(object);
    findings->object_count += grown[findings->object_count] != NULL;
}

static void keep(struct findings *findings, enum finding_kind kind, const char *object, const char *message)
{
    struct json *finding = json_new_object();

    json_set_text(finding, "repository", findings->repository);
    json_set_string(finding, "kind", kind_names[kind]);
    json_set_text(finding, "object", object);
    json_set_text(finding, "message", message);
    json_append(findings->list, finding);
    if (kind == FINDING_ORPHAN) {
        findings->orphans++;
        return;
    }
    findings->errors++;
    remember(findings, object);
}

void findings_add(struct findings *findings, enum finding_kind kind, const char *object, const char *format,
                  ...)
{
    char message[MESSAGE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&findings->lock);
    if (kind == FINDING_ORPHAN || !is_known(findings, object)) {
        if (kind == FINDING_ORPHAN)
            log_warning("%s", message);
        else
            log_error("%s", message);
        if (kind != FINDING_ORPHAN && kind != FINDING_UNREADABLE)
            log_tell_kind("damage");
        keep(findings, kind, object, message);
    }
    pthread_mutex_unlock(&findings->lock);
}

void findings_add_logged(struct findings *findings, enum finding_kind kind, const char *object)
{
    const char *message = log_last_error();

    pthread_mutex_lock(&findings->lock);
    if (kind == FINDING_DAMAGED)
        log_tell_kind("damage");
    if (!is_known(findings, object))
        keep(findings, kind, object, message == NULL ? kind_names[kind] : message);
    pthread_mutex_unlock(&findings->lock);
}
