/* -T OLD=NEW: where tablespaces are restored to, as pg_basebackup's --tablespace-mapping. */
#ifndef WALFERRY_RESTORE_MAPPING_H
#define WALFERRY_RESTORE_MAPPING_H

#include <stdbool.h>
#include <stddef.h>

struct mapping {
    char *old_path; /* absolute, normal form (mapping_normal_path) */
    char *new_path;
    bool is_used;
};

struct mappings {
    struct mapping *items; /* owned */
    size_t count;
};

/* text: OLD=NEW, both absolute; "\=" stands for an equals sign in a path. 0, or -1 after logging. */
int mappings_add(struct mappings *mappings, const char *text);
/* The mapping of this location, marked as used; NULL when there is none. */
const char *mappings_find(struct mappings *mappings, const char *location);
void mappings_free(struct mappings *mappings); /* NULL-safe */

/* Without doubled and closing slashes and "." components; links and ".." are left alone. Caller frees; NULL
 * after logging. */
char *mapping_normal_path(const char *path);

#endif
