#include "describe.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATA_CHECKSUMS_ON 1 /* data_checksum_version while checksums are complete */

int describe_start(const struct session_facts *facts, const struct session_start *start,
                   const struct pg_control *control, struct backup *backup)
{
    char host[256] = "";

    gethostname(host, sizeof host - 1);
    backup_id_make(start->time, start->timeline, start->lsn, backup->id);
    backup->system_identifier = facts->system_identifier;
    backup->postgresql_version = facts->major;
    backup->server_version = facts->version;
    backup->timeline = start->timeline;
    backup->start_lsn = start->lsn;
    backup->start_time = start->time;
    backup->segment_bytes = control->segment_bytes;
    backup->block_bytes = control->block_bytes;
    backup->data_checksums = control->data_checksum_version == DATA_CHECKSUMS_ON;
    backup->from_standby = facts->is_standby;
    backup->host = string_copy(host);
    return backup->host == NULL ? -1 : 0;
}

int describe_wishes(const char *label, const struct annotations *annotations, struct backup *backup)
{
    backup->label = string_copy(label);
    backup->annotations = calloc(annotations->count + 1, sizeof *backup->annotations);
    if (backup->label == NULL || backup->annotations == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < annotations->count; i++) {
        struct backup_annotation *copy = &backup->annotations[backup->annotation_count++];
        copy->key = string_printf("%.*s", (int)annotations->items[i].key_length, annotations->items[i].key);
        copy->value = string_copy(annotations->items[i].value);
        if (copy->key == NULL || copy->value == NULL)
            return -1;
    }
    return 0;
}

static int add_tablespace(struct backup *backup, const struct tree_root *root,
                          const struct server_rows *names)
{
    struct backup_tablespace *tablespace = &backup->tablespaces[backup->tablespace_count];

    tablespace->oid = root->oid;
    tablespace->location = string_copy(root->directory);
    for (size_t i = 0; i < names->row_count && tablespace->name == NULL; i++)
        if (strtoul(server_cell(names, i, 0), NULL, 10) == root->oid &&
            (tablespace->name = string_copy(server_cell(names, i, 1))) == NULL)
            return -1;
    backup->tablespace_count++;
    return tablespace->location == NULL ? -1 : 0;
}

int describe_tablespaces(struct server *server, const struct tree *tree, struct backup *backup)
{
    struct server_rows names;
    int result = 0;

    if (tree->root_count == 1)
        return 0;
    backup->tablespaces = calloc(tree->root_count, sizeof *backup->tablespaces);
    if (backup->tablespaces == NULL)
        return log_out_of_memory();
    if (session_tablespaces(server, &names) != 0)
        return -1;
    for (size_t i = 1; i < tree->root_count && result == 0; i++)
        if (tree->roots[i].fd >= 0)
            result = add_tablespace(backup, &tree->roots[i], &names);
    server_rows_free(&names);
    return result;
}

int describe_databases(struct server *server, struct backup *backup)
{
    struct server_rows rows;
    int result = 0;

    if (session_databases(server, &rows) != 0)
        return -1;
    backup->databases = calloc(rows.row_count + 1, sizeof *backup->databases);
    if (backup->databases == NULL)
        result = log_out_of_memory();
    for (size_t i = 0; i < rows.row_count && result == 0; i++) {
        struct backup_database *database = &backup->databases[backup->database_count++];
        database->oid = (uint32_t)strtoul(server_cell(&rows, i, 0), NULL, 10);
        database->name = string_copy(server_cell(&rows, i, 1));
        result = database->name == NULL ? -1 : 0;
    }
    server_rows_free(&rows);
    return result;
}
