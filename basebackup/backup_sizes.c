#include "backup_sizes.h"

#include "common/backup_index.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

/* An OID as the name of a directory, up to the slash. Advances *path behind it; 0 if it is none. */
static uint32_t take_oid(const char **path)
{
    uint64_t oid = 0;
    const char *next = *path;

    for (; *next >= '0' && *next <= '9' && oid <= UINT32_MAX; next++)
        oid = oid * 10 + (uint64_t)(*next - '0');
    if (*next != '/' || oid > UINT32_MAX)
        return 0;
    *path = next + 1;
    return (uint32_t)oid;
}

static bool take_text(const char **path, const char *text)
{
    size_t length = strlen(text);

    if (strncmp(*path, text, length) != 0)
        return false;
    *path += length;
    return true;
}

void backup_path_owner(const char *path, uint32_t *tablespace, uint32_t *database)
{
    *tablespace = *database = 0;
    if (take_text(&path, "base/")) {
        *database = take_oid(&path);
    } else if (take_text(&path, "pg_tblspc/") && (*tablespace = take_oid(&path)) != 0) {
        const char *slash = strchr(path, '/'); /* behind PG_15_202209061 */
        if (slash != NULL) {
            path = slash + 1;
            *database = take_oid(&path);
        }
    }
}

static void add(struct backup_size *sizes, size_t count, uint32_t oid, const struct index_entry *file)
{
    for (size_t i = 0; oid != 0 && i < count; i++)
        if (sizes[i].oid == oid) {
            sizes[i].bytes += file->bytes;
            sizes[i].files += index_entry_begins_file(file);
            return;
        }
}

static int take_entry(void *context, struct index_entry *entry)
{
    static const char outside[] = "external-";
    struct backup_sizes *sizes = context;
    uint32_t tablespace, database;

    if (entry->line == INDEX_PART)
        sizes->is_outside = strncmp(entry->path, outside, sizeof outside - 1) == 0;
    if (entry->line != INDEX_FILE || sizes->is_outside)
        return 0;
    backup_path_owner(entry->path, &tablespace, &database);
    add(sizes->tablespaces, sizes->tablespace_count, tablespace, entry);
    add(sizes->databases, sizes->database_count, database, entry);
    return 0;
}

int backup_sizes_load(struct repository *repository, const struct backup *backup, struct backup_sizes *sizes)
{
    *sizes = (struct backup_sizes){
        .databases = calloc(backup->database_count + 1, sizeof *sizes->databases),
        .tablespaces = calloc(backup->tablespace_count + 1, sizeof *sizes->tablespaces),
        .database_count = backup->database_count,
        .tablespace_count = backup->tablespace_count,
    };
    if (sizes->databases == NULL || sizes->tablespaces == NULL) {
        backup_sizes_free(sizes);
        return log_out_of_memory();
    }
    for (size_t i = 0; i < backup->database_count; i++)
        sizes->databases[i].oid = backup->databases[i].oid;
    for (size_t i = 0; i < backup->tablespace_count; i++)
        sizes->tablespaces[i].oid = backup->tablespaces[i].oid;
    if (backup_index_load(repository, backup, take_entry, sizes) == REPOSITORY_OK)
        return 0;
    backup_sizes_free(sizes);
    return -1;
}

void backup_sizes_free(struct backup_sizes *sizes)
{
    if (sizes == NULL)
        return;
    free(sizes->databases);
    free(sizes->tablespaces);
    *sizes = (struct backup_sizes){0};
}
