#include "restore_databases.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_NORMAL_OID 16384u /* PostgreSQL's FirstNormalObjectId: initdb's are below */
#define MOST_TOLD 20

static bool is_system(const struct backup_database *database)
{
    return database->oid < FIRST_NORMAL_OID || strcmp(database->name, "template1") == 0 ||
           strcmp(database->name, "postgres") == 0;
}

static bool is_named(const struct backup_database *database, char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], database->name) == 0)
            return true;
    return false;
}

static int compare_oids(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

static void hint_names(const struct backup *backup)
{
    struct buffer names = BUFFER_EMPTY;
    int result = 0;

    for (size_t i = 0; result == 0 && i < backup->database_count; i++)
        result = buffer_printf(&names, "%s%s", i == 0 ? "" : ", ", backup->databases[i].name);
    if (result == 0)
        log_hint("Its databases: %s.", buffer_string(&names));
    buffer_free(&names);
}

static int check_names(const struct backup *backup, char *const *names, size_t name_count)
{
    if (backup->database_count == 0) {
        log_error("backup %s does not say which databases it has, so --database can't be used", backup->id);
        return -1;
    }
    for (size_t i = 0; i < name_count; i++) {
        size_t k = 0;
        while (k < backup->database_count && strcmp(names[i], backup->databases[k].name) != 0)
            k++;
        if (k == backup->database_count) {
            log_error("backup %s has no database \"%s\"", backup->id, names[i]);
            hint_names(backup);
            return -1;
        }
    }
    return 0;
}

int database_choice_make(const struct backup *backup, char *const *names, size_t name_count,
                         struct database_choice *choice)
{
    *choice = (struct database_choice){NULL, 0, name_count == 0};
    if (name_count == 0)
        return 0;
    if (check_names(backup, names, name_count) != 0)
        return -1;
    choice->oids = calloc(backup->database_count, sizeof *choice->oids);
    if (choice->oids == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < backup->database_count; i++)
        if (is_system(&backup->databases[i]) || is_named(&backup->databases[i], names, name_count))
            choice->oids[choice->count++] = backup->databases[i].oid;
    qsort(choice->oids, choice->count, sizeof *choice->oids, compare_oids);
    return 0;
}

void database_choice_free(struct database_choice *choice)
{
    if (choice == NULL)
        return;
    free(choice->oids);
    *choice = (struct database_choice){NULL, 0, true};
}

/* Behind this many components: NULL if there are fewer. */
static const char *skip_components(const char *path, unsigned count)
{
    while (path != NULL && count-- > 0) {
        path = strchr(path, '/');
        path = path == NULL ? NULL : path + 1;
    }
    return path;
}

bool database_choice_is_blank(const struct database_choice *choice, const char *path)
{
    const char *name = strncmp(path, "base/", 5) == 0         ? skip_components(path, 1)
                       : strncmp(path, "pg_tblspc/", 10) == 0 ? skip_components(path, 3)
                                                              : NULL;

    if (choice->is_all || name == NULL || strchr(name, '/') == NULL)
        return false;
    uint32_t oid = (uint32_t)strtoul(name, NULL, 10); /* 0: pgsql_tmp */
    return oid >= FIRST_NORMAL_OID &&
           bsearch(&oid, choice->oids, choice->count, sizeof oid, compare_oids) == NULL;
}

void database_choice_tell(const struct database_choice *choice, const struct backup *backup)
{
    struct buffer names = BUFFER_EMPTY;
    size_t others = 0;
    int result = 0;

    if (choice->is_all)
        return;
    for (size_t i = 0; result == 0 && i < backup->database_count; i++) {
        const struct backup_database *database = &backup->databases[i];
        if (bsearch(&database->oid, choice->oids, choice->count, sizeof database->oid, compare_oids) != NULL)
            continue;
        if (others++ < MOST_TOLD)
            result = buffer_printf(&names, "%s\"%s\"", others == 1 ? "" : ", ", database->name);
    }
    if (result == 0 && others > 0) {
        log_warning("the content of %zu other databases was not restored: %s%s", others,
                    buffer_string(&names), others > MOST_TOLD ? ", ..." : "");
        log_hint("Nobody can connect to them. When recovery is over, remove each with DROP DATABASE.");
        if (!backup->data_checksums)
            log_hint("The cluster has no data checksums: should recovery stop with \"WAL contains references "
                     "to invalid pages\", start the server once with -c ignore_invalid_pages=on, and look in "
                     "its log whether the pages were only theirs.");
    }
    buffer_free(&names);
}
