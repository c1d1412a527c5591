#include "restore_mapping.h"

#include "common/buffer.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

char *mapping_normal_path(const char *path)
{
    size_t length = 0;
    char *normal = malloc(strlen(path) + 2);

    if (normal == NULL) {
        log_out_of_memory();
        return NULL;
    }
    if (*path == '/')
        normal[length++] = '/';
    while (*path != '\0') {
        size_t component = strcspn(path, "/");
        bool counts = component > 0 && !(component == 1 && *path == '.');
        if (counts && length > 0 && normal[length - 1] != '/')
            normal[length++] = '/';
        if (counts) {
            memcpy(normal + length, path, component);
            length += component;
        }
        path += component + (path[component] == '/');
    }
    if (length == 0)
        normal[length++] = '.';
    normal[length] = '\0';
    return normal;
}

static int refuse(const char *text, const char *problem)
{
    log_error("invalid tablespace mapping \"%s\": %s", text, problem);
    log_hint("It must be OLD=NEW, both absolute paths; write \\= for an equals sign in a path.");
    return -1;
}

/* Splits at the one equals sign that is not escaped; both halves are at most as long as text. */
static int split(const char *text, char *old_path, char *new_path)
{
    char *out = old_path, *begin = old_path;

    for (const char *next = text; *next != '\0'; next++) {
        if (next[0] == '\\' && next[1] == '=') {
            *out++ = *++next;
        } else if (*next == '=') {
            if (begin == new_path)
                return refuse(text, "there is more than one equals sign");
            *out = '\0';
            out = begin = new_path;
        } else {
            *out++ = *next;
        }
    }
    *out = '\0';
    if (begin == old_path)
        return refuse(text, "there is no equals sign");
    if (old_path[0] != '/' || new_path[0] != '/')
        return refuse(text, "both sides must be absolute paths");
    return 0;
}

static int append(struct mappings *mappings, const char *old_path, const char *new_path)
{
    struct mapping *items = realloc(mappings->items, (mappings->count + 1) * sizeof *items);

    if (items == NULL)
        return log_out_of_memory();
    mappings->items = items;
    struct mapping *mapping = &items[mappings->count];
    *mapping = (struct mapping){mapping_normal_path(old_path), mapping_normal_path(new_path), false};
    mappings->count++;
    return mapping->old_path == NULL || mapping->new_path == NULL ? -1 : 0;
}

int mappings_add(struct mappings *mappings, const char *text)
{
    char *old_path = malloc(strlen(text) + 1), *new_path = malloc(strlen(text) + 1);
    int result = -1;

    if (old_path == NULL || new_path == NULL)
        log_out_of_memory();
    else
        result = split(text, old_path, new_path);
    if (result == 0)
        result = append(mappings, old_path, new_path);
    if (result == 0) {
        const char *added = mappings->items[mappings->count - 1].old_path;
        for (size_t i = 0; result == 0 && i + 1 < mappings->count; i++)
            if (strcmp(mappings->items[i].old_path, added) == 0)
                result = refuse(text, "this old path is mapped already");
    }
    free(old_path);
    free(new_path);
    return result;
}

const char *mappings_find(struct mappings *mappings, const char *location)
{
    char *normal = mapping_normal_path(location);
    const char *found = NULL;

    for (size_t i = 0; normal != NULL && i < mappings->count; i++)
        if (strcmp(mappings->items[i].old_path, normal) == 0) {
            mappings->items[i].is_used = true;
            found = mappings->items[i].new_path;
        }
    free(normal);
    return found;
}

void mappings_free(struct mappings *mappings)
{
    if (mappings == NULL)
        return;
    for (size_t i = 0; i < mappings->count; i++) {
        free(mappings->items[i].old_path);
        free(mappings->items[i].new_path);
    }
    free(mappings->items);
    *mappings = (struct mappings){NULL, 0};
}
